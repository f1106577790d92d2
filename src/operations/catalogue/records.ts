import { z } from 'zod';
import { importRecords, type MoveChange, type MoveCounts, pageOfRecords, parseRecord, toWritten } from '../moving.ts';
import { writing } from './described.ts';

/** Records of one request to import. */
export const importedMax = 1000;

const counts = z
  .object({
    routes: z.number(),
    options: z.number(),
    certificates: z.number(),
    created: z.number(),
    replaced: z.number(),
    same: z.number(),
    skipped: z.number(),
  })
  .meta({ id: 'MoveCounts' }) satisfies z.ZodType<MoveCounts>;

const change = z
  .object({
    pattern: z.string(),
    kind: z.enum(['route', 'options', 'certificate']),
    action: z.enum(['created', 'replaced', 'skipped']),
    detail: z.string(),
  })
  .meta({ id: 'MoveChange' }) satisfies z.ZodType<MoveChange>;

const record = z
  .record(z.string(), z.unknown())
  .meta({ description: '`{"route": {…}}`, `{"options": {…}}` or `{"certificate": {…}}`: a line of an exported file.' });

export const recordOperations = {
  // It shows the secrets in options, and private keys.
  exportRecords: writing({
    summary:
      'Lists all records with their secrets, to move them to another store: options, then routes, then certificates.',
    input: z.object({
      after: z.string().max(1024).default('').meta({ description: 'Only routes whose patterns follow this one.' }),
      certificates: z.boolean().default(false).meta({ description: 'Whether certificates with their keys follow.' }),
      cursor: z.string().max(2048).nullable().default(null).meta({ description: '`next` of the page before.' }),
    }),
    result: z.object({ records: z.array(record), next: z.string().nullable() }),
    prepare:
      ({ cursor, ...options }) =>
      async (store) => {
        const { next, records } = await pageOfRecords(store, options, cursor);
        return { records: records.map(toWritten), next };
      },
  }),
  importRecords: writing({
    summary: 'Writes records of an export; those that the store has already are left alone.',
    input: z.object({
      records: z.array(record).max(importedMax),
      dryRun: z.boolean().default(false).meta({ description: 'Whether nothing is written.' }),
    }),
    result: z.object({ counts, changes: z.array(change) }),
    creates: ({ dryRun }) => !dryRun,
    prepare: ({ dryRun, records }) => {
      const parsed = records.map((one, i) => parseRecord(one, i + 1));
      return async (store) => {
        const changes: MoveChange[] = [];
        const counts = await importRecords(store, parsed, { dryRun, onChange: (each) => void changes.push(each) });
        return { counts, changes };
      };
    },
  }),
};

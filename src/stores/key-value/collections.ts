import type {
  Acceptance,
  CertificateCollection,
  FailureCollection,
  MarkCollection,
  NoteCollection,
  OptionCollection,
  RouteCollection,
  StoreCapabilities,
} from '../contract.ts';
import { isRecent } from '../failures.ts';
import { noOptions } from '../option-record.ts';
import { editingBy } from '../route-editing.ts';
import { keyValueAcceptance } from './acceptance.ts';
import { type KeyValueClient, type KeyValueEdit, type RecordKey, recordKey } from './client.ts';
import {
  addFailuresEdit,
  changeEdit,
  changeOptionsEdit,
  composeEdits,
  putEdit,
  putOptionsEdit,
  removeCertificateEdit,
  removeMarkEdit,
  writeCertificateEdit,
  writeMarkEdit,
} from './edits.ts';
import { keyValueNotes } from './notes.ts';
import { readCertificate, readFailures, readOptions, readRecord, readRoute, routeKinds } from './records.ts';

/** Records in one edit: stores limit the operations and the size of a transaction. */
const recordsPerEdit = 40;

interface KeyValueCollections {
  readonly routes: RouteCollection;
  readonly options: OptionCollection;
  readonly marks: MarkCollection;
  readonly certificates: CertificateCollection;
  readonly failures: FailureCollection;
  readonly acceptance: Acceptance;
  readonly notes: NoteCollection;
}

/**
 * The collections of a store of texts.
 * @param nameOf the name of a key in the store, for messages.
 */
export function keyValueCollections(
  client: KeyValueClient,
  capabilities: StoreCapabilities,
  nameOf: (key: RecordKey) => string,
): KeyValueCollections {
  return {
    routes: {
      async read(patterns) {
        const values = await client.read(
          patterns.flatMap((pattern) => routeKinds.map((kind) => recordKey(kind, pattern))),
        );
        return patterns.map((pattern, i) => {
          const first = routeKinds.length * i;
          const [frontend = null, down = null, options = null] = values.slice(first, first + routeKinds.length);
          return readRoute({ frontend, down, options }, (kind) => nameOf(recordKey(kind, pattern)));
        });
      },
      ...editingBy(
        () => capabilities,
        (changes) => client.run(composeEdits(changes.map(changeEdit))),
      ),
      async put(records) {
        for (const edit of editsOf(records, putEdit)) await client.run(edit);
      },
      expiry: async (pattern) => (await client.expiry?.(recordKey('frontend', pattern))) ?? null,
      async list(after, limit) {
        const found = await client.list('frontend', after, limit);
        return found.map(({ pattern, value }) => ({ pattern, frontend: readRecord(value) ?? [null] }));
      },
    },
    options: keyValueOptions(client, nameOf),
    marks: {
      async write(pattern, url, mark) {
        await client.run(writeMarkEdit(pattern, url, mark));
        return true;
      },
      remove: (pattern, url) => client.run(removeMarkEdit(pattern, url)),
    },
    certificates: {
      async read(patterns) {
        const keys = patterns.map((pattern) => recordKey('tls', pattern));
        const values = await client.read(keys);
        return values.map((value, i) => (value === null ? null : readCertificate(nameOf(keys[i] as RecordKey), value)));
      },
      write: (pattern, pair) => client.run(writeCertificateEdit(pattern, pair)),
      remove: (pattern) => client.run(removeCertificateEdit(pattern)),
      list: async (after, limit) => (await client.list('tls', after, limit)).map(({ pattern }) => pattern),
    },
    acceptance: keyValueAcceptance(client),
    notes: keyValueNotes(client, capabilities.expires),
    failures: {
      add: (pattern, failures) => client.run(addFailuresEdit(pattern, failures, Date.now())),
      async read(pattern) {
        const [text] = await client.read([recordKey('hipache:failed', pattern)]);
        const nowMs = Date.now();
        return new Map([...readFailures(text ?? null)].filter(([, failures]) => isRecent(failures, nowMs)));
      },
    },
  };
}

function keyValueOptions(client: KeyValueClient, nameOf: (key: RecordKey) => string): OptionCollection {
  return {
    async read(patterns) {
      const keys = patterns.map((pattern) => recordKey('options', pattern));
      return (await client.read(keys)).map((text, i) => readOptions(nameOf(keys[i] as RecordKey), text));
    },
    change: (pattern, changes) => client.run(changeOptionsEdit(pattern, changes)),
    async put(records) {
      for (const edit of editsOf(records, putOptionsEdit)) await client.run(edit);
    },
    async list(after, limit) {
      const found = await client.list('options', after, limit);
      return found.map(({ pattern, value }) => ({
        pattern,
        options: readOptions(pattern, value)?.options ?? noOptions,
      }));
    },
  };
}

/** Edits that write all records, so many with each. */
function* editsOf<Part>(
  records: readonly Part[],
  edit: (part: readonly Part[]) => KeyValueEdit<void>,
): Generator<KeyValueEdit<void>> {
  for (let from = 0; from < records.length; from += recordsPerEdit) {
    yield edit(records.slice(from, from + recordsPerEdit));
  }
}

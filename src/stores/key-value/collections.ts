import type {
  Acceptance,
  CertificateCollection,
  FailureCollection,
  MarkCollection,
  RouteCollection,
  StoreCapabilities,
} from '../contract.ts';
import { isRecent } from '../failures.ts';
import { editingBy } from '../route-editing.ts';
import { keyValueAcceptance } from './acceptance.ts';
import { type KeyValueClient, type RecordKey, recordKey } from './client.ts';
import {
  addFailuresEdit,
  changeEdit,
  composeEdits,
  putEdit,
  removeCertificateEdit,
  removeMarkEdit,
  writeCertificateEdit,
  writeMarkEdit,
} from './edits.ts';
import { readCertificate, readFailures, readRecord, readRoute } from './records.ts';

/** Records in one edit: stores limit the operations and the size of a transaction. */
const recordsPerEdit = 40;

interface KeyValueCollections {
  readonly routes: RouteCollection;
  readonly marks: MarkCollection;
  readonly certificates: CertificateCollection;
  readonly failures: FailureCollection;
  readonly acceptance: Acceptance;
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
        const keys = patterns.flatMap((pattern) => [recordKey('frontend', pattern), recordKey('down', pattern)]);
        const values = await client.read(keys);
        return patterns.map((pattern, i) => {
          const [frontend = null, down = null] = values.slice(2 * i, 2 * i + 2);
          if (frontend === null) return null;
          const [name, downName] = [nameOf(recordKey('frontend', pattern)), nameOf(recordKey('down', pattern))];
          return readRoute(name, frontend, down, downName);
        });
      },
      ...editingBy(
        () => capabilities,
        (changes) => client.run(composeEdits(changes.map(changeEdit))),
      ),
      async put(records) {
        for (let from = 0; from < records.length; from += recordsPerEdit) {
          await client.run(putEdit(records.slice(from, from + recordsPerEdit)));
        }
      },
      expiry: async (pattern) => (await client.expiry?.(recordKey('frontend', pattern))) ?? null,
      async list(after, limit) {
        const found = await client.list('frontend', after, limit);
        return found.map(({ pattern, value }) => ({ pattern, frontend: readRecord(value) ?? [null] }));
      },
    },
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

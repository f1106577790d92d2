import type { Acceptance } from '../contract.ts';
import { type KeyValueClient, recordKey } from './client.ts';

const key = recordKey('hipache:accepted', 'routes');

/** The operator's word in a store of texts. It raises no revision. */
export function keyValueAcceptance(client: Pick<KeyValueClient, 'read' | 'run'>): Acceptance {
  return {
    read: async () => (await client.read([key]))[0] ?? null,
    write: (value) =>
      client.run({ keys: [key], isCounted: false, decide: () => ({ writes: [{ key, value }], result: undefined }) }),
  };
}

import type { CertificatePair, RouteRecord } from '../contract.ts';
import { addToRecord, identitiesOf, removeFromRecord, setRecord } from '../record-edit.ts';
import type { RedisCommand } from './connection.ts';
import { isWrongType } from './errors.ts';
import type { RedisKeys } from './keys.ts';

/**
 * One change: the records that it depends on, and its decision. It decides again if another program was faster. In a
 * cluster, where no transaction has keys of several nodes, each key changes by itself, that of the first command first.
 * The first argument of every command is its only key, except for PUBLISH, which has none.
 */
export interface RedisEdit<Result> {
  /** If another program changes one of these keys between reading and writing, the edit starts over. */
  readonly keys: readonly string[];
  readonly reads: readonly RedisCommand[];
  /** Whether the edit raises the revision. Default true. */
  readonly isCounted?: boolean;
  /** @param replies those of `reads`; the only possible error in them is a wrong type. */
  decide(replies: readonly unknown[]): { readonly commands: readonly RedisCommand[]; readonly result: Result };
}

/** Elements in one RPUSH. */
const chunkMax = 10_000;

export function setEdit(keys: RedisKeys, pattern: string, id: string | null, urls: readonly string[]): RedisEdit<void> {
  const [list, down] = [keys.of('frontend', pattern), keys.of('down', pattern)];
  return {
    keys: [list, down],
    reads: [
      ['LRANGE', list, '0', '0'],
      ['HKEYS', down],
    ],
    decide([head, marked]) {
      const record = setRecord(toList(head), pattern, id, urls) as string[];
      return {
        commands: [['DEL', list], ...pushes(list, record), ...dropMarks(down, marked, identitiesOf(record))],
        result: undefined,
      };
    },
  };
}

/** Appends and replaces in place, so that the record keeps its time to live. */
export function addEdit(keys: RedisKeys, pattern: string, urls: readonly string[]): RedisEdit<void> {
  const list = keys.of('frontend', pattern);
  return {
    keys: [list],
    reads: [['LRANGE', list, '0', '-1']],
    decide([whole]) {
      const old = toList(whole);
      const record = addToRecord(old, pattern, urls) as string[];
      const kept = old ?? [];
      const changed = kept.flatMap((url, i) =>
        record[i] === url ? [] : [['LSET', list, String(i), String(record[i])]],
      );
      const clear = isWrongType(whole) ? [['DEL', list]] : [];
      return { commands: [...clear, ...changed, ...pushes(list, record.slice(kept.length))], result: undefined };
    },
  };
}

export function removeEdit(
  keys: RedisKeys,
  pattern: string,
  urls: readonly string[],
): RedisEdit<readonly string[] | null> {
  const [list, down] = [keys.of('frontend', pattern), keys.of('down', pattern)];
  return {
    keys: [list, down],
    reads: [
      ['LRANGE', list, '0', '-1'],
      ['HKEYS', down],
    ],
    decide([whole, marked]) {
      const old = toList(whole);
      const wholly = {
        commands: [
          ['DEL', list],
          ['DEL', down],
          ['DEL', keys.of('dead', pattern)],
        ],
        result: [],
      };
      // A key of another type has no URLs to remove; it can only go as a whole.
      if (old === null && isWrongType(whole)) return urls.length > 0 ? { commands: [], result: [] } : wholly;
      if (old === null) return { commands: [], result: null };
      const { remaining, removed } = removeFromRecord(old, urls);
      if (remaining === null) return { ...wholly, result: removed };
      const counts = new Map<string, number>();
      for (const url of removed) counts.set(url, (counts.get(url) ?? 0) + 1);
      // Counted from the end, so that an identifier with the same text stays.
      const commands = [...counts].map(([url, count]) => ['LREM', list, String(-count), url]);
      return { commands: [...commands, ...dropMarks(down, marked, identitiesOf(remaining))], result: removed };
    },
  };
}

/** Records as they are. Marks of URLs that they no longer have mean nothing. */
export function putEdit(keys: RedisKeys, records: readonly RouteRecord[]): RedisEdit<void> {
  return {
    keys: [],
    reads: [],
    decide: () => ({
      commands: records.flatMap(({ pattern, frontend }) => {
        const list = keys.of('frontend', pattern);
        return [['DEL', list], ...pushes(list, frontend.map(String))];
      }),
      result: undefined,
    }),
  };
}

export function writeCertificateEdit(
  keys: RedisKeys,
  pattern: string,
  { certificate, key }: CertificatePair,
): RedisEdit<void> {
  const name = keys.of('tls', pattern);
  return {
    keys: [name],
    reads: [],
    decide: () => ({
      commands: [
        ['DEL', name],
        ['HSET', name, 'certificate', certificate, 'key', key],
      ],
      result: undefined,
    }),
  };
}

/** The result says whether there was a certificate. */
export function removeCertificateEdit(keys: RedisKeys, pattern: string): RedisEdit<boolean> {
  const name = keys.of('tls', pattern);
  return {
    keys: [name],
    reads: [['EXISTS', name]],
    decide([exists]) {
      const isThere = exists === 1;
      return { commands: isThere ? [['DEL', name]] : [], result: isThere };
    },
  };
}

/** The list that was read; null if the key does not exist or is not a list. */
export function toList(reply: unknown): string[] | null {
  return Array.isArray(reply) && reply.length > 0 ? (reply as string[]) : null;
}

function pushes(list: string, elements: readonly string[]): RedisCommand[] {
  const commands: RedisCommand[] = [];
  for (let i = 0; i < elements.length; i += chunkMax) {
    commands.push(['RPUSH', list, ...elements.slice(i, i + chunkMax)]);
  }
  return commands;
}

function dropMarks(down: string, marked: unknown, kept: ReadonlySet<string>): RedisCommand[] {
  if (!Array.isArray(marked)) return [];
  const gone = (marked as string[]).filter((url) => !kept.has(url));
  return gone.length === 0 ? [] : [['HDEL', down, ...gone]];
}

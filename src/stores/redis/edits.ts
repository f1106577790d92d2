import type { CertificatePair, RouteChange, RouteOutcome, RouteRecord } from '../contract.ts';
import { changeRecord, identitiesOf, isWritten, removeFromRecord } from '../record-edit.ts';
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

export function changeEdit(keys: RedisKeys, change: RouteChange): RedisEdit<RouteOutcome> {
  const [list, down] = [keys.of('frontend', change.pattern), keys.of('down', change.pattern)];
  return {
    keys: [list, down],
    reads: [
      ['LRANGE', list, '0', '-1'],
      ['HKEYS', down],
    ],
    decide([whole, marked]) {
      const outcome = changeRecord(change, isWrongType(whole) ? 'unreadable' : toList(whole));
      const { after } = outcome;
      if (!isWritten(change, outcome)) return { commands: [], result: outcome };
      if (after === null) {
        const dead = keys.of('dead', change.pattern);
        return { commands: [list, down, dead].map((key) => ['DEL', key]), result: outcome };
      }
      const commands = [...replace(list, change, outcome), ...dropMarks(down, marked, identitiesOf(after))];
      return { commands, result: outcome };
    },
  };
}

/** Several edits in one transaction, each of which decides by its own reads. */
export function composeEdits<Result>(edits: readonly RedisEdit<Result>[]): RedisEdit<readonly Result[]> {
  return {
    keys: edits.flatMap(({ keys }) => keys),
    reads: edits.flatMap(({ reads }) => reads),
    decide(replies) {
      let next = 0;
      const decisions = edits.map(({ decide, reads }) => {
        const from = next;
        next += reads.length;
        return decide(replies.slice(from, next));
      });
      return { commands: decisions.flatMap(({ commands }) => commands), result: decisions.map(({ result }) => result) };
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

/** Sets a list anew, or adds to it and removes from it in place, so that it keeps its time to live. */
function replace(
  list: string,
  { kind, ttlSeconds = null, urls }: RouteChange,
  { before, after }: RouteOutcome,
): RedisCommand[] {
  const [old, record] = [before ?? [], (after ?? []) as string[]];
  if (kind === 'set' || old[0] === null) {
    const expire = ttlSeconds === null ? [] : [['EXPIRE', list, String(ttlSeconds)]];
    return [['DEL', list], ...pushes(list, record), ...expire];
  }
  if (kind === 'remove') {
    const counts = new Map<string, number>();
    for (const url of removeFromRecord(old, urls).removed) counts.set(url, (counts.get(url) ?? 0) + 1);
    // Counted from the end, so that an identifier with the same text stays.
    return [...counts].map(([url, count]) => ['LREM', list, String(-count), url]);
  }
  const changed = old.flatMap((url, i) => (record[i] === url ? [] : [['LSET', list, String(i), String(record[i])]]));
  return [...changed, ...pushes(list, record.slice(old.length))];
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

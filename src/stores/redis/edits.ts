import type { DownMark } from '../../routing/backend.ts';
import { backendIdentity } from '../../routing/backend-url.ts';
import { backendsMax } from '../../routing/record.ts';
import type { CertificatePair } from '../contract.ts';
import { addToRecord, identitiesOf, removeFromRecord, setRecord } from '../record-edit.ts';
import type { RedisCommand } from './connection.ts';
import { isWrongType } from './errors.ts';
import { deadChannel, type RedisKeys } from './keys.ts';
import { formatMark, parseMark } from './marks.ts';

/** One change: the records that it depends on, and its decision. It decides again if another program was faster. */
export interface RedisEdit<Result> {
  /** If another program changes one of these keys between reading and writing, the edit starts over. */
  readonly keys: readonly string[];
  readonly reads: readonly RedisCommand[];
  /** Whether the edit raises the revision. Default true. */
  readonly isCounted?: boolean;
  /** @param replies those of `reads`; the only possible error in them is a wrong type. */
  decide(replies: readonly unknown[]): { readonly commands: readonly RedisCommand[]; readonly result: Result };
}

/** The index up to which a list is read for a mark: further backends are not served. */
const lastElement = String(backendsMax);
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
      const wholly = { commands: [['DEL', list, down, keys.of('dead', pattern)]], result: [] };
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

/** The effects of a mark besides the hash of marks; see docs/backends.md. */
export interface MarkWays {
  /** Whether an external checker runs. Then only the checker marks, and the failure is published for it. */
  readonly checker: boolean;
  /** Whether to write the dead sets of Hipache 0.4. */
  readonly deadSets: boolean;
  readonly nowMs: number;
  /** Called with the index that is added to the dead set. */
  onIndex(index: number): void;
}

export function writeMarkEdit(
  keys: RedisKeys,
  pattern: string,
  url: string,
  mark: DownMark,
  ways: MarkWays,
): RedisEdit<void> {
  const [list, down, dead] = [keys.of('frontend', pattern), keys.of('down', pattern), keys.of('dead', pattern)];
  return {
    keys: [list, down],
    reads: [['LRANGE', list, '0', lastElement], ['HGETALL', down], ...(ways.deadSets ? [['SMEMBERS', dead]] : [])],
    decide([whole, hash, set]) {
      const record = toList(whole);
      // A pattern without a record keeps no marks.
      if (record === null) return { commands: [], result: undefined };
      const urls = record.slice(1);
      const index = urls.findIndex((written) => backendIdentity(written) === url);
      const report = ['PUBLISH', deadChannel, `${pattern};${url};${index};${urls.length}`];
      if (ways.checker) return { commands: index === -1 ? [] : [report], result: undefined };
      const old = isWrongType(hash) ? [] : (hash as string[]);
      const commands: RedisCommand[] = isWrongType(hash) ? [['DEL', down]] : [];
      let lastMs = Math.round(mark.untilMs);
      for (let i = 0; i + 1 < old.length; i += 2) {
        const [other, value] = [old[i] as string, parseMark(old[i + 1] as string)];
        if (other === url && value !== null && value.untilMs >= mark.untilMs)
          return { commands: [], result: undefined };
        if (other !== url && (value === null || value.untilMs <= ways.nowMs)) commands.push(['HDEL', down, other]);
        else if (other !== url && value !== null) lastMs = Math.max(lastMs, value.untilMs);
      }
      commands.push(['HSET', down, url, formatMark(mark)], ['PEXPIREAT', down, String(lastMs)]);
      if (index !== -1) {
        if (ways.deadSets) {
          const seconds = Math.max(1, Math.ceil((mark.untilMs - ways.nowMs) / 1000));
          if (isWrongType(set)) commands.push(['DEL', dead]);
          commands.push(['SADD', dead, String(index)], ['EXPIRE', dead, String(seconds)]);
          ways.onIndex(index);
        }
        commands.push(report);
      }
      return { commands, result: undefined };
    },
  };
}

/** @param deadSets whether to remove the backend from the dead set of Hipache 0.4 as well. */
export function removeMarkEdit(keys: RedisKeys, pattern: string, url: string, deadSets: boolean): RedisEdit<void> {
  const [list, down, dead] = [keys.of('frontend', pattern), keys.of('down', pattern), keys.of('dead', pattern)];
  return {
    keys: [list, down],
    reads: [['LRANGE', list, '0', lastElement], ['HEXISTS', down, url], ...(deadSets ? [['SMEMBERS', dead]] : [])],
    decide([whole, exists, set]) {
      const urls = (toList(whole) ?? []).slice(1);
      const index = deadSets ? urls.findIndex((written) => backendIdentity(written) === url) : -1;
      const commands = exists === 1 ? [['HDEL', down, url]] : [];
      if (index !== -1 && !isWrongType(set)) commands.push(['SREM', dead, String(index)]);
      return { commands, result: undefined };
    },
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
function toList(reply: unknown): string[] | null {
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

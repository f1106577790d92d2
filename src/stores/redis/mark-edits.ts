import type { DownMark } from '../../routing/backend.ts';
import { backendIdentity } from '../../routing/backend-url.ts';
import { backendsMax } from '../../routing/record.ts';
import type { RedisCommand } from './connection.ts';
import { type RedisEdit, toList } from './edits.ts';
import { isWrongType } from './errors.ts';
import { deadChannel, type RedisKeys } from './keys.ts';
import { formatMark, parseMark, writtenIndexes } from './marks.ts';

/** The index up to which a list is read for a mark: further backends are not served. */
const lastElement = String(backendsMax);

/** The effects of a mark besides the hash of marks; see docs/backends.md. */
export interface MarkWays {
  /** Whether an external checker runs. Then only the checker marks, and the failure is published for it. */
  readonly checker: boolean;
  /** Whether to write the dead sets of Hipache 0.4. */
  readonly deadSets: boolean;
  readonly nowMs: number;
  /** Called with the indexes that are added to the dead set. */
  onIndexes(indexes: readonly number[]): void;
}

/**
 * Marks a backend. In a dead set it has every index at which its URL stands, as the original draws by index. The hash
 * keeps the indexes, so that they can be removed after an edit of the list, by any process.
 */
export function writeMarkEdit(
  keys: RedisKeys,
  pattern: string,
  url: string,
  mark: DownMark,
  ways: MarkWays,
): RedisEdit<void> {
  const [list, down, dead] = [keys.of('frontend', pattern), keys.of('down', pattern), keys.of('dead', pattern)];
  const nothing = { commands: [], result: undefined };
  return {
    keys: [list, down],
    reads: [['LRANGE', list, '0', lastElement], ['HGETALL', down], ...(ways.deadSets ? [['SMEMBERS', dead]] : [])],
    decide([whole, hash, set]) {
      const record = toList(whole);
      // A pattern without a record keeps no marks.
      if (record === null) return nothing;
      const urls = record.slice(1);
      const indexes = indexesOf(urls, url);
      const report = ['PUBLISH', deadChannel, `${pattern};${url};${indexes[0] ?? -1};${urls.length}`];
      if (ways.checker) return { commands: indexes.length === 0 ? [] : [report], result: undefined };
      const { own, live, expired } = sortMarks(hash, url, ways.nowMs);
      const ownMark = own === undefined ? null : parseMark(own);
      if (ownMark !== null && ownMark.untilMs >= mark.untilMs) return nothing;
      const before = own === undefined ? [] : writtenIndexes(own);
      const shared = ways.deadSets ? indexes : before;
      const lastMs = live.reduce(
        (latest, value) => Math.max(latest, parseMark(value)?.untilMs ?? 0),
        Math.round(mark.untilMs),
      );
      const commands: RedisCommand[] = isWrongType(hash) ? [['DEL', down]] : [];
      for (const { field } of expired) commands.push(['HDEL', down, field]);
      commands.push(['HSET', down, url, formatMark(mark, shared)], ['PEXPIREAT', down, String(lastMs)]);
      if (ways.deadSets) {
        if (isWrongType(set)) commands.push(['DEL', dead]);
        const kept = new Set([...shared, ...live.flatMap(writtenIndexes)]);
        const written = [...before, ...expired.flatMap(({ value }) => writtenIndexes(value))];
        const stale = written.filter((index) => !kept.has(index));
        commands.push(...removal(dead, stale));
        commands.push(...addition(dead, indexes, Math.max(1, Math.ceil((mark.untilMs - ways.nowMs) / 1000))));
        if (indexes.length > 0) ways.onIndexes(indexes);
      }
      if (indexes.length > 0) commands.push(report);
      return { commands, result: undefined };
    },
  };
}

/** The dead set of Hipache 0.4, as this process knows it when it removes a mark. */
export interface DeadSetKnowledge {
  /** The backends of its indexes, as this process has seen them. */
  readonly bound: ReadonlyMap<number, string>;
  readonly nowMs: number;
}

/**
 * Removes the mark of a backend.
 * @param deadSet to remove the backend from the dead set of Hipache 0.4 as well: the indexes that were written for it,
 * those that are bound to it, and those of its URL that are bound to no other backend. Null: not.
 */
export function removeMarkEdit(
  keys: RedisKeys,
  pattern: string,
  url: string,
  deadSet: DeadSetKnowledge | null,
): RedisEdit<void> {
  const [list, down, dead] = [keys.of('frontend', pattern), keys.of('down', pattern), keys.of('dead', pattern)];
  if (deadSet === null) {
    return {
      keys: [down],
      reads: [['HEXISTS', down, url]],
      decide: ([exists]) => ({ commands: exists === 1 ? [['HDEL', down, url]] : [], result: undefined }),
    };
  }
  const { bound, nowMs } = deadSet;
  return {
    keys: [list, down, dead],
    reads: [
      ['LRANGE', list, '0', lastElement],
      ['HGETALL', down],
      ['SMEMBERS', dead],
    ],
    decide([whole, hash, set]) {
      const { own, live } = sortMarks(hash, url, nowMs);
      const commands: RedisCommand[] = own === undefined ? [] : [['HDEL', down, url]];
      if (isWrongType(set)) return { commands, result: undefined };
      const written = new Set(own === undefined ? [] : writtenIndexes(own));
      const current = new Set(indexesOf((toList(whole) ?? []).slice(1), url));
      const others = new Set(live.flatMap(writtenIndexes));
      const isOwn = (index: number): boolean =>
        written.has(index) || bound.get(index) === url || (current.has(index) && !bound.has(index));
      const members = (set as string[]).filter((member) => /^[0-9]{1,6}$/.test(member)).map(Number);
      const gone = members.filter((index) => isOwn(index) && !others.has(index));
      commands.push(...removal(dead, gone));
      return { commands, result: undefined };
    },
  };
}

interface SortedMarks {
  /** The value of the backend's own field. */
  readonly own: string | undefined;
  /** The values of other backends' marks that hold. */
  readonly live: readonly string[];
  /** The other fields: marks that have ended, and values that are none. */
  readonly expired: readonly { readonly field: string; readonly value: string }[];
}

function sortMarks(hash: unknown, url: string, nowMs: number): SortedMarks {
  const fields = isWrongType(hash) ? [] : (hash as string[]);
  let own: string | undefined;
  const live: string[] = [];
  const expired: { field: string; value: string }[] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const [field, value] = [fields[i] as string, fields[i + 1] as string];
    if (field === url) own = value;
    else if ((parseMark(value)?.untilMs ?? 0) > nowMs) live.push(value);
    else expired.push({ field, value });
  }
  return { own, live, expired };
}

/** The indexes at which a backend stands in a list of URLs. */
function indexesOf(urls: readonly string[], url: string): readonly number[] {
  return urls.flatMap((written, index) => (backendIdentity(written) === url ? [index] : []));
}

function removal(dead: string, indexes: readonly number[]): RedisCommand[] {
  return indexes.length === 0 ? [] : [['SREM', dead, ...indexes.map(String)]];
}

function addition(dead: string, indexes: readonly number[], seconds: number): RedisCommand[] {
  if (indexes.length === 0) return [];
  return [
    ['SADD', dead, ...indexes.map(String)],
    ['EXPIRE', dead, String(seconds)],
  ];
}

import type { DownMark } from '../../routing/backend.ts';

/** Marks of one pattern that are read. Further ones are ignored. */
const marksMax = 10_000;
/** How long a mark in a set without expiry holds, in ms. */
const endlessMs = 365 * 24 * 3600 * 1000;

/**
 * A mark as the hash `down:<pattern>` holds it: `<until ms>;<reason>;<instance>;<since ms>`, and `;<index>,<index>…` if
 * it is in the dead set too.
 * @param indexes those that were written to the dead set.
 */
export function formatMark(mark: DownMark, indexes: readonly number[]): string {
  const [reason, instance] = [mark.reason, mark.instance].map((text) => text.replaceAll(';', ','));
  const shared = indexes.length === 0 ? '' : `;${indexes.join(',')}`;
  return `${Math.round(mark.untilMs)};${reason};${instance};${Math.round(mark.sinceMs)}${shared}`;
}

/** The indexes of a value of the hash: those under which its mark was written to the dead set. */
export function writtenIndexes(value: string): readonly number[] {
  const [, , , , indexes = ''] = value.split(';');
  return /^[0-9]{1,6}(,[0-9]{1,6})*$/.test(indexes) ? indexes.split(',').map(Number) : none;
}

const none: readonly number[] = [];

/** Parses a value of the hash. A value written by hand may end after `<until ms>`. Null if it is no mark. */
export function parseMark(value: string): DownMark | null {
  const [until = '', reason = '', instance = '', since = ''] = value.split(';');
  if (!/^[0-9]{1,15}$/.test(until)) return null;
  const untilMs = Number(until);
  const sinceMs = /^[0-9]{1,15}$/.test(since) ? Math.min(Number(since), untilMs) : untilMs;
  return { untilMs, sinceMs, reason, instance };
}

/** The marks of a hash, given as `[url, value, url, value, …]`. */
export function parseMarks(fields: readonly string[]): Map<string, DownMark> {
  const marks = new Map<string, DownMark>();
  const end = Math.min(fields.length, 2 * marksMax);
  for (let i = 0; i + 1 < end; i += 2) {
    const mark = parseMark(fields[i + 1] as string);
    if (mark !== null) marks.set(fields[i] as string, mark);
  }
  return marks;
}

/** The mark of an index in a set `dead:<host>`. @param ttlMs the reply to PTTL for the set. */
export function markOfDeadSet(nowMs: number, ttlMs: number): DownMark {
  return {
    untilMs: nowMs + (ttlMs >= 0 ? ttlMs : endlessMs),
    sinceMs: nowMs,
    reason: 'dead set',
    instance: 'another program',
  };
}

/** Whether the value of `hchecker_ping` is recent enough: the checker runs. */
export function isFreshPing(value: unknown, nowMs: number): boolean {
  return typeof value === 'string' && /^[0-9]{1,12}(\.[0-9]*)?$/.test(value) && nowMs - Number(value) * 1000 <= freshMs;
}

/** How long a ping of the checker holds, in ms, as in the original. */
export const freshMs = 30_000;

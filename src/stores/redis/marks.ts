import type { DownMark } from '../../routing/backend.ts';

/** Marks of one pattern that are read; further ones are passed over. */
const marksMax = 10_000;
/** How long a mark holds that is kept in a set without an end of its own, in ms. */
const endlessMs = 365 * 24 * 3600 * 1000;

/** A mark as a value of the hash `down:<pattern>`: `<until ms>;<reason>;<instance>;<since ms>`. */
export function formatMark(mark: DownMark): string {
  const [reason, instance] = [mark.reason, mark.instance].map((text) => text.replaceAll(';', ','));
  return `${Math.round(mark.untilMs)};${reason};${instance};${Math.round(mark.sinceMs)}`;
}

/** The mark of a value; who writes one by hand may leave out all but the end. Null for what is none. */
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

/** The mark that an index of a set `dead:<host>` stands for. @param ttlMs what PTTL says of the set. */
export function markOfDeadSet(nowMs: number, ttlMs: number): DownMark {
  return {
    untilMs: nowMs + (ttlMs >= 0 ? ttlMs : endlessMs),
    sinceMs: nowMs,
    reason: 'dead set',
    instance: 'another program',
  };
}

/** Whether the value of `hchecker_ping` is that of a checker that runs. */
export function isFreshPing(value: unknown, nowMs: number): boolean {
  return typeof value === 'string' && /^[0-9]{1,12}(\.[0-9]*)?$/.test(value) && nowMs - Number(value) * 1000 <= freshMs;
}

/** How long a checker's word holds, in ms: as in the original. */
export const freshMs = 30_000;

import type { DownMark } from '../../routing/backend.ts';
import type { CertificatePair, OptionTexts, StoredCertificate, StoredOptions, StoredRoute } from '../contract.ts';
import type { BackendFailures, FailuresByUrl } from '../failures.ts';
import { optionsOfRoute, readOptionObject, routeOfOptions } from '../option-record.ts';
import type { StoredRecord } from '../record-edit.ts';
import type { RecordKind } from './client.ts';

/*
 * Records as JSON, the form in which stores of texts hold them:
 *
 *   frontend:<pattern>        ["identifier", "http://…", …], Hipache 0.4's form
 *   down:<pattern>            {"http://…": {"until": ms, "since": ms, "reason": "…", "instance": "…"}, …}
 *   options:<pattern>         {"name": "text", …}
 *   tls:<pattern>             {"certificate": "PEM", "key": "PEM"}
 *   hipache:failed:<pattern>  {"http://…": {"count": n, "first": ms, "last": ms, "reason": "…", "instance": "…"}, …}
 *   hipache:note:<name>       {"text": "…", "until": ms}, without an end {"text": "…"}
 */

/** Marks of one route that are read. Further ones are ignored. */
const marksMax = 10_000;

/** The kinds of keys that the record of a route is read from. */
export const routeKinds = ['frontend', 'down', 'options'] as const satisfies readonly RecordKind[];
type RouteKind = (typeof routeKinds)[number];

/** A record that other programs may write. @param nameOf the names of its keys in the store, for messages. */
export function readRoute(
  { frontend, down, options }: Readonly<Record<RouteKind, string | null>>,
  nameOf: (kind: RouteKind) => string,
): StoredRoute | null {
  const stored = readOptions(nameOf('options'), options);
  if (frontend === null) return routeOfOptions(stored);
  const marks = readMarks(down);
  const diagnostics = [...(stored?.problems ?? [])];
  if (marks === null) {
    const problem = 'is not a JSON object, so marks of other processes are not seen; remove it';
    diagnostics.push(`the value of ${nameOf('down')} ${problem}`);
  }
  const record = readRecord(frontend);
  const rest = { down: marks ?? new Map<string, DownMark>(), diagnostics, ...optionsOfRoute(stored) };
  if (record !== null) return { frontend: record, ...rest };
  const problem = `the value of ${nameOf('frontend')} is not a JSON array; set the route anew`;
  return { frontend: [null], ...rest, problem };
}

/** The options of a pattern; null if there are none. @param key its name in the store, for messages. */
export function readOptions(key: string, text: string | null): StoredOptions | null {
  if (text === null) return null;
  const stored = readOptionObject(parse(text), `the value of ${key}`);
  return stored.options.size === 0 && stored.problems.length === 0 ? null : stored;
}

/** `Object.fromEntries` defines members, also one named `__proto__`. */
export function writeOptions(options: OptionTexts): string {
  return JSON.stringify(Object.fromEntries(options));
}

/** The array of a record; null if it is none. */
export function readRecord(text: string | null): StoredRecord | null {
  const value = parse(text);
  return Array.isArray(value) ? value : null;
}

/** The marks of a route; null if the text is not an object. A mark written by hand may have `until` alone. */
export function readMarks(text: string | null): Map<string, DownMark> | null {
  if (text === null) return new Map();
  const entries = entriesOf(text);
  if (entries === null) return null;
  const marks = new Map<string, DownMark>();
  for (const [url, { until, since, reason, instance }] of entries.slice(0, marksMax)) {
    if (!isTime(until)) continue;
    const sinceMs = isTime(since) ? Math.min(since, until) : until;
    marks.set(url, { untilMs: until, sinceMs, reason: textOf(reason), instance: textOf(instance) });
  }
  return marks;
}

export function writeMarks(marks: ReadonlyMap<string, DownMark>): string {
  return objectText(marks, ({ untilMs, sinceMs, reason, instance }) => ({
    until: Math.round(untilMs),
    since: Math.round(sinceMs),
    reason,
    instance,
  }));
}

/** The series of failures of a route; empty if the text is no object. */
export function readFailures(text: string | null): Map<string, BackendFailures> {
  const failures = new Map<string, BackendFailures>();
  for (const [url, { count, first, last, reason, instance }] of entriesOf(text) ?? []) {
    if (!isTime(count) || !isTime(first) || !isTime(last)) continue;
    failures.set(url, {
      count,
      firstMs: first,
      lastMs: last,
      reason: textOf(reason),
      instance: textOf(instance),
    });
  }
  return failures;
}

export function writeFailures(failures: FailuresByUrl): string {
  return objectText(failures, ({ count, firstMs, lastMs, reason, instance }) => ({
    count,
    first: Math.round(firstMs),
    last: Math.round(lastMs),
    reason,
    instance,
  }));
}

/** @param key its name in the store, for messages. */
export function readCertificate(key: string, text: string): StoredCertificate {
  const value = parse(text);
  if (typeof value !== 'object' || value === null) return unreadable(`the value of ${key} is not a JSON object`);
  const { certificate, key: privateKey } = value as Partial<Record<'certificate' | 'key', unknown>>;
  if (typeof certificate !== 'string') return unreadable(`the value of ${key} has no text "certificate"`);
  if (typeof privateKey !== 'string') return unreadable(`the value of ${key} has no text "key"`);
  return { certificate, key: privateKey };
}

export function writeCertificate({ certificate, key }: CertificatePair): string {
  return JSON.stringify({ certificate, key });
}

interface Note {
  readonly text: string;
  /** When it ends and when it is due, in epoch ms; null for never. */
  readonly untilMs: number | null;
  readonly dueMs: number | null;
}

/** Null if there is none, or if it has ended. */
export function readNote(record: string | null, nowMs: number): Note | null {
  const value = parse(record);
  if (typeof value !== 'object' || value === null) return null;
  const { due, text, until } = value as Partial<Record<'text' | 'until' | 'due', unknown>>;
  if (typeof text !== 'string' || (isTime(until) && until < nowMs)) return null;
  return { text, untilMs: isTime(until) ? until : null, dueMs: isTime(due) ? due : null };
}

/** Times are whole. */
export function writeNote({ dueMs, text, untilMs }: Note): string {
  return JSON.stringify({
    text,
    ...(untilMs === null ? {} : { until: untilMs }),
    ...(dueMs === null ? {} : { due: dueMs }),
  });
}

/** The fields of an instance, as it has written them; those that are no texts are left out. */
export function readFields(text: string): Record<string, string> {
  const value = parse(text);
  if (typeof value !== 'object' || value === null) return {};
  return Object.fromEntries(Object.entries(value).filter(([, field]) => typeof field === 'string'));
}

function unreadable(problem: string): StoredCertificate {
  return { certificate: '', key: '', problem: `${problem}; "hipache cert set" replaces it` };
}

function parse(text: string | null): unknown {
  if (text === null) return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The members of an object that are objects; null if the text is not an object. */
function entriesOf(text: string | null): [string, Record<string, unknown>][] | null {
  const value = parse(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  return Object.entries(value).filter(([, member]) => typeof member === 'object' && member !== null);
}

/** As `writeOptions`, of objects. */
function objectText<Value>(map: ReadonlyMap<string, Value>, write: (value: Value) => object): string {
  return JSON.stringify(Object.fromEntries([...map].map(([url, value]) => [url, write(value)])));
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 && value < 1e15;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

import type { DownMark } from '../../routing/backend.ts';
import type {
  CertificatePair,
  OptionOutcome,
  OptionRecord,
  OptionTexts,
  RouteChange,
  RouteOutcome,
  RouteRecord,
} from '../contract.ts';
import { addFailures, type FailuresByUrl, failuresKeptMs } from '../failures.ts';
import { changeOptions, isSameOptions, noOptions } from '../option-record.ts';
import { changeRecord, identitiesOf, isWritten } from '../record-edit.ts';
import { type KeyValueEdit, type KeyValueWrite, type RecordKey, recordKey } from './client.ts';
import {
  readFailures,
  readMarks,
  readOptions,
  readRecord,
  writeCertificate,
  writeFailures,
  writeMarks,
  writeOptions,
} from './records.ts';

export function changeEdit(change: RouteChange): KeyValueEdit<RouteOutcome> {
  const keys = (['frontend', 'down', 'dead'] as const).map((kind) => recordKey(kind, change.pattern));
  const [frontend, down] = keys as [RecordKey, RecordKey];
  return {
    keys,
    decide(values) {
      const [old = null, marks = null] = values;
      const outcome = changeRecord(change, old === null ? null : (readRecord(old) ?? 'unreadable'));
      const { after } = outcome;
      if (!isWritten(change, outcome)) return { writes: [], result: outcome };
      if (after !== null) {
        const written = { ...write(frontend, after), ...endOf(change, outcome) };
        const writes = [written, ...dropMarks(down, marks, identitiesOf(after), Date.now())];
        return { writes, result: outcome };
      }
      const present = keys.filter((_key, i) => (values[i] ?? null) !== null);
      return { writes: present.map((key) => ({ key, value: null })), result: outcome };
    },
  };
}

/** Several edits in one transaction, each of which decides by its own keys. */
export function composeEdits<Result>(edits: readonly KeyValueEdit<Result>[]): KeyValueEdit<readonly Result[]> {
  return {
    keys: edits.flatMap(({ keys }) => keys),
    decide(values) {
      let next = 0;
      const decisions = edits.map(({ decide, keys }) => {
        const from = next;
        next += keys.length;
        return decide(values.slice(from, next));
      });
      return { writes: decisions.flatMap(({ writes }) => writes), result: decisions.map(({ result }) => result) };
    },
  };
}

/** Records as they are. Marks of URLs that they no longer have mean nothing. */
export function putEdit(records: readonly RouteRecord[]): KeyValueEdit<void> {
  const keys = records.map(({ pattern }) => recordKey('frontend', pattern));
  return {
    keys,
    decide: () => ({
      writes: records.map(({ frontend }, i) => write(keys[i] as RecordKey, frontend)),
      result: undefined,
    }),
  };
}

/** Parts of a text that cannot be read are not kept. */
export function changeOptionsEdit(
  pattern: string,
  changes: ReadonlyMap<string, string | null>,
): KeyValueEdit<OptionOutcome> {
  const key = recordKey('options', pattern);
  return {
    keys: [key],
    decide([text = null]) {
      const { options, problems } = readOptions(key, text) ?? { options: noOptions, problems: [] };
      const result = changeOptions(options, changes);
      const isWhole = problems.length === 0;
      return {
        writes: isWhole && isSameOptions(options, result.after) ? [] : [optionsWrite(key, result.after)],
        result,
      };
    },
  };
}

/** Records as they are. */
export function putOptionsEdit(records: readonly OptionRecord[]): KeyValueEdit<void> {
  const keys = records.map(({ pattern }) => recordKey('options', pattern));
  return {
    keys,
    decide: () => ({
      writes: records.map(({ options }, i) => optionsWrite(keys[i] as RecordKey, options)),
      result: undefined,
    }),
  };
}

/** Of two marks of a backend the one that ends later holds. */
export function writeMarkEdit(pattern: string, url: string, mark: DownMark): KeyValueEdit<void> {
  const down = recordKey('down', pattern);
  return {
    keys: [down],
    decide([text]) {
      const marks = readMarks(text ?? null) ?? new Map<string, DownMark>();
      const known = marks.get(url);
      if (known !== undefined && known.untilMs >= mark.untilMs) return { writes: [], result: undefined };
      marks.set(url, mark);
      return { writes: [marksWrite(down, marks, Date.now())], result: undefined };
    },
  };
}

export function removeMarkEdit(pattern: string, url: string): KeyValueEdit<void> {
  const down = recordKey('down', pattern);
  return {
    keys: [down],
    decide([text]) {
      const marks = readMarks(text ?? null);
      if (marks === null || !marks.delete(url)) return { writes: [], result: undefined };
      return { writes: [marksWrite(down, marks, Date.now())], result: undefined };
    },
  };
}

export function writeCertificateEdit(pattern: string, pair: CertificatePair): KeyValueEdit<void> {
  const key = recordKey('tls', pattern);
  return { keys: [], decide: () => ({ writes: [{ key, value: writeCertificate(pair) }], result: undefined }) };
}

/** The result says whether there was a certificate. */
export function removeCertificateEdit(pattern: string): KeyValueEdit<boolean> {
  const key = recordKey('tls', pattern);
  return {
    keys: [key],
    decide: ([value]) => ({
      writes: value === null ? [] : [{ key, value: null }],
      result: value !== null,
    }),
  };
}

export function addFailuresEdit(pattern: string, added: FailuresByUrl, nowMs: number): KeyValueEdit<void> {
  const key = recordKey('hipache:failed', pattern);
  return {
    keys: [key],
    isCounted: false,
    decide([text]) {
      const stored = readFailures(text ?? null);
      const { written, forgotten } = addFailures(stored, added, nowMs);
      for (const url of forgotten) stored.delete(url);
      for (const [url, failures] of written) stored.set(url, failures);
      const value = stored.size === 0 ? null : writeFailures(stored);
      return { writes: [{ key, value, ttlMs: failuresKeptMs }], result: undefined };
    },
  };
}

function endOf({ kind, ttlSeconds = null }: RouteChange, { before }: RouteOutcome): Partial<KeyValueWrite> {
  if (kind !== 'set') return { keepsEnd: before !== null };
  return ttlSeconds === null ? {} : { ttlMs: ttlSeconds * 1000 };
}

function write(key: RecordKey, record: readonly unknown[]): KeyValueWrite {
  return { key, value: JSON.stringify(record) };
}

function optionsWrite(key: RecordKey, options: OptionTexts): KeyValueWrite {
  return { key, value: options.size === 0 ? null : writeOptions(options) };
}

/** Without those of URLs that the record no longer has. */
function dropMarks(key: RecordKey, text: string | null, kept: ReadonlySet<string>, nowMs: number): KeyValueWrite[] {
  const marks = readMarks(text);
  if (marks === null || marks.size === 0) return [];
  const left = new Map([...marks].filter(([url]) => kept.has(url)));
  return left.size === marks.size ? [] : [marksWrite(key, left, nowMs)];
}

/** Marks that have ended are left out; the store forgets the rest with the last of them. */
function marksWrite(key: RecordKey, marks: ReadonlyMap<string, DownMark>, nowMs: number): KeyValueWrite {
  const live = new Map([...marks].filter(([, { untilMs }]) => untilMs > nowMs));
  if (live.size === 0) return { key, value: null };
  const untilMs = Math.max(...[...live.values()].map((mark) => mark.untilMs));
  return { key, value: writeMarks(live), ttlMs: untilMs - nowMs };
}

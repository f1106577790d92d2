import { addFailures, type BackendFailures, type FailuresByUrl, failuresKeptMs, isRecent } from '../failures.ts';
import type { RedisEdit } from './edits.ts';
import { isWrongType } from './errors.ts';
import type { RedisKeys } from './keys.ts';

/*
 * The hash `hipache:failed:<pattern>`, by backend URL: `<count>;<first ms>;<last ms>;<reason>;<instance>`. It expires as a
 * whole, and each write forgets series that have ended.
 */

export function addFailuresEdit(
  keys: RedisKeys,
  pattern: string,
  added: FailuresByUrl,
  nowMs: number,
): RedisEdit<void> {
  const key = keys.failed(pattern);
  return {
    keys: [key],
    reads: [['HGETALL', key]],
    isCounted: false,
    decide([hash]) {
      const { written, forgotten } = addFailures(parseFailures(hash), added, nowMs);
      if (written.size === 0) return { commands: [], result: undefined };
      return {
        commands: [
          ...(isWrongType(hash) ? [['DEL', key]] : []),
          ...(forgotten.length > 0 ? [['HDEL', key, ...forgotten]] : []),
          ['HSET', key, ...[...written].flatMap(([url, failures]) => [url, format(failures)])],
          ['EXPIRE', key, String(failuresKeptMs / 1000)],
        ],
        result: undefined,
      };
    },
  };
}

/** The series that have not ended. @param hash the reply to HGETALL. */
export function recentFailures(hash: unknown, nowMs: number): FailuresByUrl {
  return new Map([...parseFailures(hash)].filter(([, failures]) => isRecent(failures, nowMs)));
}

function parseFailures(hash: unknown): Map<string, BackendFailures> {
  const failures = new Map<string, BackendFailures>();
  const fields = Array.isArray(hash) ? (hash as string[]) : [];
  for (let i = 0; i + 1 < fields.length; i += 2) {
    // A value that another program wrote counts as none, and a write replaces it.
    failures.set(fields[i] as string, parse(fields[i + 1] as string) ?? ended);
  }
  return failures;
}

function parse(value: string): BackendFailures | null {
  const match = /^(?<count>\d{1,15});(?<first>\d{1,15});(?<last>\d{1,15});(?<reason>[^;]*);(?<instance>[^;]*)$/.exec(
    value,
  );
  if (match?.groups === undefined) return null;
  const { count, first, last, reason = '', instance = '' } = match.groups;
  return { count: Number(count), firstMs: Number(first), lastMs: Number(last), reason, instance };
}

function format({ count, firstMs, lastMs, reason, instance }: BackendFailures): string {
  const [shownReason, shownInstance] = [reason, instance].map((text) => text.replaceAll(';', ','));
  return `${count};${Math.round(firstMs)};${Math.round(lastMs)};${shownReason};${shownInstance}`;
}

const ended: BackendFailures = { count: 0, firstMs: 0, lastMs: 0, reason: '', instance: '' };

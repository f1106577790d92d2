import { createHash } from 'node:crypto';
import { HipacheError } from '../base/errors.ts';
import { backendsMax } from '../routing/record.ts';
import type { StoredRecord } from './record-edit.ts';

/** The version of a record that does not exist. */
export const absentVersion = 'none';

/** Hexadecimal digits of a version: two records of one host never have the same one by chance. */
const digits = 16;
const versionForm = new RegExp(`^(?:${absentVersion}|[0-9a-f]{${digits}})$`);

/**
 * The version of a record: a digest of its content, the same in every store, also if another program has written it. Backends that do
 * not count are not part of it.
 */
export function recordVersion(record: StoredRecord | null): string {
  if (record === null) return absentVersion;
  const text = JSON.stringify(record.slice(0, backendsMax + 1));
  return createHash('sha256').update(text).digest('hex').slice(0, digits);
}

export function isVersion(text: string): boolean {
  return versionForm.test(text);
}

/** @throws HipacheError CONFLICT if the record has another version. */
export function requireVersion(pattern: string, record: StoredRecord | null, wanted: string): void {
  const present = recordVersion(record);
  if (present === wanted) return;
  const problem = `the change requires ${described(wanted)}, but it has ${described(present)}`;
  throw new HipacheError('CONFLICT', `${pattern}: ${problem}; nothing is written`);
}

function described(version: string): string {
  return version === absentVersion ? 'no route' : `version ${version}`;
}

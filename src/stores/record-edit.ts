import { backendIdentity, readBackendUrl } from '../routing/backend-url.ts';
import type { RouteChange, RouteOutcome } from './contract.ts';
import { requireVersion } from './record-version.ts';

/** A record as a store holds it, `[identifier, url, url, …]`; elements that are not strings stay in place. */
export type StoredRecord = readonly unknown[];

/** A record before an edit: null if there is none, `unreadable` if something else is in its place. */
export type OldRecord = StoredRecord | 'unreadable' | null;

/** @throws HipacheError CONFLICT if the condition of the change does not hold. */
export function changeRecord(change: RouteChange, old: OldRecord): RouteOutcome {
  const { kind, pattern, urls, id = null, ifVersion } = change;
  const before = old === 'unreadable' ? [null] : old;
  if (ifVersion !== undefined) requireVersion(pattern, before, ifVersion);
  const readable = old === 'unreadable' ? null : old;
  if (kind === 'set') return { before, after: [id ?? identifierOf(readable, pattern), ...urls] };
  if (kind === 'add') return { before, after: addToRecord(readable, pattern, urls) };
  // Something that is no record has no URLs to remove; it can only go as a whole.
  if (old === 'unreadable') return { before, after: urls.length === 0 ? null : before };
  return { before, after: old === null ? null : removeFromRecord(old, urls).remaining };
}

/** Whether a change has to be written. One that sets a record is, so that its marks are those of its backends. */
export function isWritten({ kind }: RouteChange, { before, after }: RouteOutcome): boolean {
  return kind === 'set' || JSON.stringify(before) !== JSON.stringify(after);
}

/**
 * Appends the URLs that the record does not have. A URL that it has keeps its place, and gets the settings of the new one
 * (`#weight=`, `#backup`, `#canary=`); those that the new one does not have stay. Duplicates that are in the record stay: they count as weight in
 * Hipache's records.
 */
function addToRecord(old: StoredRecord | null, pattern: string, urls: readonly string[]): unknown[] {
  const record: unknown[] = old === null || old.length === 0 ? [pattern] : [...old];
  const positions = new Map<string, number>();
  for (let i = 1; i < record.length; i++) {
    const url = record[i];
    if (typeof url !== 'string') continue;
    const identity = backendIdentity(url);
    if (!positions.has(identity)) positions.set(identity, i);
  }
  for (const url of urls) {
    const identity = backendIdentity(url);
    const position = positions.get(identity);
    if (position === undefined) positions.set(identity, record.push(url) - 1);
    else record[position] = withSettings(record[position] as string, url);
  }
  return record;
}

/**
 * Removes URLs from a record, whatever their weights. If `urls` is empty, removes all of it.
 * @returns the remaining record, null if it has no URL left, and the removed URLs as the record had them.
 */
export function removeFromRecord(
  old: StoredRecord,
  urls: readonly string[],
): { remaining: unknown[] | null; removed: string[] } {
  const unwanted = new Set(urls.map(backendIdentity));
  const removed: string[] = [];
  const remaining: unknown[] = [old[0]];
  for (const url of old.slice(1)) {
    if (typeof url === 'string' && (urls.length === 0 || unwanted.has(backendIdentity(url)))) removed.push(url);
    else remaining.push(url);
  }
  const keeps = urls.length > 0 && remaining.length > 1;
  return { remaining: keeps ? remaining : null, removed };
}

/** The identities of the record's URLs. Only their dead marks have a meaning. */
export function identitiesOf(record: StoredRecord): Set<string> {
  const identities = new Set<string>();
  for (const url of record.slice(1)) if (typeof url === 'string') identities.add(backendIdentity(url));
  return identities;
}

/** A URL of the record with the settings of another one. */
function withSettings(written: string, given: string): string {
  const before = new Map(settingsOf(written));
  // A backend that is added again gets requests again.
  const wasDraining = before.delete('drain');
  const asked = [...settingsOf(given)];
  const isAlready = asked.every(([name, value]) => (before.get(name) ?? (name === 'weight' ? '1' : null)) === value);
  if (isAlready && !wasDraining) return written;
  const settings = [...new Map([...before, ...asked])].map(([name, value]) =>
    value === '' ? name : `${name}=${value}`,
  );
  return `${backendIdentity(given)}${settings.length === 0 ? '' : '#'}${settings.join('&')}`;
}

function settingsOf(url: string): ReadonlyMap<string, string> {
  return new Map(new URLSearchParams(readBackendUrl(url).target?.fragment.slice(1) ?? ''));
}

function identifierOf(record: StoredRecord | null, pattern: string): string {
  const id = record?.[0];
  return typeof id === 'string' ? id : pattern;
}

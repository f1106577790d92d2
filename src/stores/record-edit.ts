import { backendIdentity } from '../routing/backend-url.ts';

/** A record as a store holds it, `[identifier, url, url, …]`; elements that are not strings are carried along. */
export type StoredRecord = readonly unknown[];

/** The record that `set` makes: `id` null keeps the identifier of `old`, else the pattern is the identifier. */
export function setRecord(
  old: StoredRecord | null,
  pattern: string,
  id: string | null,
  urls: readonly string[],
): unknown[] {
  return [id ?? identifierOf(old, pattern), ...urls];
}

/**
 * The record with the URLs that it does not have yet at its end. One that it has is left as it is, unless it is given
 * with another `#weight=`, which then replaces the old one in place. Duplicates count as weight in Hipache's records,
 * so those that are in the record already stay.
 */
export function addToRecord(old: StoredRecord | null, pattern: string, urls: readonly string[]): unknown[] {
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
    else if (url.includes('#')) record[position] = url;
  }
  return record;
}

/**
 * Takes URLs out of a record, whatever weight they are written with, all of it where none are given.
 * @returns the record that remains, null where no URL does, and the URLs that were removed, as they stood in it.
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

/** The identities of the record's URLs: those whose dead marks have a meaning. */
export function identitiesOf(record: StoredRecord): Set<string> {
  const identities = new Set<string>();
  for (const url of record.slice(1)) if (typeof url === 'string') identities.add(backendIdentity(url));
  return identities;
}

function identifierOf(record: StoredRecord | null, pattern: string): string {
  const id = record?.[0];
  return typeof id === 'string' ? id : pattern;
}

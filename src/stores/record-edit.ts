import { backendIdentity } from '../routing/backend-url.ts';

/** A record as a store holds it, `[identifier, url, url, …]`; elements that are not strings stay in place. */
export type StoredRecord = readonly unknown[];

/** The record that `set` writes. If `id` is null, it keeps the identifier of `old`; without one it gets the pattern. */
export function setRecord(
  old: StoredRecord | null,
  pattern: string,
  id: string | null,
  urls: readonly string[],
): unknown[] {
  return [id ?? identifierOf(old, pattern), ...urls];
}

/**
 * Appends the URLs that the record does not have. A URL that it has keeps its place; if the new one has a `#weight=`,
 * it replaces the old one. Duplicates that are in the record stay: they count as weight in Hipache's records.
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

function identifierOf(record: StoredRecord | null, pattern: string): string {
  const id = record?.[0];
  return typeof id === 'string' ? id : pattern;
}

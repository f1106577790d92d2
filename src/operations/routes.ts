import { HipacheError } from '../base/errors.ts';
import { printable } from '../base/printable.ts';
import { shownBackend } from '../base/shown-url.ts';
import { backendIdentity, parseBackendUrl, readBackendUrl } from '../routing/backend-url.ts';
import { parsePattern } from '../routing/host.ts';
import { buildFrontend } from '../routing/record.ts';
import type { Store } from '../stores/contract.ts';
import type { Operation } from './operation.ts';

/** The part of a store that these operations work on. */
type Routes = Pick<Store, 'routes'>;

const pageSize = 1000;

/** One record of a listing, unparsed. */
export interface ListedRoute {
  readonly pattern: string;
  /** The first element of the record, whatever it is. */
  readonly id: unknown;
  readonly backends: readonly unknown[];
}

/** The record of one pattern. */
export interface ShownRoute {
  readonly pattern: string;
  readonly id: string;
  readonly backends: readonly { readonly index: number; readonly url: string; readonly weight: number }[];
  readonly problems: readonly string[];
}

export interface WrittenRoute {
  readonly pattern: string;
  readonly action: 'created' | 'replaced';
  readonly backends: readonly string[];
}

export interface AddedBackends {
  readonly pattern: string;
  /** The record did not exist before. */
  readonly isNew: boolean;
  readonly added: readonly string[];
  /** Backends that got another weight, or name for TLS, as they are written now. */
  readonly changed: readonly string[];
  readonly already: readonly string[];
}

export interface RemovedBackends {
  readonly pattern: string;
  readonly removed: readonly string[];
  /** Backends that were named and not in the record. */
  readonly absent: readonly string[];
  /** Backends that remain; null where the record is gone. */
  readonly left: number | null;
}

/** Every route of a store, page by page, in code point order. */
export async function* listRoutes({ routes }: Routes): AsyncGenerator<readonly ListedRoute[]> {
  let after = '';
  for (;;) {
    const page = await routes.list(after, pageSize);
    const last = page.at(-1);
    if (last === undefined) return;
    yield page.map(({ pattern, frontend }) => ({
      pattern,
      id: frontend[0],
      backends: frontend.slice(1).map(shownElement),
    }));
    after = last.pattern;
  }
}

/**
 * Reads the record of exactly one pattern.
 * @throws HipacheError COMMAND_INVALID, NOT_FOUND.
 */
export function showRoute(host: string): Operation<Routes, ShownRoute> {
  const pattern = parsePattern(host);
  return async ({ routes }) => {
    const [record] = await routes.read([pattern]);
    if (record === null || record === undefined) throw noRoute(pattern);
    const { id, backends, problems } = buildFrontend(pattern, record);
    return {
      pattern,
      id,
      backends: backends.map(({ index, url, weight }) => ({ index, url, weight })),
      problems: problems.map(({ message }) => message),
    };
  };
}

/**
 * Makes or replaces a record.
 * @param id null keeps the identifier of an existing record; a new record gets the pattern as its identifier.
 * @throws HipacheError COMMAND_INVALID.
 */
export function setRoute(host: string, urls: readonly string[], id: string | null): Operation<Routes, WrittenRoute> {
  const pattern = parsePattern(host);
  const backends = checkUrls(urls);
  if (id === '') throw new HipacheError('COMMAND_INVALID', 'the id is empty; leave --id out to keep or derive it');
  return async ({ routes }) => {
    const [before] = await routes.read([pattern]);
    await routes.set(pattern, id, backends);
    return { pattern, action: before === null || before === undefined ? 'created' : 'replaced', backends };
  };
}

/**
 * Adds backends to a record, and makes the record if it does not exist. A backend that the record has with another
 * weight or name for TLS gets the new one; the setting that is not given stays.
 * @throws HipacheError COMMAND_INVALID.
 */
export function addBackends(host: string, urls: readonly string[]): Operation<Routes, AddedBackends> {
  const pattern = parsePattern(host);
  const checked = checkUrls(urls);
  return async ({ routes }) => {
    const [before] = await routes.read([pattern]);
    const present = new Map(urlsOf(before?.frontend).map((url) => [backendIdentity(url), url]));
    const added: string[] = [];
    const changed: string[] = [];
    const already: string[] = [];
    for (const url of checked) {
      const known = present.get(backendIdentity(url));
      if (known === undefined) added.push(url);
      else if (isAlready(known, url)) already.push(url);
      else changed.push(mergeSettings(known, url));
    }
    if (added.length + changed.length > 0) await routes.add(pattern, [...added, ...changed]);
    return { pattern, isNew: before === null || before === undefined, added, changed, already };
  };
}

/**
 * Takes backends from a record, the whole record if none are named or none remain. A URL names its backend with or
 * without its weight; everything that stands in the record can be removed, also text that is not a URL.
 * @throws HipacheError COMMAND_INVALID; NOT_FOUND if the record or all named backends do not exist.
 */
export function removeBackends(host: string, urls: readonly string[]): Operation<Routes, RemovedBackends> {
  const pattern = parsePattern(host);
  return async ({ routes }) => {
    const [before] = await routes.read([pattern]);
    if (before === null || before === undefined) throw noRoute(pattern);
    const written = urlsOf(before.frontend);
    const meant = written.filter((known) => urls.some((url) => sameBackend(known, url)));
    const absent = urls.filter((url) => !written.some((known) => sameBackend(known, url)));
    if (urls.length > 0 && meant.length === 0) throw noBackend(pattern, absent);
    const removed = await routes.remove(pattern, meant);
    if (removed === null) throw noRoute(pattern);
    const [after] = await routes.read([pattern]);
    return {
      pattern,
      removed: removed.map(shownBackend),
      absent: absent.map(shownBackend),
      left: after === null || after === undefined ? null : urlsOf(after.frontend).length,
    };
  };
}

/** Backends of a record for a message, on one line. */
export function shownUrls(urls: readonly unknown[]): string {
  return urls.map((url) => printable(typeof url === 'string' ? shownBackend(url) : JSON.stringify(url))).join(' ');
}

function shownElement(element: unknown): unknown {
  return typeof element === 'string' ? shownBackend(element) : element;
}

/** Each URL in the form in which it is stored: with the settings that it was given, and no others. */
function checkUrls(urls: readonly string[]): string[] {
  const seen = new Set<string>();
  return urls.map((value) => {
    const { url, fragment } = parseBackendUrl(value);
    if (seen.has(url)) {
      throw new HipacheError('COMMAND_INVALID', `${url} is given twice; a larger share is written ${url}#weight=2`);
    }
    seen.add(url);
    return `${url}${fragment}`;
  });
}

function urlsOf(frontend: readonly unknown[] | undefined): string[] {
  return (frontend ?? []).slice(1).filter((url) => typeof url === 'string');
}

function sameBackend(written: string, given: string): boolean {
  return written === given || backendIdentity(written) === backendIdentity(given);
}

/** Whether the backend already has the settings that it is given, if any. */
function isAlready(written: string, given: string): boolean {
  const [before, asked] = [settingsOf(written), settingsOf(given)];
  return [...asked].every(([name, value]) => (before.get(name) ?? (name === 'weight' ? '1' : '')) === value);
}

/** A backend of the record with the settings that it is given anew; those that are not given stay. */
function mergeSettings(written: string, given: string): string {
  const settings = new Map([...settingsOf(written), ...settingsOf(given)]);
  return `${backendIdentity(given)}#${[...settings].map(([name, value]) => `${name}=${value}`).join('&')}`;
}

function settingsOf(url: string): ReadonlyMap<string, string> {
  return new Map(new URLSearchParams(readBackendUrl(url).target?.fragment.slice(1) ?? ''));
}

function noRoute(pattern: string): HipacheError {
  return new HipacheError(
    'NOT_FOUND',
    `${pattern} has no route; "hipache route list" shows those that there are, "hipache explain" what a host matches`,
  );
}

function noBackend(pattern: string, urls: readonly string[]): HipacheError {
  return new HipacheError(
    'NOT_FOUND',
    `${pattern} has no backend ${shownUrls(urls)}; "hipache route show ${pattern}" lists them`,
  );
}

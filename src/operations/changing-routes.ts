import { HipacheError } from '../base/errors.ts';
import { shownBackend } from '../base/shown-url.ts';
import { backendIdentity, parseBackendUrl } from '../routing/backend-url.ts';
import { parseRoutePattern } from '../routing/patterns.ts';
import { hasRoute, type RouteChange, type RouteOutcome, type Store } from '../stores/contract.ts';
import { changeRecord, removeFromRecord } from '../stores/record-edit.ts';
import { isVersion, recordVersion } from '../stores/record-version.ts';
import { requireCapable } from '../stores/route-editing.ts';
import { checkPaths, listPaths, type PathStore, pathWarning } from './listed-paths.ts';
import type { Operation } from './operation.ts';
import { noRoute, shownUrls } from './routes.ts';

export { absentVersion } from '../stores/record-version.ts';

/** The part of a store that these operations work on. */
type EditedStore = Pick<Store, 'capabilities'> & PathStore;

/** Further settings of a change. */
export interface ChangeOptions {
  /** Of a route that is set; null keeps that of an existing record, and a new one gets the pattern. */
  readonly id?: string | null;
  /** The version that the record must have; undefined: any. */
  readonly ifVersion?: string | undefined;
  /** Of a route that is set: after so many seconds the store removes it; null: never. */
  readonly ttlSeconds?: number | null;
}

/** Longest time to live. A route that stays longer needs none. */
const ttlSecondsMax = 366 * 24 * 3600;

interface ChangedRoute {
  readonly pattern: string;
  /** Of the record after the change. */
  readonly version: string;
  /** Why no request comes to the route, if so. */
  readonly warning?: string;
}

export interface WrittenRoute extends ChangedRoute {
  readonly kind: 'set';
  readonly action: 'created' | 'replaced';
  readonly backends: readonly string[];
  /** After so many seconds the store removes it; null: never. */
  readonly ttlSeconds: number | null;
}

export interface AddedBackends extends ChangedRoute {
  readonly kind: 'add';
  /** The record did not exist before. */
  readonly isNew: boolean;
  readonly added: readonly string[];
  /** Backends that got another weight, or name for TLS, as they are written now. */
  readonly changed: readonly string[];
  readonly already: readonly string[];
}

export interface RemovedBackends extends ChangedRoute {
  readonly kind: 'remove';
  /** The record did not exist before either. */
  readonly wasAbsent: boolean;
  readonly removed: readonly string[];
  /** Backends that were named and not in the record. */
  readonly absent: readonly string[];
  /** Backends that remain; null where the record is gone. */
  readonly left: number | null;
}

export type AppliedChange = WrittenRoute | AddedBackends | RemovedBackends;

/** @throws HipacheError COMMAND_INVALID for a pattern, a URL, an id, a version or a time to live that is none. */
export function checkChange(
  kind: RouteChange['kind'],
  host: string,
  urls: readonly string[],
  { id = null, ifVersion, ttlSeconds = null }: ChangeOptions,
): RouteChange {
  const pattern = parseRoutePattern(host);
  if (id === '') throw new HipacheError('COMMAND_INVALID', 'the id is empty; leave it out to keep or derive it');
  if (ifVersion !== undefined && !isVersion(ifVersion)) {
    const found = `the version ${JSON.stringify(ifVersion)}`;
    throw new HipacheError('COMMAND_INVALID', `${found} is none; "hipache route show" prints it, or it is "none"`);
  }
  if (ttlSeconds !== null && !(Number.isInteger(ttlSeconds) && ttlSeconds >= 1 && ttlSeconds <= ttlSecondsMax)) {
    const allowed = `a whole number of seconds, 1 to ${ttlSecondsMax}`;
    throw new HipacheError('COMMAND_INVALID', `time to live: found ${ttlSeconds}, allowed ${allowed}`);
  }
  // Everything that is in a record can be removed, also text that is not a URL.
  return { kind, pattern, urls: kind === 'remove' ? urls : checkUrls(urls), id, ifVersion, ttlSeconds };
}

/** Makes or replaces a record. @throws HipacheError COMMAND_INVALID, CONFLICT. */
export function setRoute(
  host: string,
  urls: readonly string[],
  options: ChangeOptions,
): Operation<EditedStore, WrittenRoute> {
  const change = checkChange('set', host, urls, options);
  return async (store) => withWarning(store, written(change, await applyOne(store, change)));
}

/**
 * Adds backends to a record, and makes the record if it does not exist. A backend that the record has with another
 * weight or name for TLS gets the new one; the setting that is not given stays.
 * @throws HipacheError COMMAND_INVALID, CONFLICT.
 */
export function addBackends(
  host: string,
  urls: readonly string[],
  options: ChangeOptions,
): Operation<EditedStore, AddedBackends> {
  const change = checkChange('add', host, urls, options);
  return async (store) => withWarning(store, added(change, await applyOne(store, change)));
}

/**
 * Takes backends from a record, the whole record if none are named or none remain. A URL names its backend with or
 * without its weight.
 * @throws HipacheError COMMAND_INVALID, CONFLICT; NOT_FOUND if the record or all named backends do not exist.
 */
export function removeBackends(
  host: string,
  urls: readonly string[],
  options: ChangeOptions,
): Operation<EditedStore, RemovedBackends> {
  const change = checkChange('remove', host, urls, options);
  return async (store) => {
    const result = removed(change, await applyOne(store, change));
    if (result.wasAbsent) throw noRoute(change.pattern);
    if (urls.length > 0 && result.removed.length === 0) throw noBackend(change.pattern, result.absent);
    return result;
  };
}

/**
 * Makes changes of different patterns, all of them or none. A backend or record that is to be removed may be absent.
 * @param isDry whether nothing is written.
 * @throws HipacheError CONFLICT, STORE_UNSUPPORTED.
 */
export function applyChanges(
  changes: readonly RouteChange[],
  isDry: boolean,
): Operation<EditedStore, readonly AppliedChange[]> {
  return async (store) => {
    const outcomes = isDry ? await foresee(store, changes) : await applyAll(store, changes);
    return outcomes.map((outcome, i) => {
      const change = changes[i] as RouteChange;
      if (change.kind === 'set') return written(change, outcome);
      return change.kind === 'add' ? added(change, outcome) : removed(change, outcome);
    });
  };
}

/** The outcomes that changes would have. */
async function foresee(
  { capabilities, routes }: EditedStore,
  changes: readonly RouteChange[],
): Promise<readonly RouteOutcome[]> {
  requireCapable(changes, capabilities);
  const records = await routes.read(changes.map(({ pattern }) => pattern));
  return changes.map((change, i) => {
    const record = records[i] ?? null;
    if (!hasRoute(record)) return changeRecord(change, null);
    return changeRecord(change, record.problem === undefined ? record.frontend : 'unreadable');
  });
}

async function applyOne(store: EditedStore, change: RouteChange): Promise<RouteOutcome> {
  const [outcome] = await applyAll(store, [change]);
  if (outcome === undefined) throw new Error('a change without an outcome');
  return outcome;
}

/** Makes changes. A prefix of paths is named by its host once it has a route, and not any more when that is gone. */
async function applyAll(store: EditedStore, changes: readonly RouteChange[]): Promise<readonly RouteOutcome[]> {
  await checkPaths(
    store,
    changes.filter(({ kind }) => kind !== 'remove').map(({ pattern }) => pattern),
  );
  const outcomes = await store.routes.apply(changes);
  const [present, gone] = [true, false].map((isThere) =>
    changes.filter((_, i) => ((outcomes[i]?.after ?? null) !== null) === isThere).map(({ pattern }) => pattern),
  );
  await listPaths(store, present ?? [], true);
  await listPaths(store, gone ?? [], false);
  return outcomes;
}

async function withWarning<Changed extends ChangedRoute>(store: EditedStore, changed: Changed): Promise<Changed> {
  const warning = await pathWarning(store, changed.pattern);
  return warning === null ? changed : { ...changed, warning };
}

function written({ pattern, ttlSeconds = null, urls }: RouteChange, { before, after }: RouteOutcome): WrittenRoute {
  const action = before === null ? 'created' : 'replaced';
  return { kind: 'set', pattern, action, backends: urls, ttlSeconds, version: recordVersion(after) };
}

function added({ pattern, urls }: RouteChange, { before, after }: RouteOutcome): AddedBackends {
  const [known, present] = [byIdentity(before), byIdentity(after)];
  const lists = { added: [] as string[], changed: [] as string[], already: [] as string[] };
  for (const url of urls) {
    const identity = backendIdentity(url);
    const [old, now] = [known.get(identity), present.get(identity) ?? url];
    if (old === undefined) lists.added.push(url);
    else if (old === now) lists.already.push(url);
    else lists.changed.push(now);
  }
  return { kind: 'add', pattern, isNew: before === null, ...lists, version: recordVersion(after) };
}

function removed({ pattern, urls }: RouteChange, { before, after }: RouteOutcome): RemovedBackends {
  const known = byIdentity(before);
  return {
    kind: 'remove',
    pattern,
    wasAbsent: before === null,
    removed: before === null ? [] : removeFromRecord(before, urls).removed.map(shownBackend),
    absent: urls.filter((url) => !known.has(backendIdentity(url))).map(shownBackend),
    left: after === null ? null : urlsOf(after).length,
    version: recordVersion(after),
  };
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

/** The first URL of each backend, as it is written. */
function byIdentity(record: readonly unknown[] | null): ReadonlyMap<string, string> {
  return new Map(
    urlsOf(record)
      .toReversed()
      .map((url) => [backendIdentity(url), url]),
  );
}

function urlsOf(record: readonly unknown[] | null): string[] {
  return (record ?? []).slice(1).filter((url) => typeof url === 'string');
}

export function noBackend(pattern: string, urls: readonly string[]): HipacheError {
  return new HipacheError(
    'NOT_FOUND',
    `${pattern} has no backend ${shownUrls(urls)}; "hipache route show ${pattern}" lists them`,
  );
}

import { HipacheError } from '../base/errors.ts';
import { printable } from '../base/printable.ts';
import { shownBackend } from '../base/shown-url.ts';
import type { Backend } from '../routing/backend.ts';
import { type Frontend, servingBackends } from '../routing/frontend.ts';
import { parseRoutePattern } from '../routing/patterns.ts';
import { buildFrontend } from '../routing/record.ts';
import { hasRoute, type RouteReader, type RouteRecord, type Store } from '../stores/contract.ts';
import { recordVersion } from '../stores/record-version.ts';
import { type RouteExpiry, toExpiry } from './expiry.ts';
import type { Operation } from './operation.ts';
import { type PatternSearch, type RouteSearch, sweepFor } from './route-search.ts';

/** The part of a store that these operations work on. */
type Routes = Pick<Store, 'routes'>;

/** One record of a listing, unparsed. */
export interface ListedRoute {
  readonly pattern: string;
  /** The first element of the record, whatever it is. */
  readonly id: unknown;
  readonly backends: readonly unknown[];
}

interface ShownBackend {
  readonly index: number;
  readonly url: string;
  readonly weight: number;
  /** Whether it gets requests only while no other backend can be used. */
  readonly backup: boolean;
  /** The share of the clients, in percent, that all canaries of the route get; null for other backends. */
  readonly canary: number | null;
}

/** The record of one pattern. */
export interface ShownRoute {
  readonly pattern: string;
  readonly id: string;
  /** As a change may require it: `ChangeOptions.ifVersion`. */
  readonly version: string;
  readonly backends: readonly ShownBackend[];
  /** The backends as the record has them, with everything behind `#`; passwords are masked. */
  readonly elements: readonly unknown[];
  /** Backends that get no requests, and when what is in progress there is ended: ISO 8601, UTC. */
  readonly draining: readonly { readonly url: string; readonly until: string }[];
  readonly problems: readonly string[];
  /** Null if it does not expire. */
  readonly expires: RouteExpiry | null;
}

/** Which entries of a listing are wanted. */
export interface Page {
  /** Only entries behind this one. */
  readonly after: string;
  /** The most that are wanted. */
  readonly limit: number;
}

/** Where the next page begins; null if this one was the last. @param got the entries of this one. */
export function nextAfter(got: readonly string[], limit: number): string | null {
  return got.length < limit ? null : (got.at(-1) ?? null);
}

/**
 * Routes of a store in code point order.
 * @param page which ones. @param index what knows the patterns without the store; null for none.
 */
export async function pageOfRoutes(
  { routes }: Routes,
  page: PatternSearch,
  index: RouteSearch | null,
): Promise<{ routes: ListedRoute[]; next: string | null }> {
  const beganMs = performance.now();
  const names = (await index?.find(page, routes)) ?? (page.contains === '' ? null : await sweepFor(page, routes));
  const found = names === null ? await listed(routes, page) : await readAll(routes, names);
  if (names === null) index?.took(performance.now() - beganMs);
  return {
    routes: found.map(({ pattern, frontend }) => ({
      pattern,
      id: frontend[0] ?? null,
      backends: frontend.slice(1).map(shownElement),
    })),
    next: nextAfter(names ?? found.map(({ pattern }) => pattern), page.limit),
  };
}

async function readAll(routes: RouteReader, patterns: readonly string[]): Promise<readonly RouteRecord[]> {
  const records = patterns.length === 0 ? [] : await routes.read(patterns);
  return patterns.flatMap((pattern, index) => {
    const record = records[index] ?? null;
    return hasRoute(record) ? [{ pattern, frontend: record.frontend }] : [];
  });
}

async function listed(
  routes: Routes['routes'],
  { after, limit, prefix }: PatternSearch,
): Promise<readonly RouteRecord[]> {
  const found: RouteRecord[] = [];
  // The list has what follows a pattern; the prefix itself may be one.
  if (prefix !== '' && after < prefix) {
    const [record = null] = await routes.read([prefix]);
    if (hasRoute(record)) found.push({ pattern: prefix, frontend: record.frontend });
  }
  const others = await routes.list(after < prefix ? prefix : after, limit - found.length);
  found.push(...others.filter(({ pattern }) => pattern.startsWith(prefix)));
  return found;
}

/**
 * Reads the record of exactly one pattern.
 * @throws HipacheError COMMAND_INVALID, NOT_FOUND.
 */
export function showRoute(host: string, now: () => number): Operation<Routes, ShownRoute> {
  const pattern = parseRoutePattern(host);
  return async ({ routes }) => {
    const [record = null] = await routes.read([pattern]);
    if (!hasRoute(record)) throw noRoute(pattern);
    const frontend = buildFrontend(pattern, record);
    const { id, draining, problems } = frontend;
    const expiryMs = await routes.expiry(pattern);
    return {
      pattern,
      id,
      version: recordVersion(record.frontend),
      elements: record.frontend.slice(1).map(shownElement),
      backends: shownBackends(frontend).map(({ backend: { index, isBackup, url, weight }, canary }) => ({
        index,
        url,
        weight,
        backup: isBackup,
        canary,
      })),
      draining: shownDraining(draining),
      problems: problems.map(({ message }) => message),
      expires: toExpiry(expiryMs, now()),
    };
  };
}

/** The backends that get requests, in the order of the record. */
export function shownBackends(frontend: Frontend): { readonly backend: Backend; readonly canary: number | null }[] {
  const { backends, canary } = frontend;
  const all = servingBackends(frontend).map((backend) => ({
    backend,
    canary: canary === null || backends.includes(backend) ? null : canary.share,
  }));
  return all.toSorted((one, other) => one.backend.index - other.backend.index);
}

export function shownDraining(draining: readonly Backend[]): ShownRoute['draining'] {
  return draining.map(({ drainUntilMs, url }) => ({ url, until: new Date(drainUntilMs ?? 0).toISOString() }));
}

/** Backends of a record for a message, on one line. */
export function shownUrls(urls: readonly unknown[]): string {
  return urls.map((url) => printable(typeof url === 'string' ? shownBackend(url) : JSON.stringify(url))).join(' ');
}

function shownElement(element: unknown): unknown {
  return typeof element === 'string' ? shownBackend(element) : element;
}

export function noRoute(pattern: string): HipacheError {
  return new HipacheError(
    'NOT_FOUND',
    `${pattern} has no route; "hipache route list" shows those that there are, "hipache explain" what a host matches`,
  );
}

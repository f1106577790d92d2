import { eachOf } from '../base/each-of.ts';
import { HipacheError } from '../base/errors.ts';
import { pathsOption } from '../policy/path-types.ts';
import { problemsOf } from '../policy/read-options.ts';
import { parseBackendUrl } from '../routing/backend-url.ts';
import { hostPatternOf, parseRoutePattern } from '../routing/patterns.ts';
import type { Operation } from './operation.ts';
import {
  grantWish,
  type HostOutcome,
  type HostRefusal,
  type OwnedStore,
  readHostOwnership,
  refusalOf,
} from './owned-host.ts';
import {
  addSource,
  changeHosts,
  hostsOf,
  listSources,
  readSource,
  removeSource,
  type Source,
  type SourceState,
  writeSource,
} from './owned-index.ts';

/** Backends that one source may want for one host. */
export const ownedBackendsMax = 1000;
/** Hosts that are worked on at the same time. */
const hostsAtOnce = 16;
/** A holder that has not been seen for so long has gone, in ms. */
const holderGoneMs = 90_000;

/** A route that a source wants. */
interface WantedRoute {
  readonly host: string;
  /** None: the source does not want it any more. */
  readonly backends: readonly string[];
  readonly options: Readonly<Record<string, string>>;
}

/** All that a source wants, or a part of it. */
export interface Wish extends Source {
  readonly routes: readonly WantedRoute[];
  /** Whether these are all of its routes, so that it gives up others that it has. */
  readonly complete: boolean;
  /** Whether routes that nobody owns are taken over. */
  readonly adopt: boolean;
  /** The process that keeps the routes of the source; null: none. It is compared if the wish is complete. */
  readonly holder: string | null;
  /** Whether the holder gives up the source, so that another one can have it at once. */
  readonly release: boolean;
}

interface RefusedRoute extends HostRefusal {
  readonly host: string;
}

/** The changes that were made for a source. */
export interface OwnedChanges {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  /** How many hosts are as they were. */
  readonly unchanged: number;
  /** Hosts that were left alone. */
  readonly refused: readonly RefusedRoute[];
  /** Options that another source wants otherwise, and was there first. */
  readonly conflicts: readonly { readonly host: string; readonly option: string; readonly holder: string }[];
}

export interface ListedSource extends Source {
  /** Hosts that it had when it was seen last. */
  readonly hosts: number;
  /** ISO 8601, UTC; null if it has never given all of its routes. */
  readonly seen: string | null;
  readonly holder: string | null;
}

/** The owner of a host. */
export interface HostOwner {
  readonly pattern: string;
  /** Null: nobody; the route, if there is one, was made by hand. */
  readonly owner: string | null;
  readonly sources: readonly { readonly source: string; readonly backends: readonly string[] }[];
  /** Names of options that the owner has set. */
  readonly options: readonly string[];
}

/** A route that has been checked. */
interface CheckedRoute {
  readonly pattern: string;
  readonly wanted: { readonly backends: string[]; readonly options: Record<string, string> } | null;
}

/**
 * Makes the routes of a source what it wants, host by host. A wrong route, and a host that belongs to others, is refused; the others
 * are not affected.
 * @throws HipacheError COMMAND_INVALID for a host that is named twice; CONFLICT if another process keeps the source; errors
 *   of the store, after which some hosts may be done: the same wish again does the rest.
 */
export function setOwnedRoutes(wish: Wish, now: () => number): Operation<OwnedStore, OwnedChanges> {
  const { checked, refused } = checkRoutes(wish.routes);
  return async (store) => {
    if (wish.complete) await holdSource(store, wish, now());
    else await addSource(store, wish);
    const found = new Tally(refused);
    const known = await hostsOf(store, wish, wish.complete ? undefined : checked.map(({ pattern }) => pattern));
    const named = new Set([...checked.map(({ pattern }) => pattern), ...refused.map(({ pattern }) => pattern)]);
    const others = wish.complete ? [...known].filter((pattern) => !named.has(pattern)) : [];
    const all = [...checked, ...others.map((pattern): CheckedRoute => ({ pattern, wanted: null }))];
    const granted = await enterHosts(store, wish, all, known, found);
    const gone: string[] = [];
    // The routes of one host's paths share an option: one after the other.
    const byHost = Map.groupBy(granted, ({ pattern }) => hostPatternOf(pattern));
    await eachOf(byHost.values(), hostsAtOnce, async (routes) => {
      for (const { pattern, wanted } of routes) {
        const outcome = await grantWish(store, { ...wish, pattern, wanted, adopts: wish.adopt });
        found.add(pattern, outcome);
        if (outcome.kind === 'refused' || !outcome.isWanted) gone.push(pattern);
      }
    });
    await changeHosts(store, wish, [], gone);
    if (wish.complete) {
      const hosts = new Set([...known, ...granted.map(({ pattern }) => pattern)]).difference(new Set(gone)).size;
      await writeSource(store, wish, { holder: wish.release ? null : wish.holder, seenMs: now(), hosts });
    } else if (wish.release) await releaseSource(store, wish);
    return found.changes();
  };
}

/** Every source that has routes, or had some. */
export async function listOwners(store: OwnedStore): Promise<ListedSource[]> {
  const sources = await listSources(store);
  const listed: ListedSource[] = [];
  await eachOf(sources.entries(), hostsAtOnce, async ([at, source]) => {
    const { holder = null, hosts = 0, seenMs = null } = (await readSource(store, source)) ?? {};
    const seen = seenMs === null ? null : new Date(seenMs).toISOString();
    listed[at] = { ...source, hosts, seen, holder };
  });
  return listed;
}

/** The hosts of a source, in code point order. @throws HipacheError NOT_FOUND. */
export async function listOwnedHosts(store: OwnedStore, source: Source): Promise<string[]> {
  await requireSource(store, source);
  return [...(await hostsOf(store, source))].sort();
}

/** @throws HipacheError COMMAND_INVALID. */
export function showOwner(host: string): Operation<OwnedStore, HostOwner> {
  const pattern = parseRoutePattern(host);
  return async (store) => {
    const { ownership, text } = await readHostOwnership(store, pattern);
    if (text !== null && ownership === null) {
      throw new HipacheError('STORE_DAMAGED', `the note about the owner of ${pattern} cannot be read`);
    }
    return {
      pattern,
      owner: ownership?.owner ?? null,
      sources: (ownership?.sources ?? []).map(({ backends, source }) => ({ source, backends })),
      options: Object.keys(ownership?.options ?? {}),
    };
  };
}

/**
 * Removes all that a source has made, as one that has gone.
 * @throws HipacheError NOT_FOUND; CONFLICT while a process keeps it, which would make all of it again.
 */
export async function forgetSource(store: OwnedStore, source: Source, nowMs: number): Promise<OwnedChanges> {
  await requireSource(store, source);
  requireSilent(source, await readSource(store, source), nowMs);
  const found = new Tally([]);
  const none = { wanted: null, adopts: false };
  await eachOf(await hostsOf(store, source), hostsAtOnce, async (pattern) => {
    found.add(pattern, await grantWish(store, { ...source, pattern, ...none }));
  });
  await removeSource(store, source);
  return found.changes();
}

/** Enters new hosts into the index before anything else is written. @returns the routes that are not refused. */
async function enterHosts(
  store: OwnedStore,
  wish: Wish,
  routes: readonly CheckedRoute[],
  known: ReadonlySet<string>,
  found: Tally,
): Promise<CheckedRoute[]> {
  const refused = new Set<string>();
  const fresh = routes.filter(({ pattern, wanted }) => wanted !== null && !known.has(pattern));
  await eachOf(fresh, hostsAtOnce, async ({ pattern, wanted }) => {
    const refusal = await refusalOf(store, { ...wish, pattern, wanted, adopts: wish.adopt });
    if (refusal === null) return;
    refused.add(pattern);
    found.add(pattern, { kind: 'refused', refusal });
  });
  const entered = fresh.map(({ pattern }) => pattern).filter((pattern) => !refused.has(pattern));
  for (const pattern of await changeHosts(store, wish, entered, [])) {
    refused.add(pattern);
    found.add(pattern, { kind: 'refused', refusal: { reason: 'the source has too many hosts', owner: null } });
  }
  return routes.filter(({ pattern }) => !refused.has(pattern));
}

/** @throws HipacheError CONFLICT if another holder keeps the source. */
async function holdSource(store: OwnedStore, wish: Wish, nowMs: number): Promise<void> {
  await addSource(store, wish);
  const known = await readSource(store, wish);
  if (known !== null && known.holder === wish.holder) return;
  requireSilent(wish, known, nowMs);
  await writeSource(store, wish, { holder: wish.holder, seenMs: nowMs, hosts: known?.hosts ?? 0 });
}

async function releaseSource(store: OwnedStore, wish: Wish): Promise<void> {
  const known = await readSource(store, wish);
  if (known !== null && known.holder === wish.holder) await writeSource(store, wish, { ...known, holder: null });
}

/** @throws HipacheError CONFLICT while a holder keeps the source. */
function requireSilent({ owner, source }: Source, known: SourceState | null, nowMs: number): void {
  if (known === null || known.holder === null) return;
  const silentMs = nowMs - known.seenMs;
  if (silentMs >= holderGoneMs) return;
  const seen = `seen ${Math.max(0, Math.round(silentMs / 1000))} s ago`;
  throw new HipacheError(
    'CONFLICT',
    `the source ${source} of the owner ${owner} is kept by another process: ${known.holder}, ${seen}; ` +
      `give each process a source of its own, or try again ${holderGoneMs / 1000} s after that one has ended`,
  );
}

async function requireSource(store: OwnedStore, { owner, source }: Source): Promise<void> {
  const sources = await listSources(store);
  if (sources.some((each) => each.owner === owner && each.source === source)) return;
  const why = `the owner ${owner} has no source ${source}; "hipache owner list" shows those that there are`;
  throw new HipacheError('NOT_FOUND', why);
}

/** Checks routes one by one. @throws HipacheError COMMAND_INVALID for a host that is named twice. */
function checkRoutes(routes: readonly WantedRoute[]): {
  readonly checked: readonly CheckedRoute[];
  readonly refused: readonly (RefusedRoute & { readonly pattern: string })[];
} {
  const checked: CheckedRoute[] = [];
  const refused: (RefusedRoute & { readonly pattern: string })[] = [];
  const seen = new Set<string>();
  for (const route of routes) {
    const { backends, host, options } = route;
    const { pattern, problem } = checkRoute(route);
    if (seen.has(pattern)) throw new HipacheError('COMMAND_INVALID', `${pattern} is named twice`);
    seen.add(pattern);
    const wanted = backends.length === 0 ? null : { backends: [...backends], options: { ...options } };
    if (problem === null) checked.push({ pattern, wanted });
    else refused.push({ host, pattern, reason: problem, owner: null });
  }
  return { checked, refused };
}

/** The pattern, which is the host itself if that is wrong; and what is wrong. */
function checkRoute(route: WantedRoute): { readonly pattern: string; readonly problem: string | null } {
  let pattern = route.host;
  try {
    pattern = parseRoutePattern(route.host);
    checkParts(route);
    return { pattern, problem: null };
  } catch (error) {
    if (error instanceof HipacheError) return { pattern, problem: error.message };
    throw error;
  }
}

/** @throws HipacheError COMMAND_INVALID. */
function checkParts({ backends, options }: WantedRoute): void {
  for (const url of backends) parseBackendUrl(url);
  const problems = Object.entries(options).flatMap(([name, value]) => problemsOf(name, value));
  if (options[pathsOption] !== undefined) problems.push(`the option ${pathsOption} follows from the routes of paths`);
  if (problems.length > 0) throw new HipacheError('COMMAND_INVALID', problems.join('; '));
}

/** Counts the outcomes of hosts. */
class Tally {
  private readonly hosts = { added: [] as string[], changed: [] as string[], removed: [] as string[] };
  private unchanged = 0;
  private readonly refused: RefusedRoute[];
  private readonly conflicts: OwnedChanges['conflicts'][number][] = [];

  constructor(refused: readonly RefusedRoute[]) {
    this.refused = refused.map(({ host, owner, reason }) => ({ host, reason, owner }));
  }

  add(host: string, outcome: HostOutcome): void {
    if (outcome.kind === 'refused') {
      this.refused.push({ host, ...outcome.refusal });
      return;
    }
    for (const { holder, option } of outcome.conflicts) this.conflicts.push({ host, option, holder });
    if (outcome.kind === 'unchanged') this.unchanged++;
    else this.hosts[outcome.kind].push(host);
  }

  changes(): OwnedChanges {
    const { conflicts, hosts, refused, unchanged } = this;
    return {
      added: hosts.added.sort(),
      changed: hosts.changed.sort(),
      removed: hosts.removed.sort(),
      unchanged,
      refused: refused.sort((one, other) => (one.host < other.host ? -1 : 1)),
      conflicts,
    };
  }
}

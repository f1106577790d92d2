import { hasRoute, type RouteCollection } from '../stores/contract.ts';

/** Patterns of routes that are wanted, in code point order. */
export interface PatternSearch {
  /** Only patterns behind this one. */
  readonly after: string;
  /** The most that are wanted. */
  readonly limit: number;
  readonly prefix: string;
  /** Only patterns that have this in them. */
  readonly contains: string;
}

/** Finds patterns of routes, without their records. */
export interface RouteSearch {
  /** Null if the store is to be asked itself. */
  find(search: PatternSearch, routes: Pick<RouteCollection, 'list' | 'read'>): Promise<readonly string[] | null>;
  /** The store has found a page by itself, in so many ms. */
  took(ms: number): void;
}

/**
 * Routes that are listed at once, at most. etcd counts all that follow, and ZooKeeper names all, for each page: with pages
 * of 1,000, listing a million in etcd took 102 s, with these it takes a tenth.
 */
export const routesPerPage = 10_000;

/** Records that are read at once. */
const readAtOnce = 1000;
/** Names that are kept, at most: with more, the store is asked each time. */
const keptMax = 5_000_000;
/** Changes that are read one by one, at most: with more, all names are read again. */
const changedMax = 5000;
/** A listing that takes longer is worth the index, in ms. */
const slowMs = 150;
/** Without a search for so long, the index is dropped, in ms. */
const idleMs = 5 * 60_000;

export interface RouteIndexParts {
  /** Follows the changes of routes from now on, once it resolves. @returns what ends it; null for a store that reports none. */
  readonly follow: (
    onChange: (patterns: readonly string[]) => void,
    onReset: () => void,
  ) => Promise<(() => void) | null>;
  readonly setTimer: (delayMs: number, action: () => void) => () => void;
}

/**
 * The patterns of all routes, in memory, for searches that the store itself is slow at: for a part of a name, and in stores
 * whose listings read everything. Filled by the first search that needs it, and kept current by the changes of the store.
 */
export class RouteIndex implements RouteSearch {
  private readonly parts: RouteIndexParts;
  private names: string[] | null = null;
  private loading: Promise<void> | null = null;
  private readonly dirty = new Set<string>();
  private leave: (() => void) | null = null;
  private cancelIdle: () => void = () => {};
  /** Whether the store turned out to be slow. */
  private isSlow = false;
  /** Whether the store has too much, or does not report changes. */
  private isUseless = false;
  /** Rises with each gap, and each time that the names are dropped. */
  private resets = 0;
  private catching: Promise<void> | null = null;

  constructor(parts: RouteIndexParts) {
    this.parts = parts;
  }

  async find(search: PatternSearch, routes: Pick<RouteCollection, 'list' | 'read'>): Promise<readonly string[] | null> {
    if (this.isUseless || (search.contains === '' && search.prefix === '')) return null;
    this.used();
    if (search.contains !== '') await this.load(routes);
    else if (this.isSlow) await this.load(routes);
    while (this.dirty.size > 0 && this.names !== null) {
      this.catching ??= this.catchUp(routes).finally(() => {
        this.catching = null;
      });
      await this.catching;
    }
    return this.names === null ? null : matching(this.names, search);
  }

  took(ms: number): void {
    if (ms > slowMs) this.isSlow = true;
  }

  /** Drops all that it keeps. */
  close(): void {
    this.cancelIdle();
    this.leave?.();
    this.leave = null;
    this.names = null;
    this.resets++;
    this.dirty.clear();
  }

  private used(): void {
    this.cancelIdle();
    this.cancelIdle = this.parts.setTimer(idleMs, () => this.close());
  }

  private load(routes: Pick<RouteCollection, 'list'>): Promise<void> {
    if (this.names !== null) return Promise.resolve();
    this.loading ??= this.sweep(routes).finally(() => {
      this.loading = null;
    });
    return this.loading;
  }

  private async sweep(routes: Pick<RouteCollection, 'list'>): Promise<void> {
    const { resets: before } = this;
    if (this.leave === null) {
      const leave = await this.parts.follow(
        (patterns) => {
          for (const pattern of patterns) this.dirty.add(pattern);
          if (this.dirty.size > changedMax) this.forget();
        },
        () => this.forget(),
      );
      // Without changes, what it keeps would grow old.
      if (leave === null) this.isUseless = true;
      else if (before === this.resets) this.leave = leave;
      else leave();
    }
    if (this.leave === null) return;
    this.dirty.clear();
    const { resets } = this;
    const names: string[] = [];
    for (let after = ''; ; ) {
      const page = await routes.list(after, routesPerPage);
      for (const { pattern } of page) names.push(pattern);
      if (names.length > keptMax) {
        this.isUseless = true;
        this.close();
        return;
      }
      if (page.length < routesPerPage) break;
      after = page.at(-1)?.pattern ?? '';
    }
    // Names that were read before a gap may be gone.
    if (resets === this.resets) this.names = names;
  }

  /** The next search reads all names again. */
  private forget(): void {
    this.names = null;
    this.resets++;
    this.dirty.clear();
  }

  /** Reads records that have changed since the last search. */
  private async catchUp(routes: Pick<RouteCollection, 'read'>): Promise<void> {
    const { dirty, names } = this;
    const patterns = [...dirty].slice(0, readAtOnce);
    for (const pattern of patterns) dirty.delete(pattern);
    try {
      const records = await routes.read(patterns);
      if (names === null || names !== this.names) return;
      for (const [index, pattern] of patterns.entries()) place(names, pattern, hasRoute(records[index] ?? null));
    } catch (error) {
      for (const pattern of patterns) dirty.add(pattern);
      throw error;
    }
  }
}

/** The patterns that a store without an index has, one page after the other. */
export async function sweepFor(
  search: PatternSearch,
  routes: Pick<RouteCollection, 'list'>,
): Promise<readonly string[]> {
  const found: string[] = [];
  for (let after = search.after; found.length < search.limit; ) {
    const page = await routes.list(after, routesPerPage);
    for (const { pattern } of page) if (isWanted(pattern, search)) found.push(pattern);
    if (page.length < routesPerPage) break;
    after = page.at(-1)?.pattern ?? '';
  }
  return found.slice(0, search.limit);
}

function isWanted(pattern: string, { contains, prefix }: PatternSearch): boolean {
  return pattern.startsWith(prefix) && pattern.includes(contains);
}

function matching(names: readonly string[], search: PatternSearch): readonly string[] {
  const found: string[] = [];
  const { after, limit, prefix } = search;
  let index = after < prefix ? firstFrom(names, prefix) : firstFrom(names, after);
  if (names[index] === after) index++;
  for (; index < names.length && found.length < limit; index++) {
    const name = names[index] as string;
    if (isWanted(name, search)) found.push(name);
    else if (!name.startsWith(prefix)) break;
  }
  return found;
}

/** Adds or removes one name. */
function place(names: string[], name: string, isThere: boolean): void {
  const index = firstFrom(names, name);
  const isKnown = names[index] === name;
  if (isThere && !isKnown) names.splice(index, 0, name);
  else if (!isThere && isKnown) names.splice(index, 1);
}

/** The index of the first name that is not before `name`, in the order of the store. */
function firstFrom(names: readonly string[], name: string): number {
  let [low, high] = [0, names.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isBefore(names[middle] as string, name)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** In code point order; `<` compares UTF-16, which differs beyond U+FFFF. */
function isBefore(one: string, other: string): boolean {
  const length = Math.min(one.length, other.length);
  for (let index = 0; index < length; index++) {
    const [a, b] = [one.charCodeAt(index), other.charCodeAt(index)];
    if (a !== b) return a >= 0xd800 && b >= 0xd800 ? Buffer.from(one).compare(Buffer.from(other)) < 0 : a < b;
  }
  return one.length < other.length;
}

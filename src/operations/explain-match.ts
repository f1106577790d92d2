import { optionsInForce } from '../policy/read-options.ts';
import { PathPrefixes, withoutPrefix } from '../routing/path-prefixes.ts';
import { hasRoute, type OptionCollection, type RouteReader, type StoredRoute } from '../stores/contract.ts';
import type { ExplainedRefusal } from './explain-request.ts';

/** A pattern that was looked up, and whether it has a route. */
interface TriedPattern {
  readonly pattern: string;
  readonly matched: boolean;
}

/** The route of a request. */
export interface Match {
  /** In the order of the lookup, to the one that matched. */
  readonly tried: readonly TriedPattern[];
  readonly pattern: string;
  readonly record: StoredRoute;
  /** The path in the form by which the route was found; null if that was by the host alone. */
  readonly path: string | null;
}

/** A request that has no route. */
export interface NoMatch {
  readonly tried: readonly TriedPattern[];
  readonly pattern: null;
  /** Why its path has none, where its host has one. */
  readonly refusal: ExplainedRefusal | null;
}

/** Looks a request up as the proxy does: its host, then the prefix of its path if the host has paths. */
export async function findMatch(
  { options, routes }: { readonly options: Pick<OptionCollection, 'read'>; readonly routes: RouteReader },
  patterns: readonly string[],
  path: string,
): Promise<Match | NoMatch> {
  const records = await routes.read(patterns);
  const at = records.findIndex(hasRoute);
  const tried = patterns.slice(0, at === -1 ? undefined : at + 1).map((pattern, i) => ({ pattern, matched: i === at }));
  const [pattern, record] = [patterns[at], records[at]];
  if (pattern === undefined || record == null) return { tried, pattern: null, refusal: null };
  const [stored = null] = await options.read([pattern]);
  const { paths = null } = optionsInForce([{ pattern, options: stored?.options ?? new Map() }]).values;
  if (paths === null) return { tried, pattern, record, path: null };
  const found = new PathPrefixes(paths).find(path);
  if (found === null) {
    const detail = 'servers read the path in different ways, with other prefixes';
    return { tried, pattern: null, refusal: { status: 400, code: 'REQUEST_INVALID', location: null, detail } };
  }
  if (found.prefix === '') return { tried, pattern, record, path: found.path };
  const name = pattern + found.prefix;
  const [ofPath = null] = await routes.read([name]);
  const all = [...tried, { pattern: name, matched: hasRoute(ofPath) }];
  if (hasRoute(ofPath)) return { tried: all, pattern: name, record: ofPath, path: found.path };
  const detail = `${pattern} names the prefix ${found.prefix} in its option paths`;
  return { tried: all, pattern: null, refusal: { status: 400, code: 'ROUTE_NOT_FOUND', location: null, detail } };
}

/** The path that backends get. */
export function backendPath({ path }: Match, asked: string, prefix: string, isStripped: boolean): string {
  return withoutPrefix(path ?? asked, isStripped ? prefix : '');
}

import { HipacheError } from '../base/errors.ts';
import { parsePattern, portOf, wildcardPatterns } from './host.ts';
import { isPathPrefix, prefixCharsMax } from './path-prefixes.ts';

/*
 * The pattern of a route is a host pattern, or a host pattern and the prefix of a path: `example.com/api`,
 * `*.example.com/api`. A route with a prefix is only used if the options of the host pattern name it: see `PathPrefixes`.
 */

/** The host pattern of a route's pattern. */
export function hostPatternOf(pattern: string): string {
  const slash = pattern.indexOf('/');
  return slash === -1 ? pattern : pattern.slice(0, slash);
}

/** The prefix of paths of a route's pattern; empty for none. */
export function pathOf(pattern: string): string {
  const slash = pattern.indexOf('/');
  return slash === -1 ? '' : pattern.slice(slash);
}

/**
 * The patterns tried after a name, which is a normalised host or, as `nameWithPort` gives it, a host and port. None after
 * a pattern with a path: it was found by its host.
 */
export function patternsAfter(name: string): string[] {
  if (name.includes('/')) return [];
  if (portOf(name) === null) return wildcardPatterns(name);
  const host = withoutPort(name);
  return [host, ...wildcardPatterns(host)];
}

export function isWildcard(pattern: string): boolean {
  return pattern.startsWith('*') && !pattern.includes('/');
}

/** Whether routes of `pattern` inherit the options of `coverer`: a wildcard, or the host of a path. */
export function covers(coverer: string, pattern: string): boolean {
  if (coverer === pattern) return false;
  const host = hostPatternOf(pattern);
  if (host === coverer) return true;
  return isWildcard(coverer) && (coverer === '*' || withoutPort(host).endsWith(coverer.slice(1)));
}

/** The patterns whose options a pattern inherits, most specific first: its host, if it has a path, and wildcards. */
export function coveringPatterns(pattern: string): string[] {
  const host = hostPatternOf(pattern);
  const wildcards = wildcardPatterns(withoutPort(host)).filter((wildcard) => wildcard !== host);
  return host === pattern ? wildcards : [host, ...wildcards];
}

/**
 * Parses the pattern of a route as an operator writes it: an exact host, `*.domain` or `*`, with the prefix of a path or
 * not. Returns it in its stored form.
 * @throws HipacheError COMMAND_INVALID with the problem and what is allowed.
 */
export function parseRoutePattern(value: string): string {
  const slash = value.indexOf('/');
  // A scheme is no path: `parsePattern` says what is wrong with it.
  if (slash === -1 || value.includes('://')) return parsePattern(value);
  const [host, path] = [value.slice(0, slash), value.slice(slash)];
  const pattern = parsePattern(host);
  if (path === '/') return pattern;
  if (isPathPrefix(path)) return pattern + path;
  const shown = JSON.stringify(value.length > 100 ? `${value.slice(0, 100)}…` : value);
  throw new HipacheError(
    'COMMAND_INVALID',
    `the path of ${shown} is no prefix: allowed are segments of letters, digits and -._~!&'+=:@, such as /api or ` +
      `/a/b, up to ${prefixCharsMax} characters, without "." and "..", percent-encoding, query, and slash at the end`,
  );
}

/** A name of a host and port, without the port. */
function withoutPort(name: string): string {
  return portOf(name) === null ? name : name.slice(0, name.lastIndexOf(':'));
}

/** Whether the path before a query has anything that can be written in another way. */
const hasForms = /^[^?]*?(?:[%\\;#]|\/[/.]|[^!-~])/;
/**
 * Parts of a path that servers read in ways that nobody can foresee: characters that are not printable ASCII, which some take
 * for blanks; control characters; blanks at the end of a segment; overlong UTF-8; `%u` of IIS.
 */
const isUnforeseeable = /[^!-~]|%[01][0-9a-f]|%7f|%(?:20)+(?:\/|$)|%c[01]|%u/i;
/** RFC 3986 section 2.3: characters that mean the same with and without percent-encoding. */
const unreserved = /[A-Za-z0-9._~-]/;
/** Programs that decode more than once rarely do so as often. */
const decodingsMax = 8;

/** Whether a path has one form only: then `normalPath` and `loosePaths` are the path itself. */
export function isPlainPath(path: string): boolean {
  return !hasForms.test(path);
}

/**
 * The same path in its normal form (RFC 3986 sections 6.2.2.2 and 6.2.2.3): unreserved characters are not percent-encoded,
 * and there are no dot segments. The query stays as it is.
 */
export function normalPath(path: string): string {
  if (isPlainPath(path)) return path;
  const query = path.indexOf('?');
  const text = query === -1 ? path : path.slice(0, query);
  const decoded = text.replace(/%([0-9a-f]{2})/gi, (encoded, digits: string) => {
    const character = String.fromCharCode(Number.parseInt(digits, 16));
    return unreserved.test(character) ? character : encoded;
  });
  return withoutDotSegments(decoded) + (query === -1 ? '' : path.slice(query));
}

/** Whether the path, without its query, has a part that servers read in ways that cannot be foreseen. */
export function isObscurePath(path: string): boolean {
  const query = path.indexOf('?');
  return isUnforeseeable.test(query === -1 ? path : path.slice(0, query));
}

/** Dot segments, with parameters or a query behind them or not. */
const dotSegment = /\/\.{1,2}(?:[/;?#\0]|$)/;
/** Percent-encoded separators and percent signs, and the other slash. */
const hiddenSeparator = /%(?:2[35f]|3f|5c)|\\/i;

/**
 * The path, in its normal form and without query, as generous servers may read it: percent-encoding decoded, even if it is
 * encoded several times; `\` as `/`; slashes in a row as one; parameters of segments (`;v=1`) left out. Once up to a `#`, `?` or
 * NUL, once with all of it. Every server that takes some of these steps finds a prefix in it that one of the two has, or the path.
 * @returns null if the readings are beyond that: dot segments appear; the path begins with two slashes, which some take for the
 *   name of a host; parameters and hidden separators, whose order decides what is left out.
 */
export function loosePaths(normal: string): readonly [cut: string, whole: string] | null {
  const query = normal.indexOf('?');
  const path = query === -1 ? normal : normal.slice(0, query);
  const decoded = decodedFully(path).replaceAll('\\', '/');
  if (dotSegment.test(decoded) || (decoded.includes(';') && hiddenSeparator.test(path))) return null;
  const bare = decoded.replace(/;[^/]*/g, '');
  if (decoded.startsWith('//') || bare.startsWith('//')) return null;
  const whole = bare.replace(/\/{2,}/g, '/');
  const end = whole.search(/[#?\0]/);
  return [end === -1 ? whole : whole.slice(0, end), whole];
}

function decodedFully(path: string): string {
  let text = path;
  for (let i = 0; i < decodingsMax && text.includes('%'); i++) {
    text = text.replace(/%([0-9a-f]{2})/gi, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
  }
  return text;
}

/** RFC 3986 section 5.2.4. */
function withoutDotSegments(path: string): string {
  if (!path.includes('/.')) return path;
  const segments = path.split('/').slice(1);
  const kept: string[] = [];
  for (const [i, segment] of segments.entries()) {
    if (segment !== '.' && segment !== '..') {
      kept.push(segment);
      continue;
    }
    if (segment === '..') kept.pop();
    if (i === segments.length - 1) kept.push('');
  }
  return `/${kept.join('/')}`;
}

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

/**
 * The path, without query, as generous servers may read it: percent-encoding decoded, even if it is encoded several times;
 * `\` as `/`; slashes in a row as one; parameters of segments (`;v=1`) left out; nothing after `#`, `?` or NUL. Once with the
 * dot segments that this brings, once without them.
 */
export function loosePaths(path: string): readonly [withDots: string, withoutDots: string] {
  const query = path.indexOf('?');
  let text = query === -1 ? path : path.slice(0, query);
  for (let i = 0; i < decodingsMax && text.includes('%'); i++) {
    text = text.replace(/%([0-9a-f]{2})/gi, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
  }
  const end = text.search(/[#?\0]/);
  const read = (end === -1 ? text : text.slice(0, end))
    .replaceAll('\\', '/')
    .replace(/;[^/]*/g, '')
    .replace(/\/{2,}/g, '/');
  return [read, withoutDotSegments(read)];
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

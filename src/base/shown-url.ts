const mask = '********';

/**
 * A URL of a store or a backend as it may be shown: in logs, errors, reports and labels. A user stays visible only before
 * the colon of its password: a lone word before `@` is a password to Hipache. Of a query, only `db=NUMBER` stays.
 *
 * Also takes malformed URLs and other text. When in doubt it hides too much: credentials end at the last `@`, so that a
 * password with an unescaped `/`, `?`, `#` or `@` is hidden as a whole.
 */
export function shownUrl(text: string): string {
  const [, scheme = '', slashes = '', rest = ''] =
    /^([a-z][a-z0-9+.-]*:(?=\/\/)|[a-z][a-z0-9+]*:)?(\/\/)?(.*)$/is.exec(text) ?? [];
  if (/^sqlite:$/i.test(scheme) && (slashes === '' || rest.startsWith('/'))) return text;
  return scheme + slashes + withoutQuery(withoutCredentials(rest));
}

/** The URL of a backend in a record, which may also be any other text: that is not a URL, and stays as it is. */
export function shownBackend(text: string): string {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? shownUrl(text) : text;
}

function withoutCredentials(rest: string): string {
  const at = rest.lastIndexOf('@');
  // Without a host, or with a forgotten one, the password is where the port should be.
  if (at === -1) return rest.replace(/^([^/:?#[\]]+:)(?![0-9]*(?:[/?#,]|$))[^/?#]*/, `$1${mask}`);
  const [, user = ''] = /^([^/:@?#]*:)/.exec(rest) ?? [];
  return `${user}${mask}${rest.slice(at)}`;
}

function withoutQuery(rest: string): string {
  return rest.replace(/\?[^#]*/s, (query) => (/^\?db=[0-9]*$/.test(query) ? query : `?${mask}`));
}

/**
 * A URL with its password replaced, for messages; any other text unchanged. The password ends at the last `@`, so that
 * one with an unescaped `/`, `?`, `#` or `@` is hidden as well.
 */
export function withoutPassword(url: string): string {
  return url.replace(/^([a-z][a-z0-9+.-]*:\/\/[^/:@?#]*):.*@/is, '$1:********@');
}

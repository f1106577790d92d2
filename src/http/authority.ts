/** Whether two authorities are the same in a URI of this scheme, in lower case (RFC 9110 section 4.2.3). */
export function isSameAuthority(a: string, b: string, scheme: string): boolean {
  if (a === b) return true;
  const port = scheme === 'https' || scheme === 'wss' ? ':443' : ':80';
  return withoutPort(a.toLowerCase(), port) === withoutPort(b.toLowerCase(), port);
}

/** Without an empty port, or the default one. */
function withoutPort(authority: string, port: string): string {
  if (authority.endsWith(':')) return authority.slice(0, -1);
  return authority.endsWith(port) ? authority.slice(0, -port.length) : authority;
}

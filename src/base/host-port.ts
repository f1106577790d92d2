/** A host and a port as URLs and messages write them: `a:80`, an IPv6 address in brackets, `[::1]:80`. */
export function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

import { isIP } from 'node:net';

/** Whether a host has to be looked up: it is neither an IP address nor the path of a Unix socket. */
export function isHostName(host: string): boolean {
  return isIP(host) === 0 && !isSocketPath(host);
}

/** Whether a host is the absolute path of a Unix socket, which stands where others have a name or an address. */
export function isSocketPath(host: string): boolean {
  return host.startsWith('/');
}

/** A host and a port as URLs and messages write them: `a:80`, an IPv6 address in brackets, `[::1]:80`. */
export function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

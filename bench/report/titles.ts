import type { ProductName } from '../proxies/proxy.ts';

/** The proxies' names as their makers write them. */
export const titles: Readonly<Record<ProductName, string>> = {
  hipache: 'Hipache',
  nginx: 'nginx',
  haproxy: 'HAProxy',
  caddy: 'Caddy',
  npm: 'fast-proxy',
};

import { isAbsolute } from 'node:path';
import { z } from 'zod';
import { isListenAddress } from './addresses.ts';
import { key, text } from './keys.ts';

const socketPrefix = 'unix:';

/** An address of the admin API: a path, or an address with a port. */
export type AdminBind =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly address: string; readonly port: number };

/** @returns null if it is none, and for null. */
export function parseAdminBind(value: string | null): AdminBind | null {
  if (value === null) return null;
  if (value.startsWith(socketPrefix)) {
    const path = value.slice(socketPrefix.length);
    // The longest path of a socket is 108 bytes on Linux, with a NUL at its end.
    return isAbsolute(path) && Buffer.byteLength(path) < 100 ? { kind: 'unix', path } : null;
  }
  const [, six, four, port = ''] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(value) ?? [];
  const address = six ?? four ?? '';
  return isListenAddress(address) && Number(port) <= 65_535 ? { kind: 'tcp', address, port: Number(port) } : null;
}

const bindAllowed = '"unix:" with an absolute path, an address with a port such as "127.0.0.1:9902", or null';

const token = z.object({
  name: text({ source: 'new', description: 'The name of its owner, for the log.', allowed: 'a text' }),
  hash: key(z.string().regex(/^sha256:[0-9a-f]{64}$/), {
    source: 'new',
    description: 'The hash of the token: `hipache admin token` makes both.',
    allowed: '"sha256:" with 64 hexadecimal digits',
  }),
  access: key(z.enum(['read', 'write']).default('read'), {
    source: 'new',
    description: '`read`: everything may be looked at, without secrets. `write`: everything may be changed as well.',
    allowed: '"read", "write"',
    default: '"read"',
  }),
});

/** `admin`: where the instance offers its [admin API](api.md). */
export const adminSection = z.object({
  bind: key(
    z
      .string()
      .refine((value) => parseAdminBind(value) !== null)
      .nullable()
      .optional(),
    {
      source: 'new',
      description:
        'Where the [admin API](api.md) listens; null: nowhere. A socket is for the user that Hipache runs as, and its group; an address needs `tokens` or `clientCa`.',
      allowed: bindAllowed,
      default:
        'null with a configuration of Hipache 0.3 or 0.4; else `unix:/run/hipache/admin.sock` for root, for others a socket below `XDG_RUNTIME_DIR`; with systemd in its runtime directory',
    },
  ),
  tokens: key(z.array(token).max(1000).default([]), {
    source: 'new',
    description: 'Tokens that clients show as `Authorization: Bearer`.',
    allowed: 'an array of objects with "name", "hash" and "access"',
    default: '[]',
  }),
  hosts: key(z.array(z.string().refine(isListenAddress)).max(100).default([]), {
    source: 'new',
    description:
      'Names by which browsers reach the API, besides `localhost` and IP addresses. Requests for others are refused, because a page of somebody else may have made them.',
    allowed: 'an array of host names',
    default: '[]',
  }),
  cert: text({
    source: 'new',
    description: 'PEM file of a certificate with its chain: the API is served over https.',
    allowed: 'a path',
  })
    .nullable()
    .default(null),
  key: text({ source: 'new', description: 'PEM file of its private key.', allowed: 'a path' }).nullable().default(null),
  clientCa: text({
    source: 'new',
    description: 'PEM file of an authority: clients that show a certificate of it may change everything. Needs `cert`.',
    allowed: 'a path',
  })
    .nullable()
    .default(null),
});

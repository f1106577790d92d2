import { z } from 'zod';
import { isNameServer } from './addresses.ts';
import { key, seconds } from './keys.ts';

const serverAllowed = 'an IP address, alone or with a port: "10.0.0.1", "10.0.0.1:5353", "[::1]:5353"';

/** Name servers; none by default. */
export function nameServers(description: string) {
  const server = key(z.string().refine(isNameServer), {
    source: 'new',
    description: 'One name server.',
    allowed: serverAllowed,
  });
  return key(z.array(server).max(16).default([]), {
    source: 'new',
    description,
    allowed: 'an array of up to 16 IP addresses, each alone or with a port, such as "10.0.0.1:5353"',
    default: '[]',
  });
}

/** `dns`: how the names of backends are resolved. */
export const dnsSection = z.object({
  servers: nameServers('Name servers for the names of backends. An empty array: those of `/etc/resolv.conf`.'),
  ttlSecondsMin: seconds(0.1, 3600, 1, {
    source: 'new',
    description: 'Addresses are used for at least this long, even if their records have a shorter lifetime.',
  }),
  ttlSecondsMax: seconds(0.1, 86_400, 60, {
    source: 'new',
    description: 'Addresses are looked up again after this time, even if their records have a longer lifetime.',
  }),
  timeoutSeconds: seconds(0.1, 600, 5, {
    source: 'new',
    description: 'Time of one lookup, over all name servers and domains of the search list.',
  }),
});

import { z } from 'zod';
import { isListenAddress } from './addresses.ts';
import { key, wholeNumber } from './keys.ts';

/** `metrics`: where the instance serves its metrics. Off unless a port is given. */
export const metricsSection = z.object({
  bind: key(z.string().refine(isListenAddress).default('127.0.0.1'), {
    source: 'new',
    description: 'Address of `GET /metrics` and `GET /healthz`. Everyone who reaches it can read them.',
    allowed: 'an IP address or a host name',
    default: '"127.0.0.1"',
  }),
  port: key(z.int().min(0).max(65_535).nullable().default(null), {
    source: 'new',
    description: 'Port of these; null: neither is served. 0 stands for any free port.',
    allowed: 'a whole number from 0 to 65535, or null',
    default: 'null',
  }),
  hostsMax: wholeNumber(0, 1000, 50, {
    source: 'new',
    unit: 'hosts',
    description:
      'Hosts, and backends, that have series of their own in the metrics: those with the most requests. `(other)` sums up the rest. 0: none.',
  }),
});

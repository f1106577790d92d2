import type { CertificateWish } from '../acme/order-means.ts';
import { optionsInForce } from '../policy/read-options.ts';
import { coveringPatterns, patternsAfter } from '../routing/patterns.ts';
import { hasRoute, type RouteReader } from '../stores/contract.ts';
import { noOptions } from '../stores/option-record.ts';

interface Records {
  readonly routes: RouteReader;
}

/** The part of a configuration that says for which hosts certificates are ordered. */
export interface OrderedHosts {
  readonly hosts: 'listed' | 'all';
  readonly challenges: readonly string[];
}

/** Whether names are proved by DNS, so that certificates are ordered for wildcards. */
export function provesByDns({ challenges }: Pick<OrderedHosts, 'challenges'>): boolean {
  return challenges.some((kind) => kind.startsWith('dns-'));
}

/**
 * Whether a certificate is to be ordered for a host: it has a route, its own or that of a wildcard, and the option `tls` that
 * holds for it is `auto`.
 * @param host an exact one, or a wildcard.
 */
export async function certificateWish(
  { routes }: Records,
  host: string,
  ordered: OrderedHosts,
): Promise<CertificateWish> {
  const patterns = [host, ...patternsAfter(host)];
  const records = await routes.read(patterns);
  const byDefault = ordered.hosts === 'all';
  const isAuto = (pattern: string): boolean => {
    const layers = [pattern, ...coveringPatterns(pattern)].map((one) => ({
      pattern: one,
      options: records[patterns.indexOf(one)]?.options ?? noOptions,
    }));
    const { tls } = optionsInForce(layers).values;
    return tls === undefined ? byDefault : tls === 'auto';
  };
  const pattern = patterns[records.findIndex(hasRoute)];
  if (pattern === undefined || !isAuto(pattern)) return 'none';
  const above = wildcardAbove(host);
  if (above !== null && provesByDns(ordered) && hasRoute(records[patterns.indexOf(above)] ?? null) && isAuto(above)) {
    return 'covered';
  }
  return pattern === host ? 'own' : 'inherited';
}

/** The wildcard whose certificate is valid for a host (RFC 9525 section 6.3); null for a wildcard. */
export function wildcardAbove(host: string): string | null {
  const dot = host.indexOf('.');
  return host.startsWith('*') || dot === -1 ? null : `*${host.slice(dot)}`;
}

import type { CertificateWish } from '../acme/pattern-order.ts';
import { optionsInForce } from '../policy/read-options.ts';
import { coveringPatterns, patternsAfter } from '../routing/patterns.ts';
import { hasRoute, type RouteReader } from '../stores/contract.ts';
import { noOptions } from '../stores/option-record.ts';

interface Records {
  readonly routes: RouteReader;
}

/**
 * Whether a certificate is to be ordered for a host: it has a route, its own or that of a wildcard, and the option `tls` that
 * holds for it is `auto`.
 * @param host an exact one. @param byDefault whether one is ordered for hosts that do not say.
 */
export async function isCertificateWanted(records: Records, host: string, byDefault: boolean): Promise<boolean> {
  return (await certificateWish(records, host, byDefault)) !== 'none';
}

/** Like `isCertificateWanted`, and whether the route is the host's own. */
export async function certificateWish({ routes }: Records, host: string, byDefault: boolean): Promise<CertificateWish> {
  const patterns = [host, ...patternsAfter(host)];
  const records = await routes.read(patterns);
  const pattern = patterns[records.findIndex(hasRoute)];
  if (pattern === undefined) return 'none';
  const layers = [pattern, ...coveringPatterns(pattern)].map((one) => ({
    pattern: one,
    options: records[patterns.indexOf(one)]?.options ?? noOptions,
  }));
  const { tls } = optionsInForce(layers).values;
  if (tls === undefined ? !byDefault : tls !== 'auto') return 'none';
  return pattern === host ? 'own' : 'inherited';
}

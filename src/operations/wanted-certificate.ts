import { optionsInForce } from '../policy/read-options.ts';
import { coveringPatterns, patternsAfter } from '../routing/patterns.ts';
import { hasRoute, type RouteReader } from '../stores/contract.ts';
import { noOptions } from '../stores/option-record.ts';

/**
 * Whether a certificate is to be ordered for a host: it has a route, its own or that of a wildcard, and the option `tls` that
 * holds for it is `auto`.
 * @param host an exact one. @param byDefault whether one is ordered for hosts that do not say.
 */
export async function isCertificateWanted(
  { routes }: { readonly routes: RouteReader },
  host: string,
  byDefault: boolean,
): Promise<boolean> {
  const patterns = [host, ...patternsAfter(host)];
  const records = await routes.read(patterns);
  const pattern = patterns[records.findIndex(hasRoute)];
  if (pattern === undefined) return false;
  const layers = [pattern, ...coveringPatterns(pattern)].map((one) => ({
    pattern: one,
    options: records[patterns.indexOf(one)]?.options ?? noOptions,
  }));
  const { tls } = optionsInForce(layers).values;
  return tls === undefined ? byDefault : tls === 'auto';
}

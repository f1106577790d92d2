import type { CertificateWish } from '../acme/order-means.ts';
import { wildcardAbove } from '../acme/order-name.ts';
import { orderNoteName, readOrderState } from '../acme/order-state.ts';
import { optionsInForce } from '../policy/read-options.ts';
import { coveringPatterns, patternsAfter } from '../routing/patterns.ts';
import { hasRoute, type NoteTexts, type RouteReader } from '../stores/contract.ts';
import { noOptions } from '../stores/option-record.ts';

interface Records {
  readonly routes: RouteReader;
  readonly notes: Pick<NoteTexts, 'read'>;
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
 * @param host an exact one, or a wildcard. @param nowMs epoch ms.
 */
export async function certificateWish(
  { notes, routes }: Records,
  host: string,
  ordered: OrderedHosts,
  nowMs = Date.now(),
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
  const isCovered =
    above !== null && provesByDns(ordered) && hasRoute(records[patterns.indexOf(above)] ?? null) && isAuto(above);
  if (isCovered && !(await isFailing(notes, above, nowMs))) return 'covered';
  return pattern === host ? 'own' : 'inherited';
}

/** Whether a wildcard has no certificate, and attempts to order one have failed: its hosts cannot wait for it. */
async function isFailing(notes: Pick<NoteTexts, 'read'>, wildcard: string, nowMs: number): Promise<boolean> {
  const { failure, issued } = readOrderState(await notes.read(orderNoteName(wildcard)));
  return failure !== null && failure.count > 0 && (issued === null || issued.notAfterMs <= nowMs);
}

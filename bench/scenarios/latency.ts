import { openLoop, warmUpSeconds } from '../load/open-loop.ts';
import { measure } from '../measure.ts';
import { mainProxies, type ProxyName } from '../proxies/proxy.ts';
import type { Sample } from '../sample.ts';
import type { Context, Group, Scenario } from './scenario.ts';
import { fewRoutes, peakRate, smallLoad } from './throughput.ts';

/** Of HAProxy's peak rate, in percent. */
const shares = [25, 50, 75] as const;

/** Whose peak it is: the first of them that takes part. */
const references: readonly ProxyName[] = ['haproxy', 'hipache'];

/** A proxy whose own peak is less than this times the rate is measured at that share of its own peak instead. */
const roomMin = 1.1;

/** By proxy and share: every round has the same. */
const rates = new Map<string, number>();

/** Latencies of small responses at shares of HAProxy's peak: all proxies that can at the same rates. */
export const latencyGroup: Group = {
  short: false,
  scenarios: shares.map(scenario),
};

function scenario(share: number): Scenario {
  return {
    name: `latency-${share}`,
    title: `40 bytes, at ${share} % of HAProxy's peak rate`,
    proxies: mainProxies,
    async run(context, proxyName): Promise<Sample> {
      const { site, fleet, seconds } = context;
      const ratePerSecond = await rateOf(context, proxyName, share);
      const proxy = await fleet.proxy(proxyName, fewRoutes);
      const settings = { ...smallLoad, port: proxy.port, ratePerSecond, warmUpSeconds, seconds, seed: 1 };
      return { ...(await measure(site, proxy, () => openLoop(site, settings))), ratePerSecond };
    },
  };
}

/** Requests per second. Where HAProxy does not take part, a share of Hipache's peak, else of the proxy's own. */
async function rateOf(context: Context, proxyName: ProxyName, share: number): Promise<number> {
  const key = `${proxyName} ${share}`;
  const known = rates.get(key);
  if (known !== undefined) return known;
  const reference = references.find((name) => context.proxies.includes(name)) ?? proxyName;
  const peak = await peakRate(context, reference);
  const own = await peakRate(context, proxyName);
  const wanted = (peak * share) / 100;
  const chosen = Math.round(own >= wanted * roomMin ? wanted : (own * share) / 100);
  rates.set(key, chosen);
  return chosen;
}

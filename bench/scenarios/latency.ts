import { openLoop, warmUpSeconds } from '../load/open-loop.ts';
import { measure } from '../measure.ts';
import type { ProxyName } from '../proxies/proxy.ts';
import type { Sample } from '../sample.ts';
import type { Context, Group } from './scenario.ts';
import { fewRoutes, peakRate, smallLoad } from './throughput.ts';

/** A proxy whose own peak is less than this times the rate is measured at half of its own peak instead. */
const roomMin = 1.1;

const rates = new Map<ProxyName, number>();

/** Latencies of small answers at half of Hipache's peak: all proxies that can at the same rate. */
export const latencyGroup: Group = {
  short: false,
  scenarios: [
    {
      name: 'latency',
      title: "40 bytes, at half of Hipache's peak rate",
      async run(context, proxyName): Promise<Sample> {
        const { site, fleet, seconds } = context;
        const ratePerSecond = await rateOf(context, proxyName);
        const proxy = await fleet.proxy(proxyName, fewRoutes);
        const settings = { ...smallLoad, port: proxy.port, ratePerSecond, warmUpSeconds, seconds, seed: 1 };
        return { ...(await measure(site, proxy, () => openLoop(site, settings))), ratePerSecond };
      },
    },
  ],
};

async function rateOf(context: Context, proxyName: ProxyName): Promise<number> {
  const known = rates.get(proxyName);
  if (known !== undefined) return known;
  const rate = (await peakRate(context, context.proxies.includes('hipache') ? 'hipache' : proxyName)) / 2;
  const own = await peakRate(context, proxyName);
  const chosen = Math.round(own >= rate * roomMin ? rate : own / 2);
  rates.set(proxyName, chosen);
  return chosen;
}

import { responses } from '../backends.ts';
import { type H2Load, h2load } from '../load/h2load.ts';
import { measure } from '../measure.ts';
import { mainProxies } from '../proxies/proxy.ts';
import type { Sample } from '../sample.ts';
import type { Group, Scenario } from './scenario.ts';
import { fewRoutes } from './throughput.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

/** HTTP/2 over TLS from clients, HTTP/1.1 to backends. */
export const http2Group: Group = {
  short: false,
  scenarios: [
    scenario('http2-small', 'HTTP/2 over TLS, 40 bytes, 8 connections of 16 streams', { path: responses.small.path }),
    scenario('http2-body-64k', 'HTTP/2 over TLS, responses of 64 KiB, 8 connections of 4 streams', {
      path: responses.body64k.path,
      streams: 4,
    }),
    scenario('http2-upload-64k', 'HTTP/2 over TLS, requests of 64 KiB, 8 connections of 4 streams', {
      path: responses.upload.path,
      streams: 4,
      bodyBytes: 64 * KiB,
    }),
  ],
};

function scenario(name: string, title: string, particular: Pick<H2Load, 'path'> & Partial<H2Load>): Scenario {
  const [host = ''] = fewRoutes.hosts;
  return {
    name,
    title,
    proxies: mainProxies,
    async run({ site, fleet, seconds, warmUpSeconds }, proxyName): Promise<Sample> {
      const proxy = await fleet.proxy(proxyName, fewRoutes);
      const load = { port: proxy.tlsPort, host, connections: 8, streams: 16, ...particular };
      await h2load(site, { ...load, seconds: warmUpSeconds });
      const sample = await measure(site, proxy, () => h2load(site, { ...load, seconds }));
      if (!name.endsWith('64k')) return sample;
      return { ...sample, mibPerCpuSecond: (64 * KiB) / MiB / ((sample.cpuUsPerRequest ?? Number.NaN) / 1e6) };
    },
  };
}

import { fileURLToPath } from 'node:url';
import type { LoadResult } from '../load/wrk.ts';
import { measure } from '../measure.ts';
import type { TlsClientSettings } from '../programs/tls-client.ts';
import { mainProxies } from '../proxies/proxy.ts';
import type { Sample } from '../sample.ts';
import type { Site } from '../site.ts';
import type { Group, Scenario } from './scenario.ts';
import { fewRoutes } from './throughput.ts';

/** How long the program may take to start and end, in ms. */
const marginMs = 30_000;
const program = fileURLToPath(import.meta.resolve('../programs/tls-client.ts'));

/** What a handshake of TLS 1.3 costs, with a small request behind it. The load, not the proxy, sets their rate. */
export const handshakesGroup: Group = {
  short: false,
  scenarios: [
    scenario('handshakes-new', 'a TLS handshake and a connection per request', false),
    scenario('handshakes-resumed', 'the same, the session resumed', true),
  ],
};

function scenario(name: string, title: string, resume: boolean): Scenario {
  return {
    name,
    title,
    proxies: mainProxies,
    async run({ site, fleet, seconds, warmUpSeconds }, proxyName): Promise<Sample> {
      const proxy = await fleet.proxy(proxyName, fewRoutes);
      const hosts = fewRoutes.hosts.slice(0, 1);
      const settings = { port: proxy.tlsPort, hosts, path: '/', connections: 16, resume };
      await handshakes(site, { ...settings, seconds: warmUpSeconds });
      return measure(site, proxy, () => handshakes(site, { ...settings, seconds }));
    },
  };
}

/** Handshakes by `programs/tls-client.ts`. */
export async function handshakes(site: Site, settings: TlsClientSettings): Promise<LoadResult> {
  const command = [process.execPath, program, JSON.stringify(settings)];
  const msMax = settings.seconds * 1000 + marginMs;
  return JSON.parse(await site.processes.run('tls-client', command, { core: site.loadCore }, msMax));
}

import { responses } from '../backends.ts';
import { type H2Load, h2load } from '../load/h2load.ts';
import { HeldTunnels } from '../load/held-tunnels.ts';
import { measure } from '../measure.ts';
import { mainProxies } from '../proxies/proxy.ts';
import type { RouteSet } from '../routes.ts';
import type { Sample } from '../sample.ts';
import type { Group, Scenario } from './scenario.ts';
import { fewRoutes } from './throughput.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

/** The fields of a call of gRPC, and the bytes of its message with its head. */
const call = { path: '/bench.Echo/Echo', bodyBytes: 25, fields: ['content-type: application/grpc', 'te: trailers'] };
const grpcRoutes: RouteSet = { ...fewRoutes, name: 'grpc', grpc: true };
const tunnels = 1000;

/** HTTP/2 from clients, to backends HTTP/1.1 or gRPC. */
export const http2Group: Group = {
  short: false,
  scenarios: [
    scenario('http2-small', 'HTTP/2 over TLS, 40 bytes, 8 connections of 16 streams', { path: responses.small.path }),
    scenario('http2-plain', 'HTTP/2 without TLS, 40 bytes, 8 connections of 16 streams', {
      path: responses.small.path,
      isPlain: true,
    }),
    scenario('http2-many', 'HTTP/2 over TLS, 40 bytes, 8 connections of 100 streams', {
      path: responses.small.path,
      streams: 100,
    }),
    scenario('http2-tunnels', `http2-small beside ${tunnels} idle WebSockets`, { path: responses.small.path }, tunnels),
    scenario('http2-grpc', 'unary calls of gRPC over TLS, 8 connections of 16 streams, to a backend of HTTP/2', call),
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

function scenario(
  name: string,
  title: string,
  particular: Pick<H2Load, 'path'> & Partial<H2Load>,
  idleTunnels = 0,
): Scenario {
  const routes = particular === call ? grpcRoutes : fewRoutes;
  const [host = ''] = fewRoutes.hosts;
  return {
    name,
    title,
    proxies: mainProxies,
    async run({ site, fleet, seconds, warmUpSeconds }, proxyName): Promise<Sample> {
      const proxy = await fleet.proxy(proxyName, routes);
      const port = particular.isPlain ? proxy.h2cPort : proxy.tlsPort;
      const load = { port, host, connections: 8, streams: 16, ...particular };
      const held = idleTunnels === 0 ? null : await HeldTunnels.open(site, proxy, idleTunnels);
      await h2load(site, { ...load, seconds: warmUpSeconds });
      const sample = await measure(site, proxy, () => h2load(site, { ...load, seconds }));
      await held?.close();
      if (!name.endsWith('64k')) return sample;
      return { ...sample, mibPerCpuSecond: (64 * KiB) / MiB / ((sample.cpuUsPerRequest ?? Number.NaN) / 1e6) };
    },
  };
}

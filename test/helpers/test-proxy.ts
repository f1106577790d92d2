import { BlockList } from 'node:net';
import { systemClock } from '../../src/base/clock.ts';
import { DataPlane } from '../../src/proxy/data-plane.ts';
import type { Exchange } from '../../src/proxy/exchange.ts';
import type { RouteSource } from '../../src/proxy/route-source.ts';
import type { ProxySettings } from '../../src/proxy/settings.ts';
import type { Frontend } from '../../src/routing/frontend.ts';
import { mayMarkDown } from '../../src/routing/health.ts';
import { buildFrontend } from '../../src/routing/record.ts';
import { defaultRetryBudget } from '../../src/routing/retry-budget.ts';

export const testSettings: ProxySettings = {
  headBytesMax: 32_768,
  headFieldsMax: 100,
  targetBytesMax: 8192,
  backendConnectionsMax: 100,
  backendKeepAlive: true,
  backendIdleMs: 60_000,
  connectTimeoutMs: 5000,
  inactivityMs: 30_000,
  headTimeoutMs: 10_000,
  keepAliveMs: 75_000,
  queueMax: 1000,
  queueTimeoutMs: 5000,
  retriesMax: 3,
  retryBodyBytesMax: 65_536,
  interimAnswersMax: 16,
  connectionsMax: 20_000,
  requestsPerHostMax: 10_000,
  writeBufferBytesMax: 65_536,
  retryBudget: defaultRetryBudget,
  downMs: 30_000,
  downOn500: true,
  trustedProxies: new BlockList(),
};

/** What a test remembers of an exchange that has ended. */
export interface EndedExchange {
  readonly status: number;
  readonly errorCode: string | null;
  readonly errorDetail: string;
  readonly bytesSent: number;
  readonly attempts: number;
}

/** The data plane in this process, with routes from a map: for tests that look at bytes. */
export class TestProxy {
  readonly dataPlane: DataPlane;
  readonly ended: EndedExchange[] = [];
  readonly marks: { url: string; reason: string }[] = [];
  port = 0;
  private readonly frontends = new Map<string, Frontend>();

  constructor(settings: Partial<ProxySettings> = {}) {
    const routes: RouteSource = {
      cached: (host) => this.frontends.get(host) ?? null,
      load: async () => null,
      markDown: (frontend, backend, reason, ttlMs) => {
        const now = Date.now();
        if (!mayMarkDown(frontend, backend, now)) return;
        this.marks.push({ url: backend.url, reason });
        backend.down = { untilMs: now + ttlMs, sinceMs: now, reason, instance: 'test' };
      },
    };
    this.dataPlane = new DataPlane({
      settings: { ...testSettings, ...settings },
      routes,
      observer: { exchangeEnded: (exchange) => this.ended.push(summary(exchange)) },
      pages: null,
      clock: systemClock,
      random: Math.random,
      version: 'test',
    });
  }

  /** Starts one with the routes `host` to `urls`. */
  static async start(
    routes: Readonly<Record<string, readonly string[]>>,
    settings: Partial<ProxySettings> = {},
  ): Promise<TestProxy> {
    const proxy = new TestProxy(settings);
    for (const [host, urls] of Object.entries(routes)) proxy.route(host, urls);
    await proxy.listen(false);
    return proxy;
  }

  route(host: string, urls: readonly string[]): void {
    const previous = this.frontends.get(host) ?? null;
    this.frontends.set(host, buildFrontend(host, { frontend: [host, ...urls], down: new Map() }, previous));
  }

  async listen(proxyProtocol: boolean): Promise<number> {
    this.port = await this.dataPlane.listen({ address: '127.0.0.1', port: 0, secure: false, proxyProtocol });
    return this.port;
  }

  stop(): void {
    this.dataPlane.close();
  }
}

function summary(exchange: Exchange): EndedExchange {
  const { status, errorCode, errorDetail, bytesSent, attempts } = exchange;
  return { status, errorCode, errorDetail, bytesSent, attempts };
}

/** A block list of these networks, for `trustedProxies`. */
export function trusted(...networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) list.addAddress(network, network.includes(':') ? 'ipv6' : 'ipv4');
  return list;
}

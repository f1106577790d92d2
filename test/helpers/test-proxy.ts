import assert from 'node:assert/strict';
import { systemClock } from '../../src/base/clock.ts';
import { InvariantViolation } from '../../src/base/invariant.ts';
import { Networks } from '../../src/base/networks.ts';
import { setRealTimer } from '../../src/base/timer.ts';
import type { NameResolver } from '../../src/dns/name-resolver.ts';
import { systemResolver } from '../../src/dns/system-resolver.ts';
import { defaultBudget } from '../../src/http2/budget.ts';
import { RateBuckets } from '../../src/limits/rate-buckets.ts';
import { AuthServers } from '../../src/policy/auth-servers.ts';
import type { CheckPassword } from '../../src/policy/basic-auth.ts';
import type { HostPolicy } from '../../src/policy/host-policy.ts';
import { PolicyCompiler } from '../../src/policy/policy-compiler.ts';
import { optionProblems } from '../../src/policy/read-options.ts';
import { DataPlane, type ListenOptions } from '../../src/proxy/data-plane.ts';
import type { ErrorPages } from '../../src/proxy/error-pages.ts';
import { hopResponder } from '../../src/proxy/hops.ts';
import { type LocalResponder, pingResponder } from '../../src/proxy/local-responder.ts';
import type { EndedExchange as Reported } from '../../src/proxy/observer.ts';
import type { RouteSource } from '../../src/proxy/route-source.ts';
import type { ProxySettings } from '../../src/proxy/settings.ts';
import { type Frontend, servingBackends } from '../../src/routing/frontend.ts';
import { mayMarkDown } from '../../src/routing/health.ts';
import { buildFrontend } from '../../src/routing/record.ts';
import { defaultRetryBudget } from '../../src/routing/retry-budget.ts';
import { TwoRandomChoices } from '../../src/routing/selector.ts';
import { type BackendTls, backendTls } from '../../src/tls/backend-tls.ts';
import type { TlsListener } from '../../src/tls/tls-listener.ts';
import { WebClient } from '../../src/web/web-client.ts';
import { until } from './until.ts';

/** Settings of the data plane, and of every host. */
export type TestSettings = ProxySettings &
  Omit<HostPolicy, 'selector' | 'timeouts'> & { readonly connectTimeoutMs: number; readonly responseIdleMs: number };

export const testSettings: TestSettings = {
  rules: null,
  backendHost: null,
  errorPage: null,
  requestFields: null,
  paths: null,
  hold: null,
  isPaused: false,
  queue: null,
  wake: null,
  ordersCertificate: false,
  clientAuthorities: null,
  idleAfterMs: 0,
  strippedPath: '',
  responseEdits: null,
  headBytesMax: 32_768,
  http2StreamsMax: 100,
  http2BackendStreamsMax: 100,
  http2StreamWindowBytes: 65_536,
  http2ConnectionWindowBytes: 1_048_576,
  http2Budget: defaultBudget,
  responseLimits: { headBytesMax: 262_144, headFieldsMax: 1000, targetBytesMax: 0 },
  headFieldsMax: 100,
  targetBytesMax: 8192,
  backendConnectionsMax: 100,
  backendKeepAlive: true,
  backendIdleMs: 60_000,
  backendAgeMs: 3_600_000,
  connectTimeoutMs: 5000,
  inactivityMs: 30_000,
  responseIdleMs: 300_000,
  headTimeoutMs: 10_000,
  bodyRateMin: 0,
  bodyGraceMs: 10_000,
  keepAliveMs: 75_000,
  queueMax: 1000,
  queueTimeoutMs: 5000,
  retriesMax: 3,
  retryBodyBytesMax: 65_536,
  informationalResponsesMax: 16,
  connectionsMax: 20_000,
  descriptorsMax: 40_000,
  requestsMax: 10_000,
  requestBodyBytesMax: Number.POSITIVE_INFINITY,
  tunnelsMax: 10_000,
  tunnelIdleMs: 3_600_000,
  writeBufferBytesMax: 65_536,
  retryBudget: defaultRetryBudget,
  downMs: 30_000,
  retryForMs: 3_600_000,
  retryTimeouts: false,
  sticky: null,
  marking: { byFirst: false, on500: true, failuresMin: 5, share: 0.5 },
  accessLogShare: 1,
  health: null,
  upgrades: new Set(),
  identity: { mapped: false, protocol: false, forwarded: false, loop: true, via: null },
  routesByPort: false,
  trustedProxies: Networks.read([]),
};

/** The policy of every host. `inactivityMs` is the time of backends as well. */
export function testPolicy(settings: TestSettings = testSettings, random = Math.random): HostPolicy {
  const { connectTimeoutMs: connectMs, inactivityMs: responseMs, responseIdleMs } = settings;
  return { ...settings, timeouts: { connectMs, responseMs, responseIdleMs }, selector: new TwoRandomChoices(random) };
}

/** What a test records of an ended exchange. */
export interface EndedExchange {
  readonly status: number;
  readonly errorCode: string | null;
  readonly errorDetail: string;
  readonly bytesSent: number;
  readonly attempts: number;
  /** URL of the backend of the last attempt; null if there is none, or if it failed before a response. */
  readonly backend: string | null;
}

/** Parts of the data plane that a test may replace. */
export interface TestProxyParts {
  readonly pages?: ErrorPages | null;
  /** Default `Math.random`. A function that always returns 0 draws the first free backend. */
  readonly random?: () => number;
  /** If given, no route is known without a lookup, and each lookup in the map first awaits this. */
  readonly beforeLoad?: (host: string) => Promise<void>;
  /** Default: only `https://` backends of public authorities are trusted. */
  readonly backendTls?: BackendTls;
  /** Default: this machine's hosts file and name servers. */
  readonly resolver?: NameResolver;
  /** Default: `__ping__`. */
  readonly responders?: readonly LocalResponder[];
  /** Replaces the map. */
  readonly routes?: RouteSource;
}

const publicAuthorities = backendTls([], true);

/** The data plane in this process, with routes from a map: for tests at the level of bytes. */
export class TestProxy {
  readonly dataPlane: DataPlane;
  readonly ended: EndedExchange[] = [];
  readonly marks: { url: string; reason: string }[] = [];
  /** Problems that the data plane reported to its operator. */
  readonly problems: string[] = [];
  /** Warnings of the data plane, with their fields as JSON. */
  readonly warnings: string[] = [];
  /** Violated invariants. */
  private readonly violations: InvariantViolation[] = [];
  /** Every requested host, in order. */
  readonly lookups: string[] = [];
  /** Patterns whose requests wait, each time that the platform hears of it; and those that were used, of which it hears. */
  readonly asleep: string[] = [];
  readonly awake: string[] = [];
  readonly used: string[] = [];
  /** Called before an ended exchange is listed. */
  onEnded: (() => void) | null = null;
  port = 0;
  /** Of the option `basicAuth`. */
  checkPassword: CheckPassword = async (password, hash) => hash.endsWith(password);
  /** Asks auth servers. */
  readonly web: WebClient;
  /** The policy of hosts without a route. */
  private unrouted: HostPolicy | null = null;
  /** Of the option `rate`. */
  readonly tokens = new RateBuckets({ clock: systemClock, setTimer: setRealTimer, workers: 1, report: () => {} });
  private readonly policy: HostPolicy;
  private readonly resolver: NameResolver;
  private readonly compiler: PolicyCompiler;
  private readonly frontends = new Map<string, Frontend>();

  constructor(settings: Partial<TestSettings> = {}, parts: TestProxyParts = {}) {
    const { beforeLoad } = parts;
    const routes: RouteSource = {
      cached: (host) => {
        this.lookups.push(host);
        return beforeLoad === undefined ? (this.frontends.get(host) ?? null) : undefined;
      },
      load: async (host) => {
        await beforeLoad?.(host);
        return this.frontends.get(host) ?? null;
      },
      confirmAbsent: () => null,
      policyWithoutRoute: () => this.unrouted,
      current: ({ pattern }) => this.frontend(pattern),
      markDown: (frontend, backend, reason, ttlMs) => {
        const now = Date.now();
        if (!mayMarkDown(frontend, backend, now)) return;
        this.marks.push({ url: backend.url, reason });
        backend.down = { untilMs: now + ttlMs, sinceMs: now, reason, instance: 'test' };
      },
    };
    const all = { ...testSettings, ...settings };
    this.policy = testPolicy(all, parts.random);
    this.resolver = parts.resolver ?? machineResolver();
    const trust = parts.backendTls ?? publicAuthorities;
    this.web = new WebClient({
      resolver: this.resolver,
      tls: trust,
      makeRoom: () => this.dataPlane.makeRoom(),
      onConnections: (open) => {
        this.dataPlane.counters.webConnectionsOpen = open;
      },
    });
    this.compiler = new PolicyCompiler(this.policy, {
      checkPassword: (password, hash) => this.checkPassword(password, hash),
      tokens: this.tokens,
      authServers: new AuthServers((request) => this.web.get(request)),
    });
    this.dataPlane = new DataPlane({
      settings: all,
      policy: this.policy,
      routes: parts.routes ?? routes,
      responders: parts.responders ?? [pingResponder, hopResponder(10)],
      observer: {
        exchangeEnded: (exchange) => {
          this.onEnded?.();
          this.ended.push(summary(exchange));
        },
      },
      pages: parts.pages ?? null,
      fetch: (request) => this.web.get(request),
      backendTls: trust,
      resolver: this.resolver,
      onAsleep: (pattern) => void this.asleep.push(pattern),
      onAwake: (pattern) => void this.awake.push(pattern),
      onUsed: (hosts) => void this.used.push(...hosts.map(({ pattern }) => pattern)),
      clock: systemClock,
      random: parts.random ?? Math.random,
      version: 'test',
      onProblem: (what, error) => {
        this.problems.push(`${what}: ${error.stack}`);
        if (error instanceof InvariantViolation) this.violations.push(error);
      },
      onWarning: (what, fields) => void this.warnings.push(`${what} ${JSON.stringify(fields)}`),
    });
  }

  /** Starts a proxy with the routes `host` to `urls`. */
  static async start(
    routes: Readonly<Record<string, readonly string[]>>,
    settings: Partial<TestSettings> = {},
  ): Promise<TestProxy> {
    const proxy = new TestProxy(settings);
    for (const [host, urls] of Object.entries(routes)) proxy.route(host, urls);
    await proxy.listen();
    return proxy;
  }

  route(host: string, urls: readonly string[], id = host, policy: Partial<HostPolicy> | null = null): void {
    const previous = this.frontends.get(host) ?? null;
    const source = { frontend: [id, ...urls], down: new Map() };
    const frontend = buildFrontend(host, source, previous);
    frontend.policy = policy === null ? null : { ...this.policy, ...policy };
    this.frontends.set(host, frontend);
    frontend.load.waiting?.changed(frontend);
  }

  /** Gives a host options, as its record in a store would have them. */
  options(host: string, options: Readonly<Record<string, string>>): void {
    assert.deepEqual(optionProblems(new Map(Object.entries(options))), []);
    this.looseOptions(host, options);
  }

  /** The same, with options that may be wrong. */
  looseOptions(host: string, options: Readonly<Record<string, string>>): void {
    const layer = { pattern: host, options: new Map(Object.entries(options)) };
    const frontend = this.frontend(host);
    frontend.policy = this.compiler.compile([layer]);
    frontend.load.waiting?.changed(frontend);
  }

  /** Gives the hosts without a route options, as the record of `*` would have them. */
  optionsWithoutRoute(options: Readonly<Record<string, string>>): void {
    this.unrouted = this.compiler.compile([{ pattern: '*', options: new Map(Object.entries(options)) }]);
  }

  async listen(options: Partial<ListenOptions> = {}): Promise<number> {
    const { halfClose = false, protocols = ['http/1.1'], proxyProtocol = false } = options;
    this.port = await this.dataPlane.listen({ address: '127.0.0.1', port: 0, proxyProtocol, halfClose, protocols });
    return this.port;
  }

  /** Also listens with TLS. @returns the port. */
  listenTls(tls: TlsListener, proxyProtocol = false, protocols = ['http/1.1']): Promise<number> {
    return this.dataPlane.listen({ address: '127.0.0.1', port: 0, proxyProtocol, protocols, tls });
  }

  frontend(host: string): Frontend {
    return this.frontends.get(host) as Frontend;
  }

  /** Waits until no request is in progress. */
  async untilQuiet(): Promise<void> {
    await until('the end of every request', () => this.dataPlane.counters.requestsInFlight === 0);
  }

  /**
   * Ends everything. @throws if a connection stays open, something still counts as in progress, or an invariant was
   * violated.
   */
  async stop(): Promise<void> {
    this.dataPlane.close();
    this.web.close();
    this.resolver.close();
    await until('no gauge above 0 after the end', () => this.underWay().length === 0, 10_000).catch(() => {
      throw new Error(`still in progress: ${this.underWay().join(', ')}`);
    });
    if (this.violations.length > 0)
      throw new AggregateError(this.violations, 'invariants of the data plane were violated');
  }

  private underWay(): string[] {
    const { counters } = this.dataPlane;
    const { clientConnectionsOpen, backendConnectionsOpen, requestsInFlight } = counters;
    const { requestsWaiting, tunnelsOpen, webConnectionsOpen } = counters;
    const gauges: [string, number][] = Object.entries({
      clientConnectionsOpen,
      backendConnectionsOpen,
      requestsInFlight,
      requestsWaiting,
      tunnelsOpen,
      webConnectionsOpen,
    });
    for (const frontend of this.frontends.values()) {
      gauges.push([`requests of ${frontend.pattern}`, frontend.load.inFlight]);
      gauges.push([`tunnels of ${frontend.pattern}`, frontend.load.tunnels]);
      for (const backend of servingBackends(frontend)) gauges.push([`requests on ${backend.url}`, backend.inFlight]);
    }
    return gauges.filter(([, value]) => value !== 0).map(([name, value]) => `${value} ${name}`);
  }
}

function summary(exchange: Reported): EndedExchange {
  const { status, errorCode, errorDetail, bytesSent, attempts, backend } = exchange;
  return { status, errorCode, errorDetail, bytesSent, attempts, backend: backend?.url ?? null };
}

/** These networks, for `trustedProxies`. */
export function trusted(...networks: readonly string[]): Networks {
  return Networks.read(networks);
}

const noLog = { debug() {}, info() {}, warn() {}, error() {} };

/** Asks these name servers, or those of this machine, whatever they know. */
export function machineResolver(servers: readonly string[] = []): NameResolver {
  return systemResolver({
    settings: { servers, ttlSecondsMin: 1, ttlSecondsMax: 60, timeoutSeconds: 5 },
    log: noLog,
    onInternalError: (error) => {
      throw error;
    },
  });
}

import { flushCompileCache } from 'node:module';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { EventClock, systemClock } from '../base/clock.ts';
import { HipacheError } from '../base/errors.ts';
import type { QuestionSubject } from '../base/instance-question.ts';
import type { Log, LogFields } from '../base/log.ts';
import { packageFile } from '../base/package-files.ts';
import { RateLimitedLog } from '../base/rate-limited-log.ts';
import { residentBytes } from '../base/resident-memory.ts';
import { type StandardLog, standardLog } from '../base/standard-log.ts';
import { setRealTimer } from '../base/timer.ts';
import { packageVersion } from '../base/version.ts';
import type { Config } from '../config/config.ts';
import type { NameResolver } from '../dns/name-resolver.ts';
import { systemResolver } from '../dns/system-resolver.ts';
import { FailureReports } from '../health/failure-reports.ts';
import { RateBuckets } from '../limits/rate-buckets.ts';
import { Passwords } from '../passwords/passwords.ts';
import { AuthServers } from '../policy/auth-servers.ts';
import type { HostPolicy } from '../policy/host-policy.ts';
import { PolicyCompiler } from '../policy/policy-compiler.ts';
import { collectGarbage, MemoryWatch } from '../processes/memory-watch.ts';
import type { MetricValues, WorkerPlace, WorkerReport, WorkerStart } from '../processes/messages.ts';
import type { WorkerLink, WorkerTasks } from '../processes/worker-link.ts';
import { DataPlane } from '../proxy/data-plane.ts';
import { ErrorPages } from '../proxy/error-pages.ts';
import { hopResponder } from '../proxy/hops.ts';
import { pingResponder } from '../proxy/local-responder.ts';
import type { ProxyObserver } from '../proxy/observer.ts';
import { AppliedRevision } from '../route-cache/applied-revision.ts';
import { CheckedHosts } from '../route-cache/checked-hosts.ts';
import { RouteCache } from '../route-cache/route-cache.ts';
import type { RouteCacheLimits } from '../route-cache/route-cache-options.ts';
import { SharedRecords } from '../route-cache/shared-records.ts';
import { StoreWatch } from '../route-cache/store-watch.ts';
import type { DownMark } from '../routing/backend.ts';
import type { LiveQuestion } from '../routing/live-explanation.ts';
import type { Store } from '../stores/contract.ts';
import { openStore } from '../stores/open-store.ts';
import type { AccessLog } from '../telemetry/access-log.ts';
import type { StatisticsQuestion } from '../telemetry/host-statistics.ts';
import { dataPlaneMetrics, namedValues, workerMetrics } from '../telemetry/metric-table.ts';
import { RequestMetrics } from '../telemetry/request-metrics.ts';
import { RequestTail, type TailQuestion } from '../telemetry/request-tail.ts';
import { type BackendTls, backendTls } from '../tls/backend-tls.ts';
import type { TlsState } from '../tls/tls-state.ts';
import { WebClient } from '../web/web-client.ts';
import { accessLogOf } from './access-log.ts';
import { type Challenges, challengesOf, ordersCertificate } from './certificate-orders.ts';
import { clientAuthoritiesOf } from './client-authorities.ts';
import { descriptorsFor } from './descriptors.ts';
import { InheritedSockets } from './inherited-sockets.ts';
import { explainLive } from './live-explanation.ts';
import { hostPolicy, proxySettings } from './proxy-settings.ts';
import { SlowGauges } from './slow-gauges.ts';
import { TrafficAnswers } from './traffic-answers.ts';
import { WorkerTls } from './worker-tls.ts';

/** How long the access log may take to write its rest when the worker stops, in ms. */
const accessLogCloseMs = 2000;
/** How long the start waits for the store, in ms. */
const storeWaitMs = 1000;

/** A worker's composition root: builds the parts of every room from the configuration, serves, and shuts them down. */
export class Worker implements WorkerTasks {
  private readonly log: Log;
  private readonly closeLog: StandardLog['close'];
  private readonly accessLog: AccessLog;
  private readonly requests: RequestMetrics;
  private readonly tail: RequestTail;
  private readonly failures: FailureReports;
  private readonly pages: ErrorPages;
  private readonly store: Store;
  private readonly passwords = new Passwords();
  private readonly rates: RateBuckets;
  private readonly shared: SharedRecords;
  private readonly checked: CheckedHosts;
  private readonly routes: RouteCache;
  private readonly watch: StoreWatch;
  private readonly revision: AppliedRevision | null;
  private readonly challenges: Challenges;
  private readonly tls: WorkerTls;
  private readonly resolver: NameResolver;
  private readonly web: WebClient;
  private readonly dataPlane: DataPlane;
  private readonly memory: MemoryWatch | null;
  private readonly statistics: TrafficAnswers;
  private readonly loopDelay = monitorEventLoopDelay({ resolution: 50 });
  private readonly sockets: InheritedSockets;
  private readonly slowGauges: SlowGauges;
  private readonly number: number;
  /** Of hosts without options. */
  private readonly policy: HostPolicy;
  private readonly requestClock = new EventClock();
  private connectionsMax = 0;
  private draining = false;
  private connectedMs = systemClock.monotonicMs();

  static async start(start: WorkerStart, link: WorkerLink): Promise<Worker> {
    const { config } = start;
    process.title = `hipache worker ${start.number}`;
    const standard = standardLog({ level: config.server.logLevel, format: config.server.logFormat });
    const log = ofWorker(standard.log, start.number);
    const store = await openStore(config.driver, {
      serving: true,
      refuseEmpty: start.knowsRecords,
      log,
      deadSet: config.compat.deadSet,
      ttlMs: config.storeTtlSeconds * 1000,
    });
    const worker = new Worker(start, link, log, store, standard.close);
    await worker.connect();
    await worker.sockets.accept(start.place);
    flushCompileCache();
    return worker;
  }

  private constructor(start: WorkerStart, link: WorkerLink, log: Log, store: Store, closeLog: StandardLog['close']) {
    const { config } = start;
    const { limits } = config;
    this.log = log;
    this.closeLog = closeLog;
    this.store = store;
    this.policy = hostPolicy(config);
    this.accessLog = accessLogOf(config, log, this.requestClock);
    this.failures = failureReports(store, start.instance, log);
    const logs: ProxyObserver = {
      exchangeEnded: (exchange) => this.accessLog.exchangeEnded(exchange),
      backendFailed: ({ url }, pattern, reason) => this.failures.failed(pattern, url, reason),
    };
    this.tail = new RequestTail(logs, systemClock);
    this.requests = new RequestMetrics(this.tail, config.metrics.port === null ? 0 : config.metrics.hostsMax);
    this.pages = errorPages(config, log);
    const onInternalError = (where: string, error: Error) => this.dataPlane.onInternalError(where, error);
    this.checked = new CheckedHosts(
      (patterns) => link.checked(patterns),
      (pattern) => this.routes.useOf(pattern),
    );
    this.resolver = resolverOf(config, log, onInternalError);
    const trust = backendTls(config.backendTls.ca, config.backendTls.verify, config.backendTls.alpn);
    this.web = webClient(this.resolver, trust, () => this.dataPlane);
    this.shared = sharedRecords(link, store, async () => this.routes.held?.judgement());
    this.number = start.number;
    this.rates = rateBuckets(start, link);
    this.routes = new RouteCache({
      store,
      instance: start.instance,
      limits: cacheLimits(limits),
      log,
      policies: policiesOf(this.policy, this.passwords, this.rates, this.web),
      onProblem: (pattern, problem) => log.warn(`the record of ${pattern}: ${problem.message}`),
      onInternalError,
      shared: this.shared,
      onMarked: reportMarks(log, link),
      askGuard: () => link.askGuard(),
      onDraining: (frontend) => this.dataPlane.drains.begin(frontend),
      onResolved: (frontend) => this.checked.resolved(frontend),
    });
    this.followGuard(start, link);
    this.watch = new StoreWatch({ store, log, onInternalError });
    // Before the routes, which then find what others know.
    this.watch.add(this.shared);
    this.watch.add(this.routes);
    this.revision = appliedRevision(store, this.routes);
    this.challenges = challengesOf(config, store);
    const orders = {
      challenges: this.challenges.contexts,
      ask: (name: string, address: string) => link.certificateWanted(name, address),
      isWanted: (name: string) => ordersCertificate(this.routes, this.policy, name),
    };
    this.tls = new WorkerTls(start, store, this.shared, log, orders, (name) => clientAuthoritiesOf(this.routes, name));
    this.watch.add(this.tls.certificates);
    this.watch.add(this.tls);
    link.onCertificateLooked = (name) => this.tls.awaited?.ended(name);
    // Last, so that the others learn of a change before its revision is checked.
    if (this.revision !== null) this.watch.add(this.revision);
    this.dataPlane = this.makeDataPlane(start, link, log, trust);
    this.sockets = new InheritedSockets(start.sockets, (socket) =>
      this.dataPlane.listen(this.tls.withListener(socket)),
    );
    this.slowGauges = new SlowGauges(systemClock, () => this.routes.countUnverified(), this.loopDelay);
    this.memory = memoryWatch(config, link);
    this.statistics = new TrafficAnswers(this.number, this.requests, systemClock, setRealTimer);
    this.loopDelay.enable();
  }

  private makeDataPlane({ config }: WorkerStart, link: WorkerLink, log: Log, trust: BackendTls): DataPlane {
    const problems = new RateLimitedLog(log.error, systemClock);
    const warnings = new RateLimitedLog(log.warn, systemClock);
    this.connectionsMax = descriptorsFor(config, log);
    return new DataPlane({
      settings: proxySettings(config, this.connectionsMax),
      policy: this.policy,
      routes: this.routes,
      responders: [pingResponder, hopResponder(config.limits.passesMax), ...this.challenges.responders],
      observer: this.requests,
      pages: this.pages,
      fetch: (request) => this.web.get(request),
      onAsleep: (pattern, target) => link.asleep(pattern, target),
      onAwake: (pattern) => link.awake(pattern),
      onUsed: (hosts) => link.used(hosts),
      clock: this.requestClock,
      random: Math.random,
      version: packageVersion(),
      resolver: this.resolver,
      backendTls: trust,
      onProblem: (what, error) => problems.report(what, { error }),
      onWarning: (what, fields) => warnings.report(what, fields),
    });
  }

  /** Starts to watch the store. If it is away, waits for what other workers of the instance know. */
  private async connect(): Promise<void> {
    const watching = this.watch.start();
    await Promise.race([watching, delay(storeWaitMs)]);
    if (this.watch.connected) return;
    this.shared.lost();
    await this.shared.fetch();
  }

  private followGuard({ holdsRoutes }: WorkerStart, link: WorkerLink): void {
    link.onJudged = () => this.routes.held?.judged();
    link.onHold = (holds) => void this.hold(holds);
    if (holdsRoutes) void this.hold(true);
  }

  /** The alarm of the wipe guard is raised, or ends. */
  private async hold(holdsRoutes: boolean): Promise<void> {
    if (holdsRoutes === this.routes.held?.raised) return;
    const known = this.shared.hold(holdsRoutes);
    this.routes.held?.turned(holdsRoutes);
    await known;
    if (!holdsRoutes) return;
    this.routes.recallAbsent();
    this.tls.certificates.expired();
  }

  adopt(place: WorkerPlace): void {
    if (this.draining) return;
    this.sockets.accept(place).catch((error: Error) => this.log.error('cannot accept for another worker', { error }));
  }

  release(kept: Parameters<WorkerTasks['release']>[0]): void {
    this.sockets.closeUnused(kept);
  }

  async drain(order: Parameters<WorkerTasks['drain']>[0]): Promise<boolean> {
    // A second order shortens the time. The promise of the first one covers both.
    if (this.draining) return this.dataPlane.drain(order);
    this.draining = true;
    this.sockets.closeUnused();
    this.failures.flush();
    const clean = await this.dataPlane.drain(order);
    if (!clean) this.log.warn('some requests or tunnels did not finish in time and were ended');
    return clean;
  }

  reopenLogs(): void {
    this.accessLog.sink.reopen();
  }

  tlsChanged(state: unknown): void {
    this.tls.change(state as TlsState);
  }

  async close(): Promise<void> {
    this.memory?.close();
    this.statistics.close();
    this.dataPlane.close();
    this.web.close();
    this.resolver.close();
    await this.accessLog.sink.close(accessLogCloseMs);
    const { dropped } = this.accessLog.sink;
    if (dropped > 0) this.log.warn('access log lines were dropped', { lines: dropped });
    this.pages.close();
    this.watch.close();
    this.failures.close();
    this.revision?.close();
    this.routes.close();
    this.checked.close();
    this.shared.close();
    this.rates.close();
    await this.passwords.close();
    await this.store.close();
    await this.closeLog();
  }

  async answer(subject: QuestionSubject, question: unknown): Promise<unknown> {
    const { number, policy, routes } = this;
    const nowMs = systemClock.epochMs();
    if (subject === 'explain') {
      const isConnected = this.watch.connected;
      return explainLive({ number, routes, isConnected, policy, nowMs }, question as LiveQuestion);
    }
    if (subject === 'tail') return this.tail.answer(number, question as TailQuestion);
    return this.statistics.answer(question as StatisticsQuestion);
  }

  report(): WorkerReport {
    return { values: this.values(), drains: this.dataPlane.drains.report() };
  }

  private values(): MetricValues {
    const { dataPlane, resolver, routes } = this;
    const nowMs = systemClock.monotonicMs();
    this.slowGauges.refresh();
    if (this.watch.connected) this.connectedMs = nowMs;
    const values = namedValues(dataPlaneMetrics, dataPlane.counters);
    this.requests.collect(values);
    return Object.assign(
      values,
      namedValues(workerMetrics, {
        connectionsMax: this.connectionsMax,
        backendPools: dataPlane.origins.size,
        backendsDraining: dataPlane.drains.inFlight,
        backendQueueRequests: dataPlane.origins.waitingRequests,
        rateBuckets: this.rates.size,
        nameLookups: resolver.counters.lookups,
        nameLookupFailures: resolver.counters.failures,
        nameLookupsRejected: resolver.counters.rejected,
        nameLookupsInFlight: resolver.inFlight,
        names: resolver.entries,
        routeCacheHits: routes.counters.hits,
        routeCacheMisses: routes.counters.misses,
        routeCacheLoads: routes.counters.loads,
        routeCacheRefreshes: routes.counters.refreshes,
        routeCacheUnchanged: routes.unchanged,
        routeCacheStoreErrors: routes.counters.storeErrors,
        routeCacheEvictions: routes.evictions,
        routeCacheEntries: routes.entries,
        routeCacheNegativeEntries: routes.negativeEntries,
        recordProblems: routes.recordProblems,
        routeCacheBytes: routes.bytes,
        routesHeld: routes.held?.size ?? 0,
        routeCacheUnverified: this.slowGauges.unverified,
        deadMarks: routes.marksSet,
        deadMarkErrors: routes.counters.markErrors,
        deadMarksDropped: routes.marksDropped,
        certificates: this.tls.certificates.size,
        certificateContexts: this.tls.certificates.contextCount,
        certificateBytes: this.tls.certificates.bytes,
        certificateEvictions: this.tls.certificates.evictions,
        certificateLookups: this.tls.certificates.lookedUp,
        certificateLookupsRejected: this.tls.certificates.rejected,
        certificateLoads: this.tls.certificates.loads,
        certificatesAwaited: this.tls.awaited?.size ?? 0,
        certificateSoonestExpiry: this.tls.certificates.soonestEndMs / 1000,
        certificateProblems: this.tls.certificates.problems,
        accessLogDroppedLines: this.accessLog.sink.dropped,
        storeRevision: this.revision?.value ?? 0,
        storeConnected: this.watch.connected ? 1 : 0,
        storeUnverifiedSeconds: (nowMs - this.connectedMs) / 1000,
        workerResidentBytes: residentBytes(),
        workerEventLoopDelaySeconds: this.slowGauges.longestDelaySeconds,
      }),
    );
  }
}

function resolverOf({ dns }: Config, log: Log, onInternalError: (where: string, error: Error) => void): NameResolver {
  return systemResolver({
    settings: dns,
    log,
    onInternalError: (error) => onInternalError('the resolver of names', error),
  });
}

/** The client of the requests that the proxy sends itself, within its connections. @param dataPlane made later. */
function webClient(resolver: NameResolver, tls: BackendTls, dataPlane: () => DataPlane): WebClient {
  return new WebClient({
    resolver,
    tls,
    makeRoom: () => dataPlane().makeRoom(),
    onConnections: (open) => {
      dataPlane().counters.webConnectionsOpen = open;
    },
  });
}

function policiesOf(policy: HostPolicy, passwords: Passwords, tokens: RateBuckets, web: WebClient): PolicyCompiler {
  return new PolicyCompiler(policy, {
    checkPassword: (password, hash) => passwords.check(password, hash),
    tokens,
    authServers: new AuthServers((request) => web.get(request)),
  });
}

function errorPages(config: Config, log: Log): ErrorPages {
  const directory = config.server.staticDir ?? packageFile('pages');
  try {
    const pages = new ErrorPages(directory, (message) => log.warn(message));
    if (config.server.staticDir !== null) pages.watch();
    return pages;
  } catch (error) {
    throw new HipacheError('CONFIG_INVALID', `server.staticDir: ${(error as Error).message}`, { cause: error });
  }
}

/** The buckets of a worker, which those of the other workers of the instance follow. */
function rateBuckets({ instances, place }: WorkerStart, link: WorkerLink): RateBuckets {
  const buckets = new RateBuckets({
    clock: systemClock,
    setTimer: setRealTimer,
    workers: place.workers,
    report: (uses) => link.uses(uses),
  });
  buckets.share(instances);
  link.onUses = (uses) => buckets.debit(uses);
  link.onFleet = (count) => buckets.share(count);
  return buckets;
}

/** A log that adds the worker's number to each line. */
function ofWorker(log: Log, worker: number): Log {
  const at = (level: keyof Log) => (message: string, fields?: LogFields) => log[level](message, { worker, ...fields });
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** Logs each mark that this worker sets, and reports it to the primary. */
function reportMarks(log: Log, link: WorkerLink): (pattern: string, url: string, mark: DownMark) => void {
  const marks = new RateLimitedLog(log.info, systemClock);
  return (pattern, url, { untilMs, sinceMs, reason }) => {
    const fields = { host: pattern, backend: url, reason, seconds: (untilMs - sinceMs) / 1000 };
    marks.report('a backend is marked dead', fields, url);
    link.marked({ pattern, url, untilMs, sinceMs, reason });
  };
}

/** A store that cannot be reached, or that only lets itself be read, has its line in the log from elsewhere. */
function failureReports(store: Store, instance: string, log: Log): FailureReports {
  const problems = new RateLimitedLog(log.debug, systemClock);
  return new FailureReports({
    ...{ failures: store.failures, instance, clock: systemClock },
    onError: (error) =>
      problems.report('failures of backends cannot be written to the store', { error: error as Error }),
  });
}

function cacheLimits(limits: Config['limits']): Partial<RouteCacheLimits> {
  return {
    entriesMax: limits.cacheEntriesMax,
    bytesMax: limits.cacheBytesMax,
    negativeEntriesMax: limits.cacheNegativeEntriesMax,
  };
}

/** The records that the workers of the instance share through the primary. */
function sharedRecords(link: WorkerLink, store: Store, judge: () => Promise<void>): SharedRecords {
  const shared = new SharedRecords({ report: (records) => link.read(records), ask: () => link.recall(), judge, store });
  link.onVerify = (keys) => shared.verify(keys);
  link.onKnown = (records, isLast) => shared.take(records, isLast);
  return shared;
}

/** Null if instances leave no records in the store. */
function appliedRevision(store: Store, routes: RouteCache): AppliedRevision | null {
  const { instances } = store;
  if (instances === null) return null;
  // The server that Redis' driver is connected to may change.
  const expiresRegularly = () => store.capabilities.changes === 'expiry';
  return new AppliedRevision({ instances, expiresRegularly, settled: () => routes.settled() });
}

function memoryWatch({ limits, server }: Config, link: WorkerLink): MemoryWatch | null {
  if (limits.workerMemoryBytesMax === 0) return null;
  return new MemoryWatch({
    bytesMax: limits.workerMemoryBytesMax,
    everyMs: server.memoryCheckSeconds * 1000,
    residentBytes,
    collectGarbage,
    onOver: (bytes) => link.overMemory(bytes),
  });
}

import { randomBytes } from 'node:crypto';
import { flushCompileCache } from 'node:module';
import { hostname } from 'node:os';
import { performance } from 'node:perf_hooks';
import { systemClock } from '../base/clock.ts';
import { ErrorCollector, operatingErrorsOf } from '../base/error-collector.ts';
import { HipacheError } from '../base/errors.ts';
import { exitCodes } from '../base/exit-codes.ts';
import type { Log } from '../base/log.ts';
import { entryPoint } from '../base/package-files.ts';
import { type StandardLog, standardLog } from '../base/standard-log.ts';
import { setRealTimer } from '../base/timer.ts';
import { packageVersion } from '../base/version.ts';
import type { Config } from '../config/config.ts';
import type { LoadedConfig } from '../config/load.ts';
import { BoundAddresses } from '../processes/bound-addresses.ts';
import { GivenSockets } from '../processes/given-sockets.ts';
import type { DrainOrder } from '../processes/messages.ts';
import { PidFile } from '../processes/pid-file.ts';
import type { Plan } from '../processes/plan.ts';
import { dropPrivileges, resolveAccount } from '../processes/privileges.ts';
import { ServiceManager } from '../processes/service-manager.ts';
import { Signals } from '../processes/signals.ts';
import { Predecessor } from '../processes/successor.ts';
import { Supervisor } from '../processes/supervisor.ts';
import { KnownRecords } from '../route-cache/known-records.ts';
import { RecordLosses } from '../route-cache/record-losses.ts';
import { describeDriver } from '../stores/open-store.ts';
import { TlsKeeper } from '../tls/tls-state.ts';
import { AdminProcess } from './admin-process.ts';
import { ChangeQueue } from './change-queue.ts';
import { listenAddressesOf, logDiagnostics, needRestart, transferFiles, workersOf } from './following.ts';
import { HealthChecking } from './health-checking.ts';
import { InstanceMetrics } from './instance-metrics.ts';
import { InstanceRecord } from './instance-record.ts';
import { LoadHistory } from './load-history.ts';
import { MetricsEndpoint } from './metrics-endpoint.ts';
import { Ordering } from './ordering.ts';
import { PlatformEvents } from './platform-events.ts';
import { prepareStore } from './prepare-store.ts';
import { Recovery } from './recovery.ts';
import { Reload } from './reload.ts';
import { Snapshot } from './snapshot.ts';
import { certificateDirectoryProblems } from './start-check.ts';
import { TicketKeySharing } from './ticket-key-sharing.ts';
import { Upgrade, type UpgradeParts } from './upgrade.ts';
import { WipeGuard } from './wipe-guard.ts';

/** Defaults depend on whether the program was started as root. An upgrade does not change them. */
const startedAsRoot = 'HIPACHE_STARTED_AS_ROOT';

/** How an instance starts, besides its configuration. */
export interface StartOptions {
  /** Whether it shares addresses with an instance that listens there, and that is to stop next. */
  readonly beside: boolean;
  /** Whether the program was started as root, maybe by a primary before this one. */
  readonly isRoot: boolean;
}

/**
 * The primary: binds the listen addresses, gives up root, and keeps workers that serve, until a signal stops it.
 * @param reload reads the configuration again.
 * @returns the exit code.
 */
export async function servePrimary(
  loaded: LoadedConfig,
  reload: () => LoadedConfig,
  options: StartOptions,
): Promise<number> {
  const { config, file } = loaded;
  const standard = standardLog({ level: config.server.logLevel, format: config.server.logFormat });
  const { log } = standard;
  // For the workers, and for this process once it runs as another user.
  process.env[startedAsRoot] = options.isRoot ? '1' : '0';
  log.info(`hipache ${packageVersion()} starts`, { pid: process.pid, config: file ?? 'none', node: process.version });
  logDiagnostics(loaded, log);
  try {
    const isReplaced = await new Primary(config, standard, reload, options).run();
    if (isReplaced) log.info('the former program has ended', { pid: process.pid });
    else log.info('stopped');
    return exitCodes.ok;
  } catch (error) {
    const errors = operatingErrorsOf(error);
    if (errors === null) throw error;
    for (const { code, message } of errors) log.error(message, { code });
    return exitCodes.failed;
  } finally {
    if (!(await standard.close())) setTimeout(() => process.exit(), lastMs);
  }
}

/** How long the rest of the program may take after it has ended, if nothing else ends it, in ms. */
const lastMs = 500;

/** Memory for records that are gone since a moment, in bytes. */
const lostBytesMax = 64 * 1024 * 1024;

class Primary {
  private config: Config;
  private readonly log: Log;
  private readonly closeLog: StandardLog['close'];
  private readonly readConfig: () => LoadedConfig;
  private readonly instance = `${hostname()}-${randomBytes(4).toString('hex')}`;
  private readonly losses = new RecordLosses(lostBytesMax);
  private readonly known = new KnownRecords(0, this.losses);
  private readonly snapshot: Snapshot;
  private readonly options: StartOptions;
  private readonly metrics: InstanceMetrics;
  private readonly loads: LoadHistory;
  private readonly endpoint: MetricsEndpoint;
  private readonly predecessor: Predecessor | null;
  private readonly given: GivenSockets;
  private readonly service: ServiceManager;
  private readonly signals: Signals;
  private readonly pidFile: PidFile;
  private readonly addresses: BoundAddresses;
  private readonly recovery: Recovery;
  private readonly health: HealthChecking;
  private readonly platform: PlatformEvents;
  private readonly orders: Ordering;
  private readonly ticketKeys: TicketKeySharing;
  private readonly guard: WipeGuard;
  private readonly admin: AdminProcess;
  private supervisor: Supervisor | null = null;
  private record: InstanceRecord;
  private tls: TlsKeeper | null = null;
  private isReplaced = false;
  private withdrawn: Promise<void> | null = null;

  constructor(config: Config, { log, close }: StandardLog, readConfig: () => LoadedConfig, options: StartOptions) {
    this.config = config;
    this.closeLog = close;
    this.options = options;
    this.log = log;
    this.readConfig = readConfig;
    this.health = new HealthChecking(config, this.instance, log);
    this.recovery = new Recovery(config, this.instance, log, (pattern) => this.health.isChecked(pattern));
    this.platform = new PlatformEvents(config, this.instance, log);
    this.orders = new Ordering(config, this.instance, log, (name) => this.supervisor?.tellCertificateLooked(name));
    this.ticketKeys = new TicketKeySharing(config, log, (keys) => this.tls?.takeTicketKeys(keys));
    this.snapshot = new Snapshot(this.known, log);
    this.guard = new WipeGuard({ config, known: this.snapshot, log, onTurn: () => this.onGuard() });
    this.losses.askGuard = () => void this.guard.judge();
    const { recovery, health, known, guard, orders, platform, snapshot } = this;
    const probing = { recovery, health, orders, platform };
    this.metrics = new InstanceMetrics(systemClock.epochMs(), probing, known, config.metrics.hostsMax, guard, snapshot);
    this.loads = new LoadHistory({ read: () => this.metrics.reading(), clock: systemClock, setTimer: setRealTimer });
    this.admin = new AdminProcess(log, async (subject, question) =>
      subject === 'load' ? [this.loads.since(question as number)] : this.metrics.ask(subject, question),
    );
    this.record = this.recordOf(config);
    this.predecessor = Predecessor.fromEnvironment(process.env);
    this.given = GivenSockets.fromEnvironment(process.env, process.pid);
    this.service = new ServiceManager(process.env, log);
    this.pidFile = new PidFile(config.server.pidFile, log);
    this.signals = new Signals(log, (signal) => this.endStart(signal));
    this.endpoint = new MetricsEndpoint(this.metrics, log);
    this.addresses = new BoundAddresses(workersOf(config), listenAddressesOf(config).length, this.given);
  }

  /** @returns whether another process has taken over. */
  async run(): Promise<boolean> {
    const { config, log, metrics } = this;
    let supervisor: Supervisor | null = null;
    try {
      const errors = new ErrorCollector();
      const account = await errors.take(() => resolveAccount(config.user, config.group));
      // Keys may be readable by root alone.
      this.tls = await errors.take(() => this.loadTls(config));
      await this.listen(errors);
      errors.check();
      for (const problem of certificateDirectoryProblems(config, account)) log.warn(problem);
      if (account !== null) {
        transferFiles(config, account, log);
        dropPrivileges(account);
        log.info(`running as ${account.user}`);
      }
      // A predecessor serves from the store: a missing file is not to be created, but put back.
      await prepareStore(config, { create: this.predecessor === null });
      this.snapshot.follow(config);
      await this.guard.start();
      supervisor = new Supervisor({
        program: { path: entryPoint('worker/main'), env: process.env },
        plan: this.plan(config, this.tls),
        observer: metrics,
        onMarked: (marked) => this.recovery.marked(marked),
        platform: this.platform,
        onChecked: (patterns) => this.health.confirm(patterns),
        onCertificateWanted: (name, address) => this.orders.wanted(name, address),
        known: this.snapshot,
        guard: this.guard,
        log,
        clock: systemClock,
        random: Math.random,
      });
      this.supervisor = supervisor;
      metrics.attach(supervisor);
      if (this.tls !== null) this.distributeTls(supervisor, this.tls);
      await this.serve(supervisor);
      return this.isReplaced;
    } finally {
      // After an error here, nothing else would end the workers.
      supervisor?.killAll();
      this.tls?.close();
      await this.guard.close();
      await this.recovery.close();
      await this.health.close();
      await this.platform.close();
      await this.orders.close();
      await this.ticketKeys.close();
      await this.withdraw();
      this.loads.close();
      this.admin.close();
      this.stopListening();
      this.service.close();
      this.snapshot.close();
      this.pidFile.remove();
    }
  }

  /** A signal stops the program before it has workers. Nobody depends on it yet. */
  private endStart(signal: NodeJS.Signals): void {
    this.log.info(`${signal}: the start is given up`);
    this.predecessor?.stop(signal);
    this.log.info('stopped');
    void this.closeLog().then(() => process.exit(exitCodes.ok));
  }

  private async listen(errors: ErrorCollector): Promise<void> {
    const { config, log, given } = this;
    const { listenWaitSeconds } = config.server;
    const rivalry = {
      beside: this.options.beside,
      untilMs: performance.now() + listenWaitSeconds * 1000,
      onWait: (where: string) =>
        log.warn(`another program listens on ${where}: waiting until it stops, for up to ${listenWaitSeconds} s`),
    };
    this.addresses.use((await errors.take(() => this.addresses.bind(listenAddressesOf(config), rivalry))) ?? []);
    await errors.take(() => this.endpoint.listen(config.metrics, given, rivalry));
    for (const socket of given.closeUnused()) log.warn(`an inherited socket fits no configured address: ${socket}`);
  }

  private stopListening(): void {
    this.endpoint.close();
    this.addresses.close();
  }

  /** Ends the record of this instance in the store. */
  private withdraw(): Promise<void> {
    this.withdrawn ??= this.record.close();
    return this.withdrawn;
  }

  private async serve(supervisor: Supervisor): Promise<void> {
    const { log, signals } = this;
    const upgrade = this.upgradeOf(supervisor, (signal, again) => signals.onElsewhere(signal, again));
    const changes = new ChangeQueue({
      log,
      isStopping: () => supervisor.isStopping,
      reload: () => this.reload(supervisor),
      upgrade: () => this.upgrade(upgrade, supervisor),
      reloadSuccessor: () => upgrade.reloadSuccessor(),
    });
    signals.follow({
      stop: (signal) => {
        const { drainSeconds } = this.config.server;
        log.info(`${signal}: requests and tunnels may finish, for up to ${drainSeconds} s`);
        if (!this.isReplaced) this.service.stopping();
        upgrade.abort();
        this.predecessor?.stop(signal);
        return this.drain(supervisor, { forMs: drainSeconds * 1000, closeCode: 1001 });
      },
      abort: () => {
        this.predecessor?.abort();
        upgrade.kill();
        supervisor.killAll();
      },
      reload: () => changes.reload(),
      reopenLogs: () => supervisor.reopenLogs(),
      upgrade: async () => (await changes.upgrade()) && this.leave(supervisor),
    });
    if (await supervisor.start()) {
      this.addresses.listening();
      // A host that is written from now on gets its certificate before a client asks for it.
      this.orders.start();
      await this.orders.begun();
      if (!(await this.service.ready()) && this.predecessor !== null) {
        await this.drain(supervisor, { forMs: this.config.server.drainSeconds * 1000, closeCode: 1012 });
        throw new HipacheError('UPGRADE_FAILED', 'systemd could not be notified of the new process');
      }
      this.pidFile.write();
      log.info('serving', { workers: supervisor.readyCount, store: describeDriver(this.config.driver).name });
      for (const url of this.addresses.urls) log.info(`listening on ${url}`);
      this.publishInstance();
      this.ticketKeys.start();
      await this.admin.follow(this.config);
      signals.serving();
      this.predecessor?.serving();
    }
    flushCompileCache();
    await signals.ended;
  }

  /** Closes the listening sockets, so that another instance can have the addresses, and ends what is in progress. */
  private async drain(supervisor: Supervisor, order: DrainOrder): Promise<void> {
    const drained = supervisor.stop(order);
    // Other instances take over.
    const checksEnded = Promise.all([this.health.close(), this.orders.close(), this.ticketKeys.close()]);
    this.stopListening();
    this.admin.close();
    void this.withdraw();
    if (!(await drained)) this.log.warn('some requests or tunnels did not finish in time and were ended');
    await checksEnded;
  }

  private upgradeOf(supervisor: Supervisor, onStop: UpgradeParts['onStop']): Upgrade {
    return new Upgrade({
      log: this.log,
      env: process.env,
      handed: () => [...this.addresses.handed, ...this.endpoint.handed],
      obstacle: () => {
        if (supervisor.readyCount === 0) return 'no worker serves';
        if (process.pid === 1) return 'process 1 of a container cannot be replaced; start another container';
        if (this.service.isBoundToProcess) return 'the unit of systemd needs Type=notify and NotifyAccess=all';
        if (this.guard.isRaised && !this.snapshot.isKept) return 'it would lose the routes that the store has lost';
        return null;
      },
      onStop,
    });
  }

  /** @returns whether the new program serves. If not, everything goes on as before, which the file of the pid tells. */
  private async upgrade(upgrade: Upgrade, supervisor: Supervisor): Promise<boolean> {
    this.isReplaced = await upgrade.run();
    if (!this.isReplaced && !supervisor.isStopping) this.pidFile.write();
    return this.isReplaced;
  }

  /** A new program serves. @returns whether this one has nothing left to do; false if a signal stops it. */
  private async leave(supervisor: Supervisor): Promise<boolean> {
    if (supervisor.isStopping) return false;
    this.service.close();
    // As for replaced workers: nothing cuts a request.
    const forMs = this.config.server.drainSeconds * 1000;
    await this.drain(supervisor, { forMs, requestsForMs: Number.POSITIVE_INFINITY, closeCode: 1012 });
    return true;
  }

  /** Applies the file as it is now. If that is not possible, nothing changes, and the log says why. */
  private async reload(supervisor: Supervisor): Promise<void> {
    const { log } = this;
    try {
      log.info('SIGHUP: reading the configuration again');
      this.service.reloading();
      const loaded = this.readConfig();
      logDiagnostics(loaded, log);
      await this.applyConfig(supervisor, loaded.config);
    } catch (error) {
      const errors = operatingErrorsOf(error);
      if (errors === null) log.error('internal error in a reload; nothing is changed', { error });
      for (const { code, message } of errors ?? []) log.error(`nothing is changed: ${message}`, { code });
    } finally {
      // An upgrade may be next: its program names itself to systemd after this one.
      if (!supervisor.isStopping) await this.service.ready();
    }
  }

  private async applyConfig(supervisor: Supervisor, config: Config): Promise<void> {
    const { log, addresses } = this;
    for (const key of needRestart(this.config, config)) log.warn(`${key}: changes with a restart only`);
    const known = addresses.urls;
    if (!this.isStoreOf(config)) await prepareStore(config, { create: true });
    const reload = new Reload<TlsKeeper>({
      addresses,
      workers: supervisor,
      listenAddresses: listenAddressesOf,
      readTls: (next, former) => this.loadTls(next, former),
      plan: (next, tls) => this.plan(next, tls),
      watchTls: (tls) => this.distributeTls(supervisor, tls),
    });
    const { outcome, tls } = await reload.run(config, this.tls);
    this.tls = tls;
    if (outcome === 'refused') log.error('nothing is changed: a worker with the new configuration did not start');
    if (outcome !== 'done') return;
    this.config = config;
    this.snapshot.follow(config);
    for (const problem of certificateDirectoryProblems(config, null)) log.warn(problem);
    this.recovery.follow(config);
    this.health.follow(config);
    this.platform.follow(config);
    this.orders.follow(config);
    this.ticketKeys.follow(config);
    this.guard.follow(config);
    await this.admin.follow(config);
    await this.withdraw();
    if (supervisor.isStopping) return;
    this.withdrawn = null;
    this.record = this.recordOf(config);
    this.publishInstance();
    for (const url of addresses.urls) if (!known.includes(url)) log.info(`listening on ${url}`);
    for (const url of known) if (!addresses.urls.includes(url)) log.info(`no longer listening on ${url}`);
    log.info('the new configuration is in use', { workers: supervisor.readyCount });
  }

  /** Whether a configuration names the store in use. */
  private isStoreOf({ driver }: Config): boolean {
    return JSON.stringify(driver) === JSON.stringify(this.config.driver);
  }

  /** @throws HipacheError CERTIFICATE_INVALID, AggregateError of several. */
  private loadTls(config: Config, former: TlsKeeper | null = null): TlsKeeper {
    const warnings: string[] = [];
    const keeper = new TlsKeeper(config.https.bind, warnings, (message) => this.log.error(message), former);
    for (const warning of warnings) this.log.warn(warning);
    return keeper;
  }

  private recordOf(config: Config): InstanceRecord {
    const { instance, loads, log, metrics } = this;
    return new InstanceRecord({
      ...{ config, instance, log },
      ask: () => metrics.applied(),
      held: () => this.guard.routes,
      load: () => loads.text,
      onFleet: (instances) => {
        metrics.instances = instances.length;
        this.supervisor?.tellFleet(instances.length);
        this.platform.share(instances.length);
        const others = instances.filter((other) => other.instance !== instance);
        loads.heard(others.map(({ fields }) => fields['load'] ?? ''));
      },
    });
  }

  /** Routes are held from now on, or not any more. */
  private onGuard(): void {
    this.supervisor?.tellHold();
    this.record.renew();
  }

  /** Nothing waits for it: traffic does not depend on it. */
  private publishInstance(): void {
    this.record
      .start()
      .catch((error: Error) => this.log.warn('the record of this instance cannot be written', { error }));
  }

  private distributeTls(supervisor: Supervisor, tls: TlsKeeper): void {
    tls.watch((state) => {
      this.log.info('certificates or ticket keys have been renewed');
      supervisor.tellTls(state);
    });
  }

  private plan(config: Config, tls: TlsKeeper | null): Plan {
    const { addresses, instance } = this;
    return {
      workers: workersOf(config),
      settings: { config, instance, tls: tls?.state },
      sockets: addresses.sockets,
      descriptors: addresses.descriptors,
      drainMs: config.server.drainSeconds * 1000,
      stuckMs: config.server.workerStuckSeconds * 1000,
    };
  }
}

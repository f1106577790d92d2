import { systemClock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { RateLimitedLog } from '../base/rate-limited-log.ts';
import { packageVersion } from '../base/version.ts';
import type { Config } from '../config/config.ts';
import { type RecoveryCounters, RecoveryProbes } from '../health/recovery.ts';
import type { MarkReport } from '../processes/messages.ts';
import { openStore } from '../stores/open-store.ts';
import { closeProbeMeans, haveSameMeans, openProbeMeans, type ProbeMeans } from './probe-means.ts';

/** The shortest time that a probe waits for a response, in ms. */
const timeoutMsMin = 5000;

interface Started {
  readonly means: ProbeMeans;
  readonly probes: RecoveryProbes;
}

/** The recovery probes of an instance. The first mark opens their own connection to the store. */
export class Recovery {
  readonly counters: RecoveryCounters = { probes: 0, recovered: 0, dropped: 0 };
  private config: Config;
  private readonly instance: string;
  private readonly log: Log;
  private readonly problems: RateLimitedLog;
  private readonly open: typeof openStore;
  private readonly isChecked: (pattern: string) => boolean;
  private started: Promise<Started> | null = null;
  private probes: RecoveryProbes | null = null;
  private closed = false;

  /** @param isChecked whether health checks lift the marks of a pattern at present. @param open opens the store. */
  constructor(
    config: Config,
    instance: string,
    log: Log,
    isChecked: (pattern: string) => boolean = isNever,
    open = openStore,
  ) {
    this.config = config;
    this.isChecked = isChecked;
    this.open = open;
    this.instance = instance;
    this.log = log;
    this.problems = new RateLimitedLog(log.warn, systemClock);
  }

  /** Backends that are probed. */
  get size(): number {
    return this.probes?.size ?? 0;
  }

  /** A worker has set this mark. */
  marked(marked: MarkReport): void {
    if (this.closed || this.config.server.recoveryProbeSeconds === 0) return;
    const { pattern, url, ...mark } = marked;
    this.started ??= this.start();
    const { started } = this;
    started
      .then(({ probes }) => probes.marked({ pattern, url, mark: { ...mark, instance: this.instance } }))
      .catch((error: Error) => {
        if (this.started === started) this.started = null;
        this.problems.report('marked backends cannot be probed', { error });
      });
  }

  /** Takes a new configuration. The marks of this instance are still tracked, unless it turns probes off. */
  follow(config: Config): void {
    const { started } = this;
    const isSame = haveSameMeans(config, this.config) && settingsOf(config) === settingsOf(this.config);
    this.config = config;
    if (started === null || isSame) return;
    const isOff = config.server.recoveryProbeSeconds === 0;
    this.started = isOff ? null : this.replaceProbes(started);
    if (isOff) void close(started);
    else this.started?.catch(ignore);
  }

  async close(): Promise<void> {
    this.closed = true;
    if (this.started !== null) await close(this.started);
  }

  /** If the new settings cannot be used, the probes keep the former ones. */
  private async replaceProbes(started: Promise<Started>): Promise<Started> {
    const former = await started;
    try {
      const next = await this.start();
      for (const mark of former.probes.marks) next.probes.marked(mark);
      await close(started);
      return next;
    } catch (error) {
      this.problems.report('marked backends are probed with the configuration before', { error: error as Error });
      this.probes = former.probes;
      return former;
    }
  }

  private async start(): Promise<Started> {
    const { config, instance, log } = this;
    const means = await openProbeMeans(config, log, this.problems, this.open);
    const probes = new RecoveryProbes({
      ...means,
      instance,
      downMs: config.server.deadBackendTTL * 1000,
      everyMs: config.server.recoveryProbeSeconds * 1000,
      timeoutMs: Math.max(timeoutMsMin, config.limits.connectTimeoutSeconds * 1000),
      version: packageVersion(),
      clock: systemClock,
      counters: this.counters,
      log,
      onProblem: (what, error) => this.problems.report(what, { error }),
      isChecked: this.isChecked,
    });
    this.probes = probes;
    return { means, probes };
  }
}

/** The rest of the configuration that the probes depend on. */
function settingsOf({ limits, server }: Config): string {
  const { deadBackendTTL, recoveryProbeSeconds } = server;
  return JSON.stringify([deadBackendTTL, recoveryProbeSeconds, limits.connectTimeoutSeconds]);
}

async function close(started: Promise<Started>): Promise<void> {
  const running = await started.catch(() => null);
  running?.probes.close();
  if (running !== null) await closeProbeMeans(running.means);
}

function isNever(): boolean {
  return false;
}

function ignore(): void {}

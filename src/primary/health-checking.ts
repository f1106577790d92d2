import { systemClock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { RateLimitedLog } from '../base/rate-limited-log.ts';
import { within } from '../base/timer.ts';
import { packageVersion } from '../base/version.ts';
import type { Config } from '../config/config.ts';
import { HealthChecks, type HealthCounters } from '../health/health-checks.ts';
import { probe } from '../health/probe.ts';
import { bodyBytesOf } from '../health/response-fault.ts';
import { openStore } from '../stores/open-store.ts';
import { closeProbeMeans, haveSameMeans, openProbeMeans, type ProbeMeans } from './probe-means.ts';

/** How long the end of the program may wait for the store, in ms. */
const withdrawMs = 500;

interface StartedChecks {
  readonly means: ProbeMeans;
  readonly checks: HealthChecks;
}

/** The regular health checks of an instance. The first host with one opens their own connection to the store. */
export class HealthChecking {
  readonly counters: HealthCounters = { succeeded: 0, failed: 0, turnedDown: 0, turnedUp: 0, dropped: 0 };
  private config: Config;
  private readonly instance: string;
  private readonly log: Log;
  private readonly problems: RateLimitedLog;
  private readonly open: typeof openStore;
  private started: Promise<StartedChecks> | null = null;
  private checks: HealthChecks | null = null;
  private closed = false;

  /** @param open opens the store. */
  constructor(config: Config, instance: string, log: Log, open = openStore) {
    this.config = config;
    this.instance = instance;
    this.log = log;
    this.open = open;
    this.problems = new RateLimitedLog(log.warn, systemClock);
  }

  /** Backends that this instance checks. */
  get size(): number {
    return this.checks?.size ?? 0;
  }

  /** Those among them that are down. */
  get downCount(): number {
    return this.checks?.downCount ?? 0;
  }

  /** Whether health checks decide on the marks of the backends of a pattern. */
  isChecked(pattern: string): boolean {
    return this.checks?.isChecked(pattern) ?? false;
  }

  /** Workers serve these patterns, whose options want checks. */
  confirm(patterns: readonly string[]): void {
    if (this.closed) return;
    this.started ??= this.start();
    const { started } = this;
    started
      .then(({ checks }) => checks.confirm(patterns))
      .catch((error: Error) => {
        // The workers report the hosts again.
        if (this.started === started) this.started = null;
        this.problems.report('backends cannot be checked', { error });
      });
  }

  /** Takes a new configuration. Counts of failures and successes begin anew if it has another store or way to backends. */
  follow(config: Config): void {
    const isSame = haveSameMeans(config, this.config);
    this.config = config;
    if (this.started === null || isSame || this.closed) return;
    this.started = this.replace(this.started);
    this.started.catch(ignore);
  }

  async close(): Promise<void> {
    this.closed = true;
    const { started } = this;
    this.started = null;
    this.checks = null;
    const running = await started?.catch(() => null);
    if (running == null) return;
    const withdrawn = running.checks.close().then(() => running.checks.withdraw());
    await within(withdrawn, withdrawMs).catch(ignore);
    await end(running);
  }

  /** If the new settings cannot be used, the checks keep the former ones. */
  private async replace(started: Promise<StartedChecks>): Promise<StartedChecks> {
    const former = await started;
    try {
      const next = await this.start();
      next.checks.confirm(former.checks.patterns);
      await end(former);
      return next;
    } catch (error) {
      this.problems.report('backends are checked with the configuration before', { error: error as Error });
      this.checks = former.checks;
      return former;
    }
  }

  private async start(): Promise<StartedChecks> {
    const { config, instance, log, counters, problems } = this;
    const means = await openProbeMeans(config, log, problems, this.open);
    const { resolver, store, tls } = means;
    const version = packageVersion();
    const checks = new HealthChecks({
      ...{ store, instance, counters, log },
      ask: (target, host, check) => {
        const { path, timeoutMs } = check;
        return probe({ target, host, path, timeoutMs, tls, resolver, version, bodyBytesMax: bodyBytesOf(check) });
      },
      clock: systemClock,
      random: Math.random,
      onProblem: (what, error) => problems.report(what, { error }),
    });
    if (!this.closed) this.checks = checks;
    return { means, checks };
  }
}

async function end({ checks, means }: StartedChecks): Promise<void> {
  // Readings that are under way fail when the store is closed.
  await Promise.all([checks.close(), closeProbeMeans(means)]);
}

function ignore(): void {}

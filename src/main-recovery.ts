import { systemClock } from './base/clock.ts';
import type { Log } from './base/log.ts';
import { RareProblems } from './base/rare-problems.ts';
import type { Config } from './config/config.ts';
import { packageVersion } from './control/version.ts';
import { RecoveryProbes } from './health/recovery.ts';
import type { Store } from './stores/contract.ts';
import { openStore } from './stores/open-store.ts';
import type { MarkedBackend } from './supervisor/messages.ts';
import { backendTls } from './tls/backend-tls.ts';

/** A probe waits at least this long for an answer, in ms. */
const timeoutMsMin = 5000;

/** The probes of an instance, with a connection to the store of their own, which is made with the first mark. */
export class Recovery {
  private readonly config: Config;
  private readonly instance: string;
  private readonly log: Log;
  private readonly problems: RareProblems;
  private started: Promise<{ store: Store; probes: RecoveryProbes }> | null = null;

  constructor(config: Config, instance: string, log: Log) {
    this.config = config;
    this.instance = instance;
    this.log = log;
    this.problems = new RareProblems(log.warn, systemClock);
  }

  /** A worker has set this mark. */
  marked(marked: MarkedBackend): void {
    if (this.config.server.recoveryProbeSeconds === 0) return;
    const { pattern, url, ...mark } = marked;
    this.started ??= this.start();
    this.started
      .then(({ probes }) => probes.marked({ pattern, url, mark: { ...mark, instance: this.instance } }))
      .catch((error: Error) => {
        this.started = null;
        this.problems.report('marked backends cannot be probed', { error });
      });
  }

  async close(): Promise<void> {
    const started = await this.started?.catch(() => null);
    started?.probes.close();
    await started?.store.close();
  }

  private async start(): Promise<{ store: Store; probes: RecoveryProbes }> {
    const { config, instance, log } = this;
    const store = await openStore(config.driver, { serving: true, log, deadSet: config.compat.deadSet });
    const probes = new RecoveryProbes({
      store,
      instance,
      downMs: config.server.deadBackendTTL * 1000,
      everyMs: config.server.recoveryProbeSeconds * 1000,
      timeoutMs: Math.max(timeoutMsMin, config.limits.connectTimeoutSeconds * 1000),
      tls: backendTls(config.backendTls.ca, config.backendTls.verify),
      version: packageVersion(),
      clock: systemClock,
      log,
      onProblem: (what, error) => this.problems.report(what, { error }),
    });
    return { store, probes };
  }
}

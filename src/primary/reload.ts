import { ErrorCollector } from '../base/error-collector.ts';
import type { Config } from '../config/config.ts';
import type { BoundAddresses } from '../processes/bound-addresses.ts';
import type { ListenAddress } from '../processes/messages.ts';
import type { Plan } from '../processes/plan.ts';
import type { Supervisor } from '../processes/supervisor.ts';

/** Holds keys and certificates of one configuration. */
interface TlsHolder {
  close(): void;
}

export interface ReloadParts<Tls extends TlsHolder> {
  readonly addresses: Pick<BoundAddresses, 'current' | 'bind' | 'use' | 'listening' | 'closeAllBut'>;
  readonly workers: Pick<Supervisor, 'reload' | 'isStopping'>;
  listenAddresses(config: Config): readonly ListenAddress[];
  /** Reads keys and certificates. @throws HipacheError, AggregateError of several. */
  readTls(config: Config, former: Tls | null): Tls;
  plan(config: Config, tls: Tls | null): Plan;
  /** Passes changes of keys and certificates on to the workers from now on. */
  watchTls(tls: Tls): void;
}

/** `done`; `refused`: the first new worker did not start, and nothing is changed; `stopping`: all workers are to end. */
export type ReloadOutcome = 'done' | 'refused' | 'stopping';

/**
 * A change of the configuration as a transaction: everything that it needs is prepared first, then the workers are
 * replaced; if that fails, everything is as it was.
 */
export class Reload<Tls extends TlsHolder> {
  private readonly parts: ReloadParts<Tls>;

  constructor(parts: ReloadParts<Tls>) {
    this.parts = parts;
  }

  /**
   * @param former keys and certificates in force, null before there were any.
   * @returns the outcome, and the keys and certificates that are in force after it.
   * @throws HipacheError, AggregateError of several: the configuration cannot be followed, and nothing is changed.
   */
  async run(
    config: Config,
    former: Tls | null,
  ): Promise<{ readonly outcome: ReloadOutcome; readonly tls: Tls | null }> {
    const { addresses, workers, plan, watchTls } = this.parts;
    const before = addresses.current;
    const { tls, bound } = await this.prepare(config, former, before);
    // Workers would take what is said of the former configuration for that of theirs.
    former?.close();
    addresses.use(bound);
    let isFollowed = false;
    try {
      // Before the former workers drain: the last one with a socket empties its queue.
      isFollowed = await workers.reload(plan(config, tls), () => {
        addresses.closeAllBut(bound);
        addresses.listening();
      });
    } finally {
      if (!isFollowed) {
        addresses.use(before);
        addresses.closeAllBut(before);
        if (former !== null && !workers.isStopping) watchTls(former);
      }
    }
    if (workers.isStopping) return { outcome: 'stopping', tls: isFollowed ? tls : former };
    if (!isFollowed) return { outcome: 'refused', tls: former };
    if (tls !== null) watchTls(tls);
    return { outcome: 'done', tls };
  }

  private async prepare(config: Config, former: Tls | null, before: Bound): Promise<{ tls: Tls | null; bound: Bound }> {
    const { addresses, listenAddresses, readTls } = this.parts;
    const errors = new ErrorCollector();
    const tls = await errors.take(() => readTls(config, former));
    const bound = (await errors.take(() => addresses.bind(listenAddresses(config)))) ?? [];
    try {
      errors.check();
    } catch (error) {
      addresses.closeAllBut(before);
      throw error;
    }
    return { tls, bound };
  }
}

type Bound = BoundAddresses['current'];

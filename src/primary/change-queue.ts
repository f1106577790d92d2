import type { Log } from '../base/log.ts';

/** The changes of a running instance. */
export interface ChangeQueueParts {
  readonly log: Pick<Log, 'info' | 'warn'>;
  /** Whether the instance is to end: no change begins any more. */
  readonly isStopping: () => boolean;
  /** Applies the configuration as it is now. Never rejects. */
  readonly reload: () => Promise<void>;
  /** @returns whether another program has taken over. */
  readonly upgrade: () => Promise<boolean>;
  /** Has that program read the configuration again. */
  readonly reloadSuccessor: () => void;
}

/** Runs one change of the instance at a time. A change that is requested meanwhile is not lost: it follows. */
export class ChangeQueue {
  private readonly parts: ChangeQueueParts;
  private last: Promise<unknown> = Promise.resolve();
  /** Changes that run or wait. */
  private size = 0;
  /** Whether a reload waits; it serves all requests until it begins. */
  private isReloadDue = false;
  /** Whether an upgrade waits, runs or has succeeded. */
  private isUpgradeDue = false;
  private isReplaced = false;

  constructor(parts: ChangeQueueParts) {
    this.parts = parts;
  }

  /** SIGHUP. During an upgrade, the program that serves afterwards gets it: it may have read the file already. */
  reload(): void {
    const { log, reload, reloadSuccessor } = this.parts;
    if (this.isReplaced) {
      log.warn('SIGHUP ignored: another program has taken over; send it to that one');
      return;
    }
    if (this.isReloadDue) return;
    this.isReloadDue = true;
    if (this.size > 0) log.info('SIGHUP: the configuration is read again after the change that is under way');
    void this.inTurn(async () => {
      this.isReloadDue = false;
      if (this.isReplaced) reloadSuccessor();
      else await reload();
    });
  }

  /** SIGUSR2. @returns whether another program has taken over. */
  async upgrade(): Promise<boolean> {
    const { log, upgrade } = this.parts;
    if (this.isUpgradeDue) {
      log.warn('SIGUSR2 ignored: an upgrade is under way or due already');
      return false;
    }
    this.isUpgradeDue = true;
    if (this.size > 0) log.info('SIGUSR2: the upgrade begins after the reload that is under way');
    await this.inTurn(async () => {
      this.isReplaced = await upgrade();
      this.isUpgradeDue = this.isReplaced;
    });
    return this.isReplaced;
  }

  private inTurn(change: () => Promise<void>): Promise<void> {
    this.size++;
    const result = this.last.then(async () => {
      try {
        if (!this.parts.isStopping()) await change();
      } finally {
        this.size--;
      }
    });
    this.last = result.catch(() => {});
    return result;
  }
}

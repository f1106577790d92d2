import { CoalescedTask } from '../base/coalesced-task.ts';
import { type SetTimer, setRealTimer } from '../base/timer.ts';
import type { InstanceCollection } from '../stores/contract.ts';

/** Between two readings of the revision, in ms, however often the store is written. */
const pauseMs = 100;

export interface AppliedRevisionOptions {
  readonly instances: Pick<InstanceCollection, 'revision'>;
  /** Whether `expired` comes all the time, as from a store that cannot report changes. */
  expiresRegularly(): boolean;
  /** Resolves once everything that has changed so far is read again; false if that failed. */
  settled(): Promise<boolean>;
  readonly setTimer?: SetTimer;
}

/**
 * The revision of the store up to which this process serves all written routes. A store reports changes before the revision
 * that they belong to, so a revision is applied once the records that had changed when it was read are read again.
 * After a break, known records are verified with their next use and do not hold the revision back. The store may have gone
 * back to an earlier revision by then: no revision counts until it has been read again.
 */
export class AppliedRevision {
  private readonly options: AppliedRevisionOptions;
  private readonly setTimer: SetTimer;
  private cancel: (() => void) | null = null;
  /** Reads the revision, then pauses. */
  private readonly applying = new CoalescedTask(() => this.apply());
  private breaks = 0;
  /** 0: not known. */
  value = 0;

  constructor(options: AppliedRevisionOptions) {
    this.options = options;
    this.setTimer = options.setTimer ?? setRealTimer;
  }

  expired(): void {
    if (this.options.expiresRegularly()) this.revised();
    else this.restored();
  }

  restored(): void {
    this.breaks++;
    this.value = 0;
    this.revised();
  }

  /** The revision may have risen. */
  revised(): void {
    void this.applying.request();
  }

  close(): void {
    void this.applying.close();
    this.cancel?.();
  }

  private async apply(): Promise<void> {
    try {
      const { breaks } = this;
      const revision = await this.options.instances.revision();
      if (!(await this.options.settled())) this.revised();
      else if (breaks === this.breaks) this.value = revision;
    } catch {
      // A lost store comes back; the revision is read again then.
    }
    if (this.applying.isClosed) return;
    await new Promise<void>((resolve) => {
      this.cancel = this.setTimer(pauseMs, resolve);
    });
  }
}

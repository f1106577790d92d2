import { CoalescedTask } from '../base/coalesced-task.ts';
import { type SetTimer, setRealTimer } from '../base/timer.ts';
import type { InstanceCollection } from '../stores/contract.ts';

/** Between two readings of the revision, in ms, however often the store is written. */
const pauseMs = 100;

export interface AppliedRevisionOptions {
  readonly instances: Pick<InstanceCollection, 'revision'>;
  /** Resolves once everything that has changed so far is read again; false if that failed. */
  settled(): Promise<boolean>;
  readonly setTimer?: SetTimer;
}

/**
 * The revision of the store up to which this process serves all written routes. A store reports changes before the revision
 * that they belong to, so a revision is applied once the records that had changed when it was read are read again.
 * After a break, known records are verified with their next use and do not hold the revision back.
 */
export class AppliedRevision {
  private readonly options: AppliedRevisionOptions;
  private readonly setTimer: SetTimer;
  private cancel: (() => void) | null = null;
  /** Reads the revision, then pauses. */
  private readonly applying = new CoalescedTask(() => this.apply());
  /** 0: not known yet. */
  value = 0;

  constructor(options: AppliedRevisionOptions) {
    this.options = options;
    this.setTimer = options.setTimer ?? setRealTimer;
  }

  expired(): void {
    this.revised();
  }

  restored(): void {
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
      const revision = await this.options.instances.revision();
      if (await this.options.settled()) this.value = revision;
      else this.revised();
    } catch {
      // A lost store comes back; the revision is read again then.
    }
    if (this.applying.isClosed) return;
    await new Promise<void>((resolve) => {
      this.cancel = this.setTimer(pauseMs, resolve);
    });
  }
}

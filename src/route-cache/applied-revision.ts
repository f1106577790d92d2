import { CoalescedTask } from '../base/coalesced-task.ts';
import { type SetTimer, setRealTimer } from '../base/timer.ts';
import type { InstanceCollection } from '../stores/contract.ts';

/** Between two looks at the revision, in ms, however often the store is written. */
const pauseMs = 100;

export interface AppliedRevisionOptions {
  readonly instances: Pick<InstanceCollection, 'revision'>;
  /** Resolves once what had changed so far is read again; false where that failed. */
  settled(): Promise<boolean>;
  readonly setTimer?: SetTimer;
}

/**
 * Up to which revision of the store this process serves what was written. A revision is read after the changes that
 * belong to it have been told, and counts once what these made out of date has been read again. After a break, what is
 * known counts as soon as it is verified with its next use.
 */
export class AppliedRevision {
  readonly #options: AppliedRevisionOptions;
  readonly #setTimer: SetTimer;
  #cancel: (() => void) | null = null;
  /** A look and the pause after it. */
  readonly #looking = new CoalescedTask(() => this.#look());
  /** 0 until it is known. */
  value = 0;

  constructor(options: AppliedRevisionOptions) {
    this.#options = options;
    this.#setTimer = options.setTimer ?? setRealTimer;
  }

  expired(): void {
    this.revised();
  }

  restored(): void {
    this.revised();
  }

  /** The revision may be another one by now. */
  revised(): void {
    void this.#looking.request();
  }

  close(): void {
    void this.#looking.close();
    this.#cancel?.();
  }

  async #look(): Promise<void> {
    try {
      const revision = await this.#options.instances.revision();
      if (await this.#options.settled()) this.value = revision;
      else this.revised();
    } catch {
      // A store that is lost comes back, and is looked at then.
    }
    if (this.#looking.isClosed) return;
    await new Promise<void>((resolve) => {
      this.#cancel = this.#setTimer(pauseMs, resolve);
    });
  }
}

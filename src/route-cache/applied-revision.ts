import { type SetTimer, setRealTimer } from '../base/timer.ts';
import type { FleetStore } from '../stores/contract.ts';

/** Between two looks at the revision, in ms, however often the store is written. */
const pauseMs = 100;

export interface AppliedRevisionOptions {
  readonly fleet: Pick<FleetStore, 'revision'>;
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
  #looking = false;
  #again = false;
  #closed = false;
  /** 0 until it is known. */
  value = 0;

  constructor(options: AppliedRevisionOptions) {
    this.#options = options;
    this.#setTimer = options.setTimer ?? setRealTimer;
  }

  changed(): void {}

  certificatesChanged(): void {}

  expired(): void {
    this.revised();
  }

  lost(): void {}

  restored(): void {
    this.revised();
  }

  /** The revision may be another one by now. */
  revised(): void {
    if (this.#looking || this.#cancel !== null) this.#again = true;
    else void this.#look();
  }

  close(): void {
    this.#closed = true;
    this.#cancel?.();
  }

  async #look(): Promise<void> {
    this.#looking = true;
    this.#again = false;
    try {
      const revision = await this.#options.fleet.revision();
      if (await this.#options.settled()) this.value = revision;
      else this.#again = true;
    } catch {
      // A store that is lost comes back, and is looked at then.
    }
    this.#looking = false;
    if (this.#closed) return;
    this.#cancel = this.#setTimer(pauseMs, () => {
      this.#cancel = null;
      if (this.#again) void this.#look();
    });
  }
}

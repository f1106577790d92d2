import { CoalescedTask } from '../../base/coalesced-task.ts';
import { type SetTimer, setRealTimer } from '../../base/timer.ts';
import { freshMs, isFreshPing } from './marks.ts';

export interface CheckerWatchOptions {
  /** Reads the checker's key. */
  read(): Promise<unknown>;
  /** A checker has begun to run, or is not heard of any more. */
  turned(running: boolean): void;
  readonly setTimer?: SetTimer;
  /** Epoch milliseconds. */
  readonly now?: () => number;
}

/** Whether an external checker (hipache-hchecker, hipcheck) runs: it says so in a key, every few seconds. */
export class CheckerWatch {
  readonly #options: CheckerWatchOptions;
  readonly #setTimer: SetTimer;
  #cancel: (() => void) | null = null;
  readonly #looking = new CoalescedTask(() => this.#look());
  running = false;

  constructor(options: CheckerWatchOptions) {
    this.#options = options;
    this.#setTimer = options.setTimer ?? setRealTimer;
  }

  /** Looks: the key may have changed. Resolves once that is known, or cannot be. */
  look(): Promise<void> {
    return this.#looking.request();
  }

  close(): void {
    void this.#looking.close();
    this.#cancel?.();
  }

  async #look(): Promise<void> {
    try {
      this.#seen(await this.#options.read());
    } catch {
      // A store that is lost comes back, and is looked at then.
    }
  }

  #seen(value: unknown): void {
    if (this.#looking.isClosed) return;
    const nowMs = (this.#options.now ?? Date.now)();
    this.#turn(isFreshPing(value, nowMs));
    this.#cancel?.();
    const staleMs = Number(value) * 1000 + freshMs + 1;
    this.#cancel = this.running ? this.#setTimer(staleMs - nowMs, () => void this.look()) : null;
  }

  #turn(running: boolean): void {
    if (running === this.running) return;
    this.running = running;
    this.#options.turned(running);
  }
}

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
  #closed = false;
  #looking: Promise<void> | null = null;
  #again = false;
  running = false;

  constructor(options: CheckerWatchOptions) {
    this.#options = options;
    this.#setTimer = options.setTimer ?? setRealTimer;
  }

  /** Looks: the key may have changed. Resolves once that is known, or cannot be. */
  look(): Promise<void> {
    if (this.#looking === null) {
      this.#looking = this.#look().finally(() => {
        this.#looking = null;
      });
    } else {
      this.#again = true;
    }
    return this.#looking;
  }

  close(): void {
    this.#closed = true;
    this.#cancel?.();
  }

  async #look(): Promise<void> {
    do {
      this.#again = false;
      try {
        this.#seen(await this.#options.read());
      } catch {
        // A store that is lost comes back, and is looked at then.
      }
    } while (this.#again && !this.#closed);
  }

  #seen(value: unknown): void {
    if (this.#closed) return;
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

import { CoalescedTask } from '../../base/coalesced-task.ts';
import { type SetTimer, setRealTimer } from '../../base/timer.ts';
import { freshMs, isFreshPing } from './marks.ts';

export interface CheckerWatchOptions {
  /** Reads the checker's key. */
  read(): Promise<unknown>;
  /** Called when a checker starts, and when its pings stop. */
  turned(running: boolean): void;
  readonly setTimer?: SetTimer;
  /** Epoch milliseconds. */
  readonly now?: () => number;
}

/** Observes whether an external checker (hipache-hchecker) runs. It writes a ping to a key every few seconds. */
export class CheckerWatch {
  private readonly options: CheckerWatchOptions;
  private readonly setTimer: SetTimer;
  private cancel: (() => void) | null = null;
  private readonly reading = new CoalescedTask(() => this.read());
  running = false;

  constructor(options: CheckerWatchOptions) {
    this.options = options;
    this.setTimer = options.setTimer ?? setRealTimer;
  }

  /** Reads the key again. Resolves when `running` is up to date, or when the store cannot be read. */
  look(): Promise<void> {
    return this.reading.request();
  }

  close(): void {
    void this.reading.close();
    this.cancel?.();
  }

  private async read(): Promise<void> {
    try {
      this.seen(await this.options.read());
    } catch {
      // A lost store comes back; the key is read again then.
    }
  }

  private seen(value: unknown): void {
    if (this.reading.isClosed) return;
    const nowMs = (this.options.now ?? Date.now)();
    this.turn(isFreshPing(value, nowMs));
    this.cancel?.();
    const staleMs = Number(value) * 1000 + freshMs + 1;
    this.cancel = this.running ? this.setTimer(staleMs - nowMs, () => void this.look()) : null;
  }

  private turn(running: boolean): void {
    if (running === this.running) return;
    this.running = running;
    this.options.turned(running);
  }
}

import type { Refusal } from '../policy/admission.ts';

interface RefusedExchange {
  readonly ended: boolean;
  giveUp(refusal: Refusal): void;
  onInternalError(error: Error): void;
}

/** Of those that wait, a turn of the event loop sends this part, and at least this many. */
const partPerTurn = 1 / 8;
const perTurnMin = 2;

/**
 * Refusals wait behind the requests that are let in: the flood of one host would otherwise put a whole burst of them
 * between a request of another host and its response. Most of the time that a refusal takes is that of its write.
 * Measured: docs/performance.md, "a quiet host beside a flood".
 */
export class RefusalQueue {
  private readonly waiting: { readonly exchange: RefusedExchange; readonly refusal: Refusal }[] = [];
  private isScheduled = false;

  add(exchange: RefusedExchange, refusal: Refusal): void {
    this.waiting.push({ exchange, refusal });
    this.schedule();
  }

  private schedule(): void {
    if (this.isScheduled || this.waiting.length === 0) return;
    this.isScheduled = true;
    setImmediate(() => this.sendSome());
  }

  private sendSome(): void {
    const count = Math.max(perTurnMin, Math.ceil(this.waiting.length * partPerTurn));
    for (const { exchange, refusal } of this.waiting.splice(0, count)) {
      // Its client may have gone.
      if (exchange.ended) continue;
      try {
        exchange.giveUp(refusal);
      } catch (error) {
        exchange.onInternalError(error as Error);
      }
    }
    this.isScheduled = false;
    this.schedule();
  }
}

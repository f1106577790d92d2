import type { NameOrders } from './name-orders.ts';
import type { OrderOutcome } from './pattern-order.ts';

export interface OrderQueueOptions {
  readonly orders: Pick<NameOrders, 'look'>;
  /** Whether there may be something to do for a pattern: reads only. */
  readonly isDue: (pattern: string) => Promise<boolean>;
  /** A look has ended. */
  readonly onLooked: (pattern: string, outcome: OrderOutcome | null) => void;
  readonly onProblem: (what: string, error: Error) => void;
}

/** Looks at a time, and patterns that wait for one: what is due and finds no place comes again. */
const looksMax = 8;
const waitingMax = 100_000;

/** The patterns that this instance looks at: each of them once, some at a time. */
export class OrderQueue {
  private readonly options: OrderQueueOptions;
  /** In order. */
  private readonly waiting = new Set<string>();
  private readonly running = new Map<string, Promise<void>>();
  private isClosed = false;

  constructor(options: OrderQueueOptions) {
    this.options = options;
  }

  get size(): number {
    return this.waiting.size + this.running.size;
  }

  add(pattern: string): void {
    if (this.isClosed || this.waiting.size >= waitingMax) return;
    this.waiting.add(pattern);
    this.fill();
  }

  /** No look begins any more. Resolves once those under way have ended. */
  async close(): Promise<void> {
    this.isClosed = true;
    this.waiting.clear();
    await Promise.all(this.running.values());
  }

  private fill(): void {
    for (const pattern of this.waiting) {
      if (this.running.size >= looksMax) return;
      // Something may have changed since it was begun: another look follows.
      if (this.running.has(pattern)) continue;
      this.waiting.delete(pattern);
      this.running.set(pattern, this.look(pattern));
    }
  }

  private async look(pattern: string): Promise<void> {
    const { isDue, onLooked, onProblem, orders } = this.options;
    let outcome: OrderOutcome | null = null;
    try {
      if (await isDue(pattern)) outcome = await orders.look(pattern);
    } catch (error) {
      onProblem(`the certificate of ${pattern} cannot be looked after now`, error as Error);
    }
    this.running.delete(pattern);
    onLooked(pattern, outcome);
    this.fill();
  }
}

export interface PatternQueueOptions<Outcome> {
  /** Patterns that are worked on at a time. */
  readonly atOnceMax: number;
  /** Patterns that wait; further ones are dropped. Default: 100,000. */
  readonly waitingMax?: number;
  readonly work: (pattern: string) => Promise<Outcome>;
  /** The work on a pattern has ended. @param outcome null if it failed. */
  readonly onDone?: (pattern: string, outcome: Outcome | null) => void;
  readonly onProblem: (pattern: string, error: Error) => void;
}

/** Of those that are due the store tells again. */
const waitingMaxDefault = 100_000;

/** Works on patterns: on some at a time, and on each of them once at a time. */
export class PatternQueue<Outcome> {
  private readonly options: PatternQueueOptions<Outcome>;
  /** In order. */
  private readonly waiting = new Set<string>();
  private readonly running = new Map<string, Promise<void>>();
  private isClosed = false;

  constructor(options: PatternQueueOptions<Outcome>) {
    this.options = options;
  }

  get size(): number {
    return this.waiting.size + this.running.size;
  }

  /** @returns whether it was taken. */
  add(pattern: string): boolean {
    const { waitingMax = waitingMaxDefault } = this.options;
    if (this.isClosed || this.waiting.size >= waitingMax) return false;
    this.waiting.add(pattern);
    this.fill();
    return true;
  }

  /** No work begins any more. Resolves once that under way has ended. */
  async close(): Promise<void> {
    this.isClosed = true;
    this.waiting.clear();
    await Promise.all(this.running.values());
  }

  private fill(): void {
    for (const pattern of this.waiting) {
      if (this.running.size >= this.options.atOnceMax) return;
      // Something may have changed since that was begun: it follows.
      if (this.running.has(pattern)) continue;
      this.waiting.delete(pattern);
      this.running.set(pattern, this.run(pattern));
    }
  }

  private async run(pattern: string): Promise<void> {
    const { onDone, onProblem, work } = this.options;
    let outcome: Outcome | null = null;
    try {
      outcome = await work(pattern);
    } catch (error) {
      onProblem(pattern, error as Error);
    }
    this.running.delete(pattern);
    onDone?.(pattern, outcome);
    this.fill();
  }
}

/** Inspections at the same time. */
const atOnceMax = 8;

/** One inspection of a container, and the one that follows it. */
interface OneInspection {
  readonly running: Promise<void>;
  next: Promise<void> | null;
}

/** Inspects containers, each one at a time, and a few of them together. Requests during an inspection cause one more. */
export class Inspections {
  private readonly inspect: (id: string) => Promise<void>;
  private readonly entries = new Map<string, OneInspection>();
  private readonly waiting: (() => void)[] = [];
  private running = 0;

  constructor(inspect: (id: string) => Promise<void>) {
    this.inspect = inspect;
  }

  /** Resolves once an inspection that began after this call has ended. @throws the error of the inspection. */
  request(id: string): Promise<void> {
    const entry = this.entries.get(id);
    if (entry === undefined) return this.start(id);
    entry.next ??= entry.running.then(
      () => this.start(id),
      () => this.start(id),
    );
    return entry.next;
  }

  private start(id: string): Promise<void> {
    const entry: OneInspection = { running: this.run(id), next: null };
    this.entries.set(id, entry);
    const forget = (): void => {
      if (this.entries.get(id) === entry && entry.next === null) this.entries.delete(id);
    };
    entry.running.then(forget, forget);
    return entry.running;
  }

  private async run(id: string): Promise<void> {
    if (this.running >= atOnceMax) await new Promise<void>((resolve) => this.waiting.push(resolve));
    else this.running++;
    try {
      await this.inspect(id);
    } finally {
      const next = this.waiting.shift();
      if (next === undefined) this.running--;
      else next();
    }
  }
}

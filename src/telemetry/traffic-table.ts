/** Label of the series that sums up all others; no host and no URL is like it. */
export const otherLabel = '(other)';

/** Entries looked at to find one that can make room. */
const lookedAtMax = 8;

/** The counts of one host or backend. */
export class Traffic {
  requests = 0;
  errors = 0;
  bytes = 0;

  add({ requests, errors, bytes }: Traffic): void {
    this.requests += requests;
    this.errors += errors;
    this.bytes += bytes;
  }
}

interface TrafficEntry {
  readonly label: string;
  readonly traffic: Traffic;
  slot: number;
}

/**
 * Counts by host or backend, within a bound however many there are: an entry with little traffic makes room for a new one,
 * and is summed up with the others that have left.
 */
export class TrafficTable {
  private readonly entriesMax: number;
  private readonly random: () => number;
  private readonly byLabel = new Map<string, TrafficEntry>();
  private readonly list: TrafficEntry[] = [];
  private readonly rest = new Traffic();

  /** @param random from 0 up to but not including 1. */
  constructor(entriesMax: number, random: () => number = Math.random) {
    this.entriesMax = entriesMax;
    this.random = random;
  }

  /** The counts of `label`, which the caller raises. */
  of(label: string): Traffic {
    const known = this.byLabel.get(label);
    if (known !== undefined) return known.traffic;
    if (this.list.length >= this.entriesMax) this.evict();
    const entry = { label, traffic: new Traffic(), slot: this.list.length };
    this.byLabel.set(label, entry);
    this.list.push(entry);
    return entry.traffic;
  }

  /** The entries with the most requests, then the sum of all others. */
  top(count: number): readonly (readonly [label: string, traffic: Traffic])[] {
    const sorted = this.list.toSorted((a, b) => b.traffic.requests - a.traffic.requests);
    const other = new Traffic();
    other.add(this.rest);
    for (const { traffic } of sorted.slice(count)) other.add(traffic);
    return [...sorted.slice(0, count).map(({ label, traffic }) => [label, traffic] as const), [otherLabel, other]];
  }

  /** Drops the least busy of a few drawn at random. */
  private evict(): void {
    let least: TrafficEntry | null = null;
    for (let looked = 0; looked < lookedAtMax; looked++) {
      const entry = this.list[Math.floor(this.random() * this.list.length)];
      if (entry === undefined) continue;
      if (least === null || entry.traffic.requests < least.traffic.requests) least = entry;
    }
    if (least === null) return;
    this.rest.add(least.traffic);
    this.byLabel.delete(least.label);
    const last = this.list.pop();
    if (last === undefined || last === least) return;
    this.list[least.slot] = last;
    last.slot = least.slot;
  }
}

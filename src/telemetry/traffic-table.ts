/** Label of the series that sums up all others; no host and no URL is like it. */
export const otherLabel = '(other)';

/** Entries looked at to find one that can make room. */
const lookedAtMax = 8;

/** The counts of some time. */
export interface TrafficFigures {
  readonly requests: number;
  /** Responses of the proxy or of a backend that are the fault of the backend. */
  readonly errors: number;
  /** Responses with a status from 400 to 499. */
  readonly clientErrors: number;
  /** Tunnels that have ended. */
  readonly tunnels: number;
  /** Sent to clients. */
  readonly bytes: number;
  /** Requests by how long they took, a count for each bucket; null for none. */
  readonly durations: readonly number[] | null;
}

class Counts implements TrafficFigures {
  requests = 0;
  errors = 0;
  clientErrors = 0;
  tunnels = 0;
  bytes = 0;
  durations: number[] | null = null;

  add({ bytes, clientErrors, durations, errors, requests, tunnels }: TrafficFigures): void {
    this.requests += requests;
    this.errors += errors;
    this.clientErrors += clientErrors;
    this.tunnels += tunnels;
    this.bytes += bytes;
    if (durations === null) return;
    this.durations ??= new Array<number>(durations.length).fill(0);
    for (const [bucket, count] of durations.entries()) this.durations[bucket] = (this.durations[bucket] ?? 0) + count;
  }

  clear(): void {
    this.requests = 0;
    this.errors = 0;
    this.clientErrors = 0;
    this.tunnels = 0;
    this.bytes = 0;
    this.durations?.fill(0);
  }
}

/** The counts of one host or backend: in the present window, in the one before, and in all before the present one. */
export class Traffic {
  window = new Counts();
  recent = new Counts();
  private readonly before = new Counts();
  /** Monotonic ms of the last request; 0 for none. */
  lastMs = 0;

  /** A request has taken so long. @param buckets of all durations. */
  took(bucket: number, buckets: number): void {
    const { window } = this;
    window.durations ??= new Array<number>(buckets).fill(0);
    window.durations[bucket] = (window.durations[bucket] as number) + 1;
  }

  /** The present window is over. */
  turn(): void {
    const { recent, window } = this;
    // Failures of a backend may come without a request that it serves.
    if (window.requests + window.errors + recent.requests + recent.errors === 0) return;
    this.before.add(window);
    recent.clear();
    this.window = recent;
    this.recent = window;
  }

  get requests(): number {
    return this.before.requests + this.window.requests;
  }

  get errors(): number {
    return this.before.errors + this.window.errors;
  }

  get bytes(): number {
    return this.before.bytes + this.window.bytes;
  }

  /** Everything so far. */
  total(): TrafficFigures {
    const total = new Counts();
    total.add(this.before);
    total.add(this.window);
    return total;
  }

  /** Takes over what another one has counted. */
  add(other: Traffic): void {
    this.before.add(other.total());
  }
}

export interface TrafficEntry {
  readonly label: string;
  readonly traffic: Traffic;
}

interface KeptEntry extends TrafficEntry {
  slot: number;
}

/**
 * Counts by host or backend, within a bound however many there are: an entry with little traffic makes room for a new one,
 * and is summed up with the others that have left. The counts of those that stay are exact.
 */
export class TrafficTable {
  private readonly entriesMax: number;
  private readonly random: () => number;
  private readonly byLabel = new Map<string, KeptEntry>();
  private readonly list: KeptEntry[] = [];
  private readonly rest = new Traffic();

  /** @param random from 0 up to but not including 1. */
  constructor(entriesMax: number, random: () => number = Math.random) {
    this.entriesMax = entriesMax;
    this.random = random;
  }

  /** The counts of `label`, whose window the caller raises. */
  of(label: string): Traffic {
    const known = this.byLabel.get(label);
    if (known !== undefined) return known.traffic;
    if (this.list.length >= this.entriesMax) this.evict();
    const entry = { label, traffic: new Traffic(), slot: this.list.length };
    this.byLabel.set(label, entry);
    this.list.push(entry);
    return entry.traffic;
  }

  /** Null if the label has no entry. */
  find(label: string): TrafficEntry | null {
    return this.byLabel.get(label) ?? null;
  }

  get entries(): readonly TrafficEntry[] {
    return this.list;
  }

  /** The present window is over. */
  turn(): void {
    for (const { traffic } of this.list) traffic.turn();
  }

  /** The entries with the most requests, then the sum of all others. */
  top(count: number): readonly (readonly [label: string, traffic: Traffic])[] {
    const top = highest(this.list, count, ({ traffic }) => traffic.requests);
    const chosen = new Set(top);
    const other = new Traffic();
    other.add(this.rest);
    for (const entry of this.list) if (!chosen.has(entry)) other.add(entry.traffic);
    return [...top.map(({ label, traffic }) => [label, traffic] as const), [otherLabel, other]];
  }

  /** Drops the least busy of a few drawn at random. */
  private evict(): void {
    let least: KeptEntry | null = null;
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

/** The `count` entries with the highest values, the highest first, without sorting all. */
export function highest<Entry>(entries: readonly Entry[], count: number, valueIn: (entry: Entry) => number): Entry[] {
  if (count === 0) return [];
  let kept: { readonly entry: Entry; readonly value: number }[] = [];
  let least = Number.NEGATIVE_INFINITY;
  for (const entry of entries) {
    const value = valueIn(entry);
    if (kept.length >= count && value <= least) continue;
    kept.push({ entry, value });
    if (kept.length < 2 * count) continue;
    kept = kept.sort((one, other) => other.value - one.value).slice(0, count);
    least = kept.at(-1)?.value ?? least;
  }
  return kept
    .sort((one, other) => other.value - one.value)
    .slice(0, count)
    .map(({ entry }) => entry);
}

/** Backends of one route that drain until the same time: what is in progress there, in one process or in several. */
export interface HostDrain {
  readonly pattern: string;
  /** Epoch ms. With the pattern, it tells one drain from others. */
  readonly untilMs: number;
  /** Requests and tunnels. */
  readonly inFlight: number;
  /** Those that the drain has ended so far. */
  readonly tunnelsEnded: number;
  readonly requestsEnded: number;
}

/** Drains as an instance reports them to others. */
export interface ReportedDrains {
  readonly drains: readonly HostDrain[];
  /** Requests and tunnels of further drains, which are too many to be reported one by one. */
  readonly others: number;
}

/** Drains that are reported one by one, some 80 bytes each. */
const reportedMax = 200;

/** Tells one drain from others. */
export function drainKey({ pattern, untilMs }: Pick<HostDrain, 'pattern' | 'untilMs'>): string {
  return `${untilMs} ${pattern}`;
}

/** Those of several processes, each drain once. */
export function sumDrains(all: Iterable<HostDrain>): HostDrain[] {
  const sums = new Map<string, HostDrain>();
  for (const drain of all) {
    const key = drainKey(drain);
    const sum = sums.get(key);
    sums.set(key, sum === undefined ? drain : sumOf(sum, drain));
  }
  return [...sums.values()];
}

function sumOf(a: HostDrain, b: HostDrain): HostDrain {
  return {
    pattern: a.pattern,
    untilMs: a.untilMs,
    inFlight: a.inFlight + b.inFlight,
    tunnelsEnded: a.tunnelsEnded + b.tunnelsEnded,
    requestsEnded: a.requestsEnded + b.requestsEnded,
  };
}

/** The text of them in the record of an instance; empty for none. */
export function drainsText(drains: readonly HostDrain[]): string {
  if (drains.length === 0) return '';
  const open = drains.filter(({ inFlight }) => inFlight > 0);
  const over = drains.filter(({ inFlight }) => inFlight === 0);
  const reported = [...open, ...over].slice(0, reportedMax);
  const others = open.slice(reportedMax).reduce((sum, { inFlight }) => sum + inFlight, 0);
  return JSON.stringify({ drains: reported, others } satisfies ReportedDrains);
}

/** Null if it is no such text. */
export function parseDrains(text: string): ReportedDrains | null {
  if (text === '') return { drains: [], others: 0 };
  try {
    const { drains, others } = JSON.parse(text) as Partial<Record<keyof ReportedDrains, unknown>>;
    if (!Array.isArray(drains) || !drains.every(isDrain) || !isCount(others)) return null;
    return { drains, others };
  } catch {
    return null;
  }
}

function isDrain(value: unknown): value is HostDrain {
  const { inFlight, pattern, requestsEnded, tunnelsEnded, untilMs } = (value ?? {}) as Partial<
    Record<keyof HostDrain, unknown>
  >;
  return typeof pattern === 'string' && [inFlight, requestsEnded, tunnelsEnded, untilMs].every(isCount);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

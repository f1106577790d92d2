import { highest, type TrafficEntry, type TrafficFigures, type TrafficTable } from './traffic-table.ts';

/** By what hosts can be sorted, the highest first. The first four are those of the last window. */
export const statisticsOrders = ['rate', 'errors', 'latency', 'bytes', 'requests', 'last'] as const;
export type StatisticsOrder = (typeof statisticsOrders)[number];

/** Asks a worker about hosts. */
export interface StatisticsQuestion {
  readonly order: StatisticsOrder;
  /** The most hosts that are wanted. */
  readonly limit: number;
  /** Only hosts that begin like this. */
  readonly prefix: string;
  /** Only these hosts, and these backends; null for those with the highest values, and no backends. */
  readonly only: { readonly hosts: readonly string[]; readonly backends: readonly string[] } | null;
}

/** The counts of a host pattern, or of the URL of a backend. */
export interface LabelledFigures {
  readonly label: string;
  readonly total: TrafficFigures;
  /** In the last window that is over. */
  readonly recent: TrafficFigures;
  /** Epoch ms of the last request; 0 for none. */
  readonly lastMs: number;
}

/** The answer of one worker. */
export interface WorkerStatistics {
  readonly worker: number;
  /** Epoch ms since when it counts. */
  readonly sinceMs: number;
  readonly windowMs: number;
  /** The upper bounds of the buckets of durations, in ms; one more bucket has the rest. */
  readonly boundsMs: readonly number[];
  readonly all: LabelledFigures;
  readonly hosts: readonly LabelledFigures[];
  readonly backends: readonly LabelledFigures[];
}

/** The tables that a question is answered from. */
export interface StatisticsTables {
  readonly all: TrafficEntry;
  readonly hosts: TrafficTable;
  readonly backends: TrafficTable;
  readonly boundsMs: readonly number[];
}

/** @param toEpochMs of monotonic ms. */
export function answerStatistics(
  { all, backends, boundsMs, hosts }: StatisticsTables,
  { limit, only, order, prefix }: StatisticsQuestion,
  toEpochMs: (monotonicMs: number) => number,
): Pick<WorkerStatistics, 'all' | 'hosts' | 'backends' | 'boundsMs'> {
  const figures = (entry: TrafficEntry): LabelledFigures => {
    const { label, traffic } = entry;
    const lastMs = traffic.lastMs === 0 ? 0 : toEpochMs(traffic.lastMs);
    return { label, total: traffic.total(), recent: { ...traffic.recent }, lastMs };
  };
  const named = (table: TrafficTable, labels: readonly string[]): LabelledFigures[] =>
    labels
      .map((label) => table.find(label))
      .filter((entry) => entry !== null)
      .map(figures);
  if (only !== null) {
    return { all: figures(all), hosts: named(hosts, only.hosts), backends: named(backends, only.backends), boundsMs };
  }
  const asked = prefix === '' ? hosts.entries : hosts.entries.filter(({ label }) => label.startsWith(prefix));
  const top = highest(asked, limit, valueBy(order, boundsMs));
  return { all: figures(all), hosts: top.map(figures), backends: [], boundsMs };
}

function valueBy(order: StatisticsOrder, boundsMs: readonly number[]): (entry: TrafficEntry) => number {
  switch (order) {
    case 'rate':
      return ({ traffic }) => traffic.recent.requests;
    case 'errors':
      return ({ traffic }) => traffic.recent.errors;
    case 'latency':
      return ({ traffic }) => quantileMs(traffic.recent.durations, boundsMs, 0.99) ?? -1;
    case 'bytes':
      return ({ traffic }) => traffic.recent.bytes;
    case 'requests':
      return ({ traffic }) => traffic.requests;
    case 'last':
      return ({ traffic }) => traffic.lastMs;
  }
}

/**
 * The duration that a share of the requests did not exceed, in ms, interpolated within its bucket; in the last bucket the
 * bound below it. Null without requests.
 */
export function quantileMs(
  durations: readonly number[] | null,
  boundsMs: readonly number[],
  share: number,
): number | null {
  const all = durations?.reduce((sum, count) => sum + count, 0) ?? 0;
  if (durations === null || all === 0) return null;
  let rank = share * all;
  for (const [bucket, count] of durations.entries()) {
    const [from, to] = [boundsMs[bucket - 1] ?? 0, boundsMs[bucket]];
    if (rank > count) rank -= count;
    else if (count > 0) return to === undefined ? from : from + ((to - from) * rank) / count;
  }
  return boundsMs.at(-1) ?? null;
}

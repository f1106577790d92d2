/** A series of failures of one backend: no two of them are further apart than `failuresKeptMs`. */
export interface BackendFailures {
  /** From 1. */
  readonly count: number;
  /** Times of the first and the last failure, epoch milliseconds. */
  readonly firstMs: number;
  readonly lastMs: number;
  /** Of the last failure: a code, or `status <n>`. */
  readonly reason: string;
  /** Of the last failure: the id of the Hipache instance that saw it. */
  readonly instance: string;
}

/** Failures by backend URL without weight. */
export type FailuresByUrl = ReadonlyMap<string, BackendFailures>;

/** How long a store keeps a series after its last failure, in ms. */
export const failuresKeptMs = 10 * 60_000;
/** Series of one route. Beyond them, those that failed longest ago are forgotten. */
const seriesMax = 1000;

/** The series that `added` makes of `former`. */
export function joinFailures(former: BackendFailures | undefined, added: BackendFailures): BackendFailures {
  if (former === undefined || added.firstMs - former.lastMs > failuresKeptMs) return added;
  const last = added.lastMs >= former.lastMs ? added : former;
  return { ...last, count: former.count + added.count, firstMs: Math.min(former.firstMs, added.firstMs) };
}

/**
 * Adds failures to those of a route.
 * @returns the series to write, and the URLs of those to forget.
 */
export function addFailures(
  stored: FailuresByUrl,
  added: FailuresByUrl,
  nowMs: number,
): { readonly written: FailuresByUrl; readonly forgotten: readonly string[] } {
  const written = new Map<string, BackendFailures>();
  for (const [url, failures] of added) written.set(url, joinFailures(stored.get(url), failures));
  const all = new Map([...stored, ...written]);
  const forgotten = new Set([...all].filter(([, failures]) => !isRecent(failures, nowMs)).map(([url]) => url));
  const surplus = all.size - forgotten.size - seriesMax;
  if (surplus > 0) {
    const recent = [...all].filter(([url]) => !forgotten.has(url)).sort(([, a], [, b]) => a.lastMs - b.lastMs);
    for (const [url] of recent.slice(0, surplus)) forgotten.add(url);
  }
  for (const url of forgotten) written.delete(url);
  return { written, forgotten: [...forgotten].filter((url) => stored.has(url)) };
}

/** Whether a store still keeps the series. */
export function isRecent({ lastMs }: BackendFailures, nowMs: number): boolean {
  return nowMs - lastMs <= failuresKeptMs;
}

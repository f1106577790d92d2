/** How long to pause between attempts that keep failing. */
export interface BackOffFigures {
  readonly firstMs: number;
  readonly longestMs: number;
  /** A pause is drawn from this range of multiples of its full length. Default: the full length. */
  readonly spread?: readonly [from: number, to: number];
}

/**
 * The pause after an attempt: twice as long with each attempt, up to the longest.
 * @param attempt how many have failed in a row, from 1.
 * @param random from 0 up to but not including 1.
 */
export function backOffMs(
  { firstMs, longestMs, spread }: BackOffFigures,
  attempt: number,
  random = Math.random(),
): number {
  const fullMs = Math.min(longestMs, firstMs * 2 ** (attempt - 1));
  if (spread === undefined) return fullMs;
  const [from, to] = spread;
  return Math.round(fullMs * (from + (to - from) * random));
}

/** The pauses of one series of attempts. */
export class BackOff {
  private readonly figures: BackOffFigures;
  private attempts = 0;

  constructor(figures: BackOffFigures) {
    this.figures = figures;
  }

  /** The pause after one more failed attempt, in ms. */
  next(): number {
    this.attempts++;
    return backOffMs(this.figures, this.attempts);
  }

  /** An attempt succeeded: the next pause is the first one again. */
  reset(): void {
    this.attempts = 0;
  }
}

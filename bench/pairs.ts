import type { ProxyName } from './proxies/proxy.ts';
import { type Metric, metrics, type Sample } from './sample.ts';
import { median } from './statistics.ts';

/** A figure of this checkout and of the other one, by pairs: a round of one, and the same round of the other. */
export interface PairedFigure {
  readonly scenario: string;
  readonly metric: Metric;
  /** Medians. */
  readonly hipache: number;
  readonly against: number;
  /** Null where no pair has one. */
  readonly ratio: Ratio | null;
}

/** This checkout's over the other's, by the pairs in which both are above 0. */
interface Ratio {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly ofPairs: readonly number[];
}

/** Figures without a ratio: a round has too few requests for the first, and none may fail. */
const unpaired: readonly Metric[] = ['p999Us', 'failed'];

/** The two checkouts change places from round to round: what drifts meanwhile is then in both alike. */
export function turnsOf(proxies: readonly ProxyName[], round: number): readonly ProxyName[] {
  const [first, second, ...others] = proxies;
  return first === 'hipache' && second === 'against' && round % 2 === 0 ? [second, first, ...others] : proxies;
}

/** Every figure of a scenario of which less or more is better, and which is not 0 throughout. */
export function pairedFigures(
  scenario: string,
  hipache: readonly Sample[],
  against: readonly Sample[],
): readonly PairedFigure[] {
  const hasFixedRate = hipache.some(({ ratePerSecond }) => ratePerSecond !== undefined);
  return (Object.keys(metrics) as Metric[])
    .filter((metric) => metrics[metric].better !== null && !unpaired.includes(metric))
    .filter((metric) => !(metric === 'requestsPerSecond' && hasFixedRate))
    .flatMap((metric) => {
      const pairs = pairsOf(metric, hipache, against);
      if (pairs.every(({ own, other }) => own === 0 && other === 0)) return [];
      return {
        scenario,
        metric,
        hipache: median(pairs.map(({ own }) => own)),
        against: median(pairs.map(({ other }) => other)),
        ratio: ratioOf(pairs),
      };
    });
}

interface Pair {
  readonly own: number;
  readonly other: number;
}

function pairsOf(metric: Metric, hipache: readonly Sample[], against: readonly Sample[]): readonly Pair[] {
  return hipache.flatMap((sample, round) => {
    const own = sample[metric];
    const other = against[round]?.[metric];
    return own === undefined || other === undefined ? [] : { own, other };
  });
}

function ratioOf(pairs: readonly Pair[]): Ratio | null {
  const ofPairs = pairs.filter(({ own, other }) => own > 0 && other > 0).map(({ own, other }) => own / other);
  if (ofPairs.length === 0) return null;
  return { median: median(ofPairs), min: Math.min(...ofPairs), max: Math.max(...ofPairs), ofPairs };
}

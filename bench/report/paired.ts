import type { PairedFigure } from '../pairs.ts';
import type { Result } from '../result.ts';
import { metrics } from '../sample.ts';
import { table } from './table.ts';
import { titleOf, valueText } from './text.ts';

/** This checkout beside the other one. Empty where there was none. */
export function pairedTable({ against }: Result): string {
  if (against === undefined || against.figures.length === 0) return '';
  const { revision, changed, figures } = against;
  const title = `This checkout over ${revision}${changed ? ' with changes' : ''}, round by round: median, least and most`;
  const head = ['in pairs', 'this', 'against', 'ratio', 'least', 'most', ''];
  return `${title}\n\n${table([head, ...figures.map(row)])}`;
}

function row({ scenario, metric, hipache, against, ratio }: PairedFigure): readonly string[] {
  const ratios = ratio === null ? ['', '', ''] : [ratio.median, ratio.min, ratio.max].map((one) => one.toFixed(3));
  const better = metrics[metric].better === 'less' ? 'lower is better' : 'higher is better';
  return [`${scenario}: ${titleOf(metric)}`, valueText(hipache), valueText(against), ...ratios, better];
}

import { printable } from '../base/printable.ts';
import type { Deployed, DeployStep } from '../operations/deploy-swap.ts';
import type { Report } from './output.ts';
import { duration } from './when.ts';

/** A step as a line for people. */
export function stepLine(step: DeployStep): string {
  switch (step.step) {
    case 'probed':
      return step.problem === '' ? `${step.url} is healthy\n` : `${step.url}: ${printable(step.problem)}\n`;
    case 'waiting':
      return `waiting for the deploy by ${printable(step.holder)}\n`;
    case 'swapped':
      return step.draining.length === 0 ? 'written\n' : `swapped; ${step.draining.join(' ')} gets nothing new\n`;
    case 'live':
      return step.live === null ? '' : `live on all instances after ${step.live.afterMs} ms\n`;
  }
}

export function deployedReport(deployed: Deployed): Report {
  const { afterMs, drained, live, pattern, replaced } = deployed;
  const parts = [`${pattern}: ${doneText(deployed)}`];
  if (live === null) parts.push('this store cannot tell when it is live');
  else if (live.instances === 0) parts.push('no instance runs');
  else parts.push(`live on ${count(live.instances, 'instance')}, ${count(live.workers, 'worker')}`);
  if (replaced.length > 0) parts.push(`${replaced.map(printable).join(' ')} removed${drainedText(drained)}`);
  return { text: `${parts.join('; ')}; ${duration(afterMs)} in all\n`, json: deployed };
}

function doneText({ action, backends, canary }: Deployed): string {
  if (canary !== null) {
    const { backends: urls, share } = canary;
    return `canary for ${share} % of the clients: ${urls.map(printable).join(' ')}`;
  }
  if (action === 'aborted') return 'canary aborted';
  return `${action} ${backends.map(printable).join(' ')}`;
}

function drainedText(drained: Deployed['drained']): string {
  if (drained === null) return '';
  const { requestsEnded, silent, tunnelsEnded } = drained;
  const ended = [
    ...(tunnelsEnded > 0 ? [count(tunnelsEnded, 'tunnel')] : []),
    ...(requestsEnded > 0 ? [count(requestsEnded, 'request')] : []),
  ];
  const late = silent.length === 0 ? '' : `, while ${silent.map(printable).join(', ')} did not say that it has drained`;
  return `${ended.length === 0 ? '' : ` (${ended.join(' and ')} ended by the drain)`}${late}`;
}

function count(number: number, of: string): string {
  return `${number} ${of}${number === 1 ? '' : 's'}`;
}

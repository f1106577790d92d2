import { printable } from '../base/printable.ts';
import type { ExplainedBackend, ExplainedFailures, ExplainedMark, Explanation } from '../operations/explain.ts';
import { type FleetInstance, silentMs } from '../operations/fleet.ts';
import { alignColumns, alignedLines } from './output.ts';
import { duration, localTime, whenText } from './when.ts';

/** The explanation as text for people. */
export function explanationText(explanation: Explanation): string {
  const { host, tried, matched, id, expires, backends, draining, problems, instances } = explanation;
  const rows: string[][] = [['host', host]];
  const triedLines = alignedLines(tried.map((each) => [each.pattern, each.matched ? 'matched' : 'no route']));
  for (const [index, line] of triedLines.entries()) rows.push([index === 0 ? 'tried' : '', line]);
  if (matched === null) {
    rows.push(...problemRows(problems), ...instanceRows(instances));
    const isHeld = (instances ?? []).some(({ heldRoutes }) => heldRoutes > 0);
    const except = isHeld ? ', unless it still serves a route that the store does not have any more' : '';
    return `${alignColumns(rows)}No route matches: the proxy responds with 400${except}.\n`;
  }
  rows.push(['route', `${matched}  (id ${printable(JSON.stringify(id))})`]);
  if (expires !== null) rows.push(['expires', whenText(expires.at, expires.remainingMs)]);
  const lines = backendLines(backends);
  if (lines.length === 0) lines.push('none usable: the proxy responds with 502');
  for (const [index, line] of lines.entries()) rows.push([index === 0 ? 'backends' : '', line]);
  rows.push(...drainingRows(draining), ...problemRows(problems), ...instanceRows(instances));
  const allDead = backends.length > 0 && backends.every((backend) => backend.dead !== null);
  return alignColumns(rows) + (allDead ? `${whenAllDead(backends)}\n` : '');
}

/** Of backends that get no requests. */
export function drainingRows(draining: Explanation['draining']): string[][] {
  return draining.map(({ url, until }, row) => [
    row === 0 ? 'draining' : '',
    `${printable(url)}  until ${localTime(Date.parse(until))}`,
  ]);
}

function problemRows(problems: readonly string[]): string[][] {
  return problems.map((problem, index) => [index === 0 ? 'problems' : '', printable(problem)]);
}

/** How old what each instance serves may be. */
function instanceRows(instances: Explanation['instances']): string[][] {
  const lines = alignedLines((instances ?? []).map((one) => [printable(one.instance), instanceText(one)]));
  return lines.map((line, row) => [row === 0 ? 'instances' : '', line]);
}

function instanceText({ heardMs, isCurrent, revision, heldRoutes }: FleetInstance): string {
  if (heardMs !== null && heardMs > silentMs) {
    return `silent for ${duration(heardMs)}: it may serve what it knew then`;
  }
  if (heldRoutes > 0) return `serves ${heldRoutes} routes that the store does not have any more`;
  return isCurrent ? 'current' : `behind: it serves what was written up to revision ${revision}`;
}

function backendLines(backends: readonly ExplainedBackend[]): string[] {
  const rows = backends.map((backend) => [
    String(backend.index),
    printable(backend.url),
    `weight ${backend.weight}`,
    backend.dead === null ? 'up' : deadText(backend.dead),
    addressText(backend),
  ]);
  return alignedLines(rows).flatMap((line, row) => {
    const failures = backends[row]?.failures ?? null;
    return failures === null ? [line] : [line, `${' '.repeat(4)}${failuresText(failures)}`];
  });
}

function failuresText({ count, since, agoMs, reason, instance }: ExplainedFailures): string {
  const [last, by] = [printable(reason), printable(instance)];
  const ago = `${duration(agoMs)} ago`;
  if (count === 1) return `failed once, ${ago}: ${last}, at ${by}`;
  return `failed ${count} times since ${localTime(Date.parse(since))}, the last time ${ago}: ${last}, at ${by}`;
}

function addressText({ addresses, addressProblem }: ExplainedBackend): string {
  if (addressProblem !== null) return `its name cannot be resolved: ${printable(addressProblem)}`;
  return addresses === null ? '' : `at ${addresses.join(', ')}`;
}

function deadText({ until, remainingMs, reason, instance }: ExplainedMark): string {
  return `dead until ${whenText(until, remainingMs)}: ${printable(reason)}, marked by ${printable(instance)}`;
}

function whenAllDead(backends: readonly ExplainedBackend[]): string {
  if (backends.length === 1) return 'The only backend is marked dead: it is tried anyway.';
  return 'Every backend is marked dead: the one marked longest ago is tried anyway.';
}

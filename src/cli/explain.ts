import { printable } from '../base/printable.ts';
import type { ExplainedBackend, ExplainedFailures, ExplainedMark, Explanation } from '../operations/explain.ts';
import type { LiveExplanation } from '../operations/explain-live.ts';
import { type FleetInstance, silentMs } from '../operations/fleet.ts';
import { alignColumns, alignedLines } from './output.ts';
import { duration, localTime, whenText } from './when.ts';

/** The explanation as text for people. */
export function explanationText(explanation: Explanation): string {
  const { authServer, host, tried, matched, path, id, expires, backends, draining } = explanation;
  const { chosen, held, instances, problems, refusal } = explanation;
  const rows: string[][] = [['host', host]];
  const triedLines = alignedLines(tried.map((each) => [each.pattern, each.matched ? 'matched' : 'no route']));
  for (const [index, line] of triedLines.entries()) rows.push([index === 0 ? 'tried' : '', line]);
  if (matched === null) {
    rows.push(...problemRows(problems), ...instanceRows(instances));
    const isHeld = (instances ?? []).some(({ heldRoutes }) => heldRoutes > 0);
    const except = isHeld ? ', unless it still serves a route that the store does not have any more' : '';
    if (refusal !== null) return `${alignColumns([...rows, ['reply', refusalText(refusal)]])}`;
    return `${alignColumns(rows)}No route matches: the proxy responds with 400${except}.\n`;
  }
  rows.push(['route', `${matched}  (id ${printable(JSON.stringify(id))})`]);
  if (path !== null && matched.includes('/')) rows.push(['path', `backends get ${printable(path)}`]);
  if (expires !== null) rows.push(['expires', whenText(expires.at, expires.remainingMs)]);
  if (authServer !== null) rows.push(['reply', `depends on ${printable(authServer)}, which is asked first`]);
  if (refusal !== null) rows.push([authServer === null ? 'reply' : '', refusalText(refusal)]);
  if (held !== null) rows.push(['waits', heldText(held)]);
  if (chosen !== null) rows.push(['chosen', chosenText(chosen)]);
  const lines = backendLines(backends);
  if (lines.length === 0) lines.push(`none usable: ${whatWithout(explanation)}`);
  for (const [index, line] of lines.entries()) rows.push([index === 0 ? 'backends' : '', line]);
  rows.push(...drainingRows(draining), ...healthRows(explanation), ...optionRows(explanation.options));
  rows.push(...problemRows(problems), ...instanceRows(instances));
  const ordinary = backends.filter(({ canary }) => canary === null);
  const allDead = held === null && ordinary.length > 0 && ordinary.every((backend) => backend.dead !== null);
  return alignColumns(rows) + (allDead ? `${whenAllDead(ordinary, ordinary.length < backends.length)}\n` : '');
}

/** Of backends that get no requests. */
export function drainingRows(draining: Explanation['draining']): string[][] {
  return draining.map(({ url, until }, row) => [
    row === 0 ? 'draining' : '',
    `${printable(url)}  until ${localTime(Date.parse(until))}`,
  ]);
}

/** The regular checks of the backends, and who makes them. */
function healthRows({ health }: Explanation): string[][] {
  if (health === null) return [];
  const { checkers, everyMs, isShared, path } = health;
  const check = `${path.startsWith('grpc:') ? '' : 'GET '}${printable(path)} every ${shortTime(everyMs)}`;
  if (!isShared) return [['health', `${check}, by each instance that serves the host`]];
  if (checkers === null) return [['health', check]];
  const names = new Set(checkers.map(({ instance }) => instance));
  const [only = null] = names;
  if (names.size > 1) {
    const lines = alignedLines(
      checkers.map(({ instance, url }) => [printable(url), `by ${printable(instance ?? 'no instance')}`]),
    );
    return [['health', check], ...lines.map((line) => ['', line])];
  }
  const by = only === null ? 'by no instance until a client asks for the host' : `by instance ${printable(only)}`;
  return [['health', `${check}, ${by}`]];
}

/** Such as an option has it: `10s`, `1.5s`. */
function shortTime(ms: number): string {
  return ms % 60_000 === 0 ? `${ms / 60_000}m` : `${ms / 1000}s`;
}

function heldText({ because, forMs }: NonNullable<Explanation['held']>): string {
  return `up to ${shortTime(forMs)}, ${because}`;
}

function chosenText({ by, url }: NonNullable<Explanation['chosen']>): string {
  return url === null ? by : `${printable(url)}, ${by}`;
}

/** The outcome of a request without a backend. */
function whatWithout({ options }: Explanation): string {
  const hold = options.find(({ name, value }) => name === 'hold' && value !== 'off');
  return hold === undefined ? 'the proxy responds with 502' : `requests wait for one, up to ${hold.value}`;
}

/** The reply of a rule, in place of a backend. */
function refusalText({ code, detail, location, status }: NonNullable<Explanation['refusal']>): string {
  if (location !== null) return `${status} to ${printable(location)}; no backend is asked`;
  return `${status} ${code ?? ''}${detail === '' ? '' : ` (${printable(detail)})`}; no backend is asked`;
}

/** The answers of the workers of a running instance; empty if none was asked. */
export function liveText(live: readonly LiveExplanation[] | null): string {
  if (live === null) return '';
  if (live.length === 0) return 'No worker of the instance has answered.\n';
  const lines = live.flatMap((worker) => {
    const { matched, requests, requestsMax, tunnels, tunnelsMax, waiting, tokens, held, chosen, isConnected } = worker;
    const parts = [
      matched === null ? 'no route' : `serves ${printable(matched)}`,
      `${requests} of ${requestsMax} requests, ${tunnels} of ${tunnelsMax} tunnels`,
      ...(waiting > 0 ? [`${waiting} requests wait`] : []),
      ...(tokens === null ? [] : [`the client may make ${tokens} requests now`]),
      ...(held === null ? [] : [`it waits ${heldText(held)}`]),
      ...(chosen === null ? [] : [`chosen ${chosenText(chosen)}`]),
      ...(isConnected ? [] : ['the store does not report changes to it']),
    ];
    const backends = worker.backends.map(({ dead, inFlight, url }) => {
      const state = dead === null ? 'up' : `dead: ${printable(dead)}`;
      return ['', `${printable(url)}  ${state}, ${inFlight} in progress`];
    });
    return [[`worker ${worker.worker}`, parts.join('; ')], ...backends];
  });
  return alignColumns(lines);
}

/** The options of a host alone. */
export function optionsText({ host, matched, options, problems }: Explanation): string {
  const found = matched === null ? 'no route matches, so no options hold' : `route ${matched}`;
  const none = matched !== null && options.length === 0 ? [['', 'no options: the defaults hold']] : [];
  return alignColumns([['host', `${host}  (${found})`], ...optionRows(options), ...none, ...problemRows(problems)]);
}

function optionRows(options: Explanation['options']): string[][] {
  const lines = alignedLines(
    options.map(({ from, name, value }) => [printable(name), printable(value), `from ${printable(from)}`]),
  );
  return lines.map((line, row) => [row === 0 ? 'options' : '', line]);
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
    shareText(backend),
    backend.dead === null ? 'up' : deadText(backend.dead),
    addressText(backend),
  ]);
  return alignedLines(rows).flatMap((line, row) => {
    const failures = backends[row]?.failures ?? null;
    return failures === null ? [line] : [line, `${' '.repeat(4)}${failuresText(failures)}`];
  });
}

/** How much of the requests a backend gets, and when. */
export function shareText({ backup, canary, weight }: Pick<ExplainedBackend, 'backup' | 'canary' | 'weight'>): string {
  return `weight ${weight}${backup ? ', backup' : ''}${canary === null ? '' : `, canary ${canary} %`}`;
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

/** @param hasCanary whether further ones serve the clients of the canary. */
function whenAllDead(backends: readonly ExplainedBackend[], hasCanary: boolean): string {
  const which = hasCanary ? 'backend without #canary' : 'backend';
  if (backends.length === 1) return `The only ${which} is marked dead: it is tried anyway.`;
  return `Every ${which} is marked dead: the one marked longest ago is tried anyway.`;
}

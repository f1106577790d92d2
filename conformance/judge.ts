import type { ConformanceCase, FieldWants, Forwarding, Outcome, Refusal, Replacement, ResponseWants } from './case.ts';
import type { Observation } from './run-case.ts';
import { valuesOf, type WireMessage } from './wire.ts';

/** Right: as the source asks. Allowed: an alternative that the source allows. */
export interface Verdict {
  readonly mark: 'right' | 'allowed' | 'wrong';
  /** What happened, in few words. */
  readonly text: string;
  /** Whether the request reached the backend and its response the client. */
  readonly isForwarded: boolean;
  /** Whether one of the two ends, or a later request, got something that can be read in two ways. */
  readonly isAmbiguous: boolean;
}

/** Whether nothing but forwarding is right: the message is valid. */
export function isValid({ right }: ConformanceCase): boolean {
  return right.every(({ kind }) => kind === 'forwarded');
}

export function judge(one: ConformanceCase, seen: Observation): Verdict {
  const faults = faultsOf(seen);
  const actual = actualKind(one, seen);
  const judged = one.right.map((outcome) => [...faults, ...problemsOf(outcome, one, seen, actual)]);
  const found = judged.findIndex((problems) => problems.length === 0);
  const matched = one.right[found];
  const base = { isForwarded: actual === 'forwarded', isAmbiguous: faults.length > 0 };
  if (matched !== undefined) {
    const as = matched.kind === 'forwarded' ? matched.as : undefined;
    const text = [summaryOf(actual, seen), ...(as === undefined ? [] : [as])].join(', ');
    return { ...base, mark: found === 0 ? 'right' : 'allowed', text };
  }
  // Of the outcomes of the kind that was seen, the one that was missed least.
  const [nearest = faults] = judged
    .filter((_, at) => one.right[at]?.kind === actual)
    .sort((a, b) => a.length - b.length);
  const first = nearest.find((problem) => problem !== another);
  return { ...base, mark: 'wrong', text: summaryOf(actual, seen) + (first === undefined ? '' : `: ${first}`) };
}

/** Left out where the status is shown. */
const another = 'another status';

type Actual = Outcome['kind'];

function actualKind(one: ConformanceCase, seen: Observation): Actual {
  if (seen.requests.length === 0) return 'refused';
  if (seen.status === null) return 'replaced';
  const replies = one.replies ?? [];
  const given = replies.map((reply) => (typeof reply === 'string' ? reply : `${reply.head ?? ''}${reply.end ?? ''}`));
  const own = [...given, 'HTTP/1.1 200'].join('\n');
  const isOwn = new RegExp(`HTTP/\\S+\\s+${seen.status}\\b`, 'i').test(own);
  return isOwn || seen.status < 400 ? 'forwarded' : 'replaced';
}

function summaryOf(actual: Actual, seen: Observation): string {
  // Something has passed that one of the two could not read; the status says nothing.
  if (seen.backendFault !== null || seen.clientFault !== null) return 'forwarded';
  if (actual === 'forwarded') {
    if (seen.tunnel !== null) return 'tunnel';
    return seen.final === null ? 'cut off' : 'forwarded';
  }
  if (seen.status !== null) return String(seen.status);
  return seen.connection === 'no answer' ? 'no answer' : 'closed';
}

function faultsOf(seen: Observation): string[] {
  return [
    ...(seen.backendFault === null ? [] : [`the backend got ${seen.backendFault}`]),
    ...(seen.clientFault === null ? [] : [`the client got ${seen.clientFault}`]),
    ...(seen.connection === 'mixed up' ? ['the next request was misread'] : []),
    ...(seen.poisoned ? ["another client's request was misread"] : []),
  ];
}

function problemsOf(outcome: Outcome, one: ConformanceCase, seen: Observation, actual: Actual): string[] {
  if (outcome.kind !== actual) return [`not ${outcome.kind}`];
  if (outcome.kind !== 'forwarded') return refusalProblems(outcome, seen);
  return [...requestProblems(outcome, one, seen), ...responseProblems(outcome.response ?? {}, seen)];
}

function refusalProblems(outcome: Refusal | Replacement, seen: Observation): string[] {
  const { status, final } = seen;
  if (status === null) return seen.connection === 'closed' && outcome.statuses.length === 0 ? [] : ['no response'];
  const least = outcome.kind === 'refused' ? 400 : 500;
  const isWanted = outcome.statuses.length === 0 ? status >= least : outcome.statuses.includes(status);
  if (!isWanted) return [another];
  if (final === null) return ['cut off'];
  return 'response' in outcome && outcome.response ? responseProblems(outcome.response, seen) : [];
}

function requestProblems(wants: Forwarding, one: ConformanceCase, seen: Observation): string[] {
  const { requests } = seen;
  const [first] = requests;
  const last = requests.at(-1);
  const wanted = wants.requests ?? one.answers ?? 1;
  if (first === undefined || last === undefined) return ['no request'];
  return [
    ...(requests.length === wanted ? [] : [`${requests.length} requests instead of ${wanted}`]),
    ...lineProblems('the request line', wants.line, first.startLine),
    ...lineProblems('the last request line', wants.lastLine, last.startLine),
    ...fieldProblems(wants.fields, first.fields),
    ...fieldProblems(wants.trailers, first.trailers, 'the trailer '),
    ...(wants.body === undefined || wants.body === first.body ? [] : ['the body changed']),
    ...tunnelProblems(wants.tunnel, seen.tunnel),
  ];
}

function tunnelProblems(wanted: boolean | string | undefined, came: string | null): string[] {
  if (wanted === undefined) return [];
  if ((came !== null) !== (wanted !== false)) return [came === null ? 'no tunnel' : 'a tunnel'];
  return typeof wanted === 'string' && wanted !== came ? ['bytes of the tunnel were lost'] : [];
}

function responseProblems(wants: ResponseWants, seen: Observation): string[] {
  const { final } = seen;
  const { end = 'whole', status } = wants;
  return [
    ...((final === null) === (end === 'cut off')
      ? []
      : [final === null ? 'the response is cut off' : 'the response is whole']),
    ...(status === undefined || status === seen.status ? [] : ['another status']),
    ...(wants.informational === undefined || wants.informational.join() === seen.informational.join()
      ? []
      : [`informational responses: ${seen.informational.join(', ') || 'none'}`]),
    ...(wants.connection === undefined || wants.connection === seen.connection
      ? []
      : [`connection ${seen.connection}`]),
    ...(seen.connection === 'no answer' && seen.tunnel === null ? ['no answer to the next request'] : []),
    ...(seen.connection === 'refused' && wants.connection === undefined ? ['the next request was refused'] : []),
    ...(final === null ? [] : contentProblems(wants, final)),
    ...(wants.lastBody === undefined || wants.lastBody === seen.last?.body ? [] : ['the last body changed']),
  ];
}

function contentProblems(wants: ResponseWants, final: WireMessage): string[] {
  return [
    ...lineProblems('the status line', wants.line, final.startLine),
    ...fieldProblems(wants.fields, final.fields),
    ...fieldProblems(wants.trailers, final.trailers, 'the trailer '),
    ...(wants.body === undefined || wants.body === final.body ? [] : ['the body changed']),
  ];
}

function lineProblems(what: string, wanted: string | RegExp | undefined, line: string): string[] {
  if (wanted === undefined) return [];
  const isRight = typeof wanted === 'string' ? wanted === line : wanted.test(line);
  return isRight ? [] : [`${what} differs`];
}

function fieldProblems(wants: FieldWants = {}, fields: WireMessage['fields'], what = ''): string[] {
  return Object.entries(wants).flatMap(([name, wanted]) => {
    const values = valuesOf(fields, name);
    if (wanted === null) return values.length === 0 ? [] : [`${what}${code(name)} present`];
    if (values.length === 0) return [`${what}${code(name)} missing`];
    const isRight =
      wanted instanceof RegExp ? wanted.test(values.join(', ')) : [wanted].flat().join('\n') === values.join('\n');
    return isRight ? [] : [`${what}${code(name)} differs`];
  });
}

/** As Markdown, whatever a name has. */
function code(name: string): string {
  return name.includes('`') ? `\`\` ${name} \`\`` : `\`${name}\``;
}

import { HipacheError } from '../base/errors.ts';
import { printable } from '../base/printable.ts';
import type { TailedRequest, TailQuestion, WorkerTail } from '../telemetry/request-tail.ts';

/** A request that has ended. */
export interface ShownRequest extends Omit<TailedRequest, 'atMs'> {
  /** Its end: ISO 8601, UTC. */
  readonly at: string;
  readonly worker: number;
}

export interface Tail {
  /** The earliest first. */
  readonly requests: readonly ShownRequest[];
  /** The `after` of the next question. */
  readonly next: string;
  /** Requests that are not among them because there were too many. */
  readonly leftOut: number;
}

/** @throws HipacheError COMMAND_INVALID, INSTANCE_UNREACHABLE. */
export async function tailRequests(
  ask: (question: TailQuestion) => Promise<readonly WorkerTail[]>,
  { after, host, onlyErrors }: { readonly after: string; readonly host: string | null; readonly onlyErrors: boolean },
): Promise<Tail> {
  const known = parseNext(after);
  const answers = await ask({ host, onlyErrors, after: known });
  if (answers.length === 0) throw new HipacheError('INSTANCE_UNREACHABLE', 'no worker of the instance answers');
  if (answers.some(({ isFull }) => isFull)) {
    throw new HipacheError('INSTANCE_UNREACHABLE', 'too many others look at requests; try again in ten seconds');
  }
  // A worker that is late this time goes on where it was.
  const next = { ...known, ...Object.fromEntries(answers.map(({ last, worker }) => [worker, last])) };
  const requests = answers.flatMap(({ requests: all, worker }) =>
    all.map((request) => ({ atMs: request.atMs, shown: shownRequest(worker, request) })),
  );
  return {
    requests: requests.toSorted((one, other) => one.atMs - other.atMs).map(({ shown }) => shown),
    next: Object.entries(next)
      .map(([worker, last]) => `${worker}:${last}`)
      .join(' '),
    leftOut: answers.reduce((sum, answer) => sum + answer.leftOut, 0),
  };
}

/** Texts are those of strangers. */
function shownRequest(worker: number, { atMs, ...request }: TailedRequest): ShownRequest {
  const { errorDetail, host, method, target } = request;
  const texts = { errorDetail, host, method, target };
  const shown = Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, printable(text)]));
  return { ...request, ...(shown as typeof texts), at: new Date(atMs).toISOString(), worker };
}

/** `1:57 2:56`: the number of a worker, and that of its last request. */
function parseNext(text: string): Record<number, number> {
  if (!/^(\d{1,9}:\d{1,15}( |$))*$/.test(text)) {
    throw new HipacheError('COMMAND_INVALID', `after: found ${JSON.stringify(text)}, allowed the "next" of an answer`);
  }
  const pairs = text.split(' ').filter((pair) => pair !== '');
  return Object.fromEntries(pairs.map((pair) => pair.split(':').map(Number) as [number, number]));
}

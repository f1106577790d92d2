import { HipacheError } from '../base/errors.ts';
import { parseRoutePattern } from '../routing/patterns.ts';
import { hasRoute, type Store } from '../stores/contract.ts';
import {
  type LabelledFigures,
  quantileMs,
  type StatisticsOrder,
  type StatisticsQuestion,
  type WorkerStatistics,
} from '../telemetry/host-statistics.ts';
import type { Operation } from './operation.ts';
import { noRoute } from './routes.ts';

export { statisticsOrders } from '../telemetry/host-statistics.ts';

/** The traffic of a host, of a backend, or of an instance. */
export interface ShownTraffic {
  /** The pattern of a host, or the URL of a backend; empty for all together. */
  readonly name: string;
  /** In the last window that is over. */
  readonly requestsPerSecond: number;
  readonly errorsPerSecond: number;
  readonly bytesPerSecond: number;
  /** Durations that half of the requests, and 99 % of them, did not exceed; null without requests. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  /** Since `since`. */
  readonly requests: number;
  /** Responses that are the fault of a backend, or for backends: failed attempts, and responses with a status from 500. */
  readonly errors: number;
  /** Responses with a status from 400 to 499. */
  readonly clientErrors: number;
  /** Tunnels that have ended. */
  readonly tunnels: number;
  /** Bytes that were sent to clients. */
  readonly bytes: number;
  /** Of the last request: ISO 8601, UTC; null if there was none. */
  readonly last: string | null;
}

/** The traffic of one instance. */
export interface Statistics {
  /** When the oldest worker began to count: ISO 8601, UTC. */
  readonly since: string;
  /** The length of a window. */
  readonly windowSeconds: number;
  readonly workers: number;
  readonly all: ShownTraffic;
  readonly hosts: readonly ShownTraffic[];
}

export interface HostStatistics {
  readonly since: string;
  readonly windowSeconds: number;
  readonly workers: number;
  readonly host: ShownTraffic;
  readonly backends: readonly ShownTraffic[];
}

type Ask = (question: StatisticsQuestion) => Promise<readonly WorkerStatistics[]>;

/** Which hosts are listed, and how. */
export interface ListedTraffic {
  readonly order: StatisticsOrder;
  readonly limit: number;
  readonly prefix: string;
}

/** The hosts with the highest values. @throws HipacheError INSTANCE_UNREACHABLE. */
export async function listTraffic(ask: Ask, { limit, order, prefix }: ListedTraffic): Promise<Statistics> {
  // The workers differ: each of them has more, so that the sums are right for almost all.
  const answers = await askAll(ask, { order, limit: 2 * limit, prefix, only: null });
  const hosts = merged(
    answers,
    answers.flatMap((answer) => answer.hosts),
  );
  const sorted = hosts.toSorted((one, other) => orderValue(other, order) - orderValue(one, order));
  const [all] = merged(
    answers,
    answers.map((answer) => answer.all),
  );
  return { ...frameOf(answers), all: all ?? nothing(''), hosts: sorted.slice(0, limit) };
}

/** The traffic of one host and its backends. @throws HipacheError COMMAND_INVALID, NOT_FOUND, INSTANCE_UNREACHABLE. */
export function showTraffic(host: string, ask: Ask): Operation<Pick<Store, 'routes'>, HostStatistics> {
  const pattern = parseRoutePattern(host);
  return async ({ routes }) => {
    const [record = null] = await routes.read([pattern]);
    if (!hasRoute(record)) throw noRoute(pattern);
    const urls = record.frontend.slice(1).filter((url) => typeof url === 'string');
    const backends = [...new Set(urls.map((url) => url.replace(/#.*$/, '')))];
    const only = { hosts: [pattern], backends };
    const answers = await askAll(ask, { order: 'rate', limit: 1, prefix: '', only });
    const [found] = merged(
      answers,
      answers.flatMap((answer) => answer.hosts),
    );
    const ofBackends = merged(
      answers,
      answers.flatMap((answer) => answer.backends),
    );
    return {
      ...frameOf(answers),
      host: found ?? nothing(pattern),
      backends: backends.map((url) => ofBackends.find(({ name }) => name === url) ?? nothing(url)),
    };
  };
}

async function askAll(ask: Ask, question: StatisticsQuestion): Promise<readonly WorkerStatistics[]> {
  const answers = await ask(question);
  if (answers.length > 0) return answers;
  throw new HipacheError('INSTANCE_UNREACHABLE', 'no worker of the instance answers');
}

function frameOf(answers: readonly WorkerStatistics[]): Pick<Statistics, 'since' | 'windowSeconds' | 'workers'> {
  return {
    since: new Date(Math.min(...answers.map(({ sinceMs }) => sinceMs))).toISOString(),
    windowSeconds: (answers[0]?.windowMs ?? 0) / 1000,
    workers: answers.length,
  };
}

/** The counts of each label, summed. */
function merged(answers: readonly WorkerStatistics[], figures: readonly LabelledFigures[]): ShownTraffic[] {
  const [first] = answers;
  const byLabel = Map.groupBy(figures, ({ label }) => label);
  return [...byLabel].map(([label, all]) => toShown(label, all, first?.boundsMs ?? [], (first?.windowMs ?? 1) / 1000));
}

function toShown(
  name: string,
  all: readonly LabelledFigures[],
  boundsMs: readonly number[],
  seconds: number,
): ShownTraffic {
  const sum = (of: (figures: LabelledFigures) => number): number => all.reduce((total, one) => total + of(one), 0);
  const durations = boundsMs.concat(0).map((_, bucket) => sum(({ recent }) => recent.durations?.[bucket] ?? 0));
  const lastMs = Math.max(...all.map((one) => one.lastMs));
  return {
    name,
    requestsPerSecond: sum(({ recent }) => recent.requests) / seconds,
    errorsPerSecond: sum(({ recent }) => recent.errors) / seconds,
    bytesPerSecond: sum(({ recent }) => recent.bytes) / seconds,
    p50Ms: quantileMs(durations, boundsMs, 0.5),
    p99Ms: quantileMs(durations, boundsMs, 0.99),
    requests: sum(({ total }) => total.requests),
    errors: sum(({ total }) => total.errors),
    clientErrors: sum(({ total }) => total.clientErrors),
    tunnels: sum(({ total }) => total.tunnels),
    bytes: sum(({ total }) => total.bytes),
    last: lastMs === 0 ? null : new Date(lastMs).toISOString(),
  };
}

function nothing(name: string): ShownTraffic {
  return toShown(name, [{ label: name, total: none, recent: none, lastMs: 0 }], [], 1);
}

const none = { requests: 0, errors: 0, clientErrors: 0, tunnels: 0, bytes: 0, durations: null };

function orderValue(traffic: ShownTraffic, order: StatisticsOrder): number {
  switch (order) {
    case 'rate':
      return traffic.requestsPerSecond;
    case 'errors':
      return traffic.errorsPerSecond;
    case 'latency':
      return traffic.p99Ms ?? -1;
    case 'bytes':
      return traffic.bytesPerSecond;
    case 'requests':
      return traffic.requests;
    case 'last':
      return traffic.last === null ? 0 : Date.parse(traffic.last);
  }
}

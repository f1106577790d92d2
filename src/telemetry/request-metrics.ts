import { errorKind, errorKinds } from '../base/errors.ts';
import type { EndedExchange, FailedBackend, ProxyObserver } from '../proxy/observer.ts';
import type { StatisticsTables } from './host-statistics.ts';
import { durationBounds, requestMetrics, statusClasses, trafficMetrics } from './metric-table.ts';
import { Traffic, TrafficTable } from './traffic-table.ts';

const codes = [...errorKinds.keys()];
const codeIndexes: Readonly<Record<string, number>> = Object.fromEntries(codes.map((code, index) => [code, index]));
const boundsMs = durationBounds.map((seconds) => seconds * 1000);
/** Hosts, and backends, with counts of their own in each worker: 4.1 MB of each, with all buckets in use. */
const countedMax = 4000;

/** Counts the requests of one worker, with a few increments each and without allocating. */
export class RequestMetrics implements ProxyObserver {
  private readonly classes = new Float64Array(statusClasses.length);
  private readonly errors = new Float64Array(codes.length);
  private readonly total = new Durations();
  private readonly backend = new Durations();
  private sentBytes = 0;
  private readonly next: ProxyObserver | null;
  private readonly topMax: number;
  private readonly all = new Traffic();
  private readonly hosts = new TrafficTable(countedMax);
  private readonly backends = new TrafficTable(countedMax);

  /** @param next also gets every exchange and failure. @param topMax hosts, and backends, with series of their own. */
  constructor(next: ProxyObserver | null = null, topMax = 0) {
    this.next = next;
    this.topMax = topMax;
  }

  exchangeEnded(exchange: EndedExchange): void {
    const { classes, errors } = this;
    this.sentBytes += exchange.bytesSent;
    let bucket = -1;
    if (!exchange.isHealthCheck) {
      const statusClass = Math.min(5, Math.trunc(exchange.status / 100));
      classes[statusClass] = (classes[statusClass] as number) + 1;
      if (exchange.errorCode !== null) {
        const code = codeIndexes[exchange.errorCode] as number;
        errors[code] = (errors[code] as number) + 1;
      }
      if (!exchange.isTunnel) {
        bucket = this.total.add(exchange.endMs - exchange.startMs);
        if (exchange.sentMs !== 0) this.backend.add(exchange.endMs - exchange.sentMs);
      }
      const { backend, frontend } = exchange;
      count(this.all, exchange, bucket);
      countFailures(this.all, exchange);
      if (frontend !== null) {
        const host = this.hosts.of(frontend.pattern);
        count(host, exchange, bucket);
        countFailures(host, exchange);
      }
      // Its failures come one by one.
      if (backend !== null) count(this.backends.of(backend.url), exchange, bucket);
    }
    this.next?.exchangeEnded(exchange);
  }

  backendFailed(backend: FailedBackend, pattern: string, reason: string): void {
    this.backends.of(backend.url).window.errors++;
    this.next?.backendFailed?.(backend, pattern, reason);
  }

  /** The counts of single hosts and backends. */
  get tables(): StatisticsTables {
    const { all, backends, hosts } = this;
    return { all: { label: '', traffic: all }, backends, hosts, boundsMs };
  }

  /** The present window of the statistics is over. */
  turn(): void {
    this.all.turn();
    this.hosts.turn();
    this.backends.turn();
  }

  /** Adds the totals so far to `values`. */
  collect(values: Record<string, number>): void {
    for (const [index, name] of statusClasses.entries()) {
      values[`${requestMetrics.responses.name}/${name}`] = this.classes[index] as number;
    }
    for (const [index, code] of codes.entries()) {
      const count = this.errors[index] as number;
      if (count > 0) values[`${requestMetrics.requestErrors.name}/${code}`] = count;
    }
    values[requestMetrics.sentBytes.name] = this.sentBytes;
    for (const [label, { requests, errors, bytes }] of this.topMax === 0 ? [] : this.hosts.top(this.topMax)) {
      values[`${trafficMetrics.hostRequests.name}/${label}`] = requests;
      values[`${trafficMetrics.hostErrors.name}/${label}`] = errors;
      values[`${trafficMetrics.hostSentBytes.name}/${label}`] = bytes;
    }
    for (const [label, { requests, errors }] of this.topMax === 0 ? [] : this.backends.top(this.topMax)) {
      values[`${trafficMetrics.backendRequests.name}/${label}`] = requests;
      values[`${trafficMetrics.backendErrors.name}/${label}`] = errors;
    }
    this.total.collect(requestMetrics.requestDurationSeconds.name, values);
    this.backend.collect(requestMetrics.backendDurationSeconds.name, values);
  }
}

/** A histogram with separate, not cumulative, bucket counts. */
class Durations {
  private readonly buckets = new Float64Array(boundsMs.length + 1);
  private sumMs = 0;

  /** @returns its bucket. */
  add(ms: number): number {
    let index = 0;
    while (index < boundsMs.length && ms > (boundsMs[index] as number)) index++;
    this.buckets[index] = (this.buckets[index] as number) + 1;
    this.sumMs += ms;
    return index;
  }

  collect(name: string, values: Record<string, number>): void {
    for (const [index, count] of this.buckets.entries()) {
      values[`${name}/${durationBounds[index] ?? '+Inf'}`] = count;
    }
    values[`${name}/sum`] = this.sumMs / 1000;
  }
}

/** @param bucket of its duration; -1 for a tunnel. */
function count(traffic: Traffic, { bytesSent, endMs, status }: EndedExchange, bucket: number): void {
  const { window } = traffic;
  window.requests++;
  window.bytes += bytesSent;
  traffic.lastMs = endMs;
  if (bucket < 0) window.tunnels++;
  else traffic.took(bucket, boundsMs.length + 1);
  if (status >= 400 && status < 500) window.clientErrors++;
}

function countFailures({ window }: Traffic, { errorCode, status }: EndedExchange): void {
  if (status >= 500 || (errorCode !== null && errorKind(errorCode).source === 'backend')) window.errors++;
}

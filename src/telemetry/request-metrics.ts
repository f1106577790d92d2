import { errorKind, errorKinds } from '../base/errors.ts';
import type { EndedExchange, FailedBackend, ProxyObserver } from '../proxy/observer.ts';
import { durationBounds, requestMetrics, statusClasses, trafficMetrics } from './metric-table.ts';
import { TrafficTable } from './traffic-table.ts';

const codes = [...errorKinds.keys()];
const codeIndexes: Readonly<Record<string, number>> = Object.fromEntries(codes.map((code, index) => [code, index]));
const boundsMs = Float64Array.from(durationBounds, (seconds) => seconds * 1000);

/** Counts the requests of one worker, with a few increments each and without allocating. */
export class RequestMetrics implements ProxyObserver {
  private readonly classes = new Float64Array(statusClasses.length);
  private readonly errors = new Float64Array(codes.length);
  private readonly total = new Durations();
  private readonly backend = new Durations();
  private sentBytes = 0;
  private readonly next: ProxyObserver | null;
  private readonly topMax: number;
  /** Null if no host has series of its own. */
  private readonly hosts: TrafficTable | null;
  private readonly backends: TrafficTable | null;

  /** @param next also gets every exchange and failure. @param topMax hosts, and backends, with series of their own. */
  constructor(next: ProxyObserver | null = null, topMax = 0) {
    this.next = next;
    this.topMax = topMax;
    this.hosts = topMax === 0 ? null : new TrafficTable(4 * topMax);
    this.backends = topMax === 0 ? null : new TrafficTable(4 * topMax);
  }

  exchangeEnded(exchange: EndedExchange): void {
    const { classes, errors } = this;
    this.sentBytes += exchange.bytesSent;
    if (!exchange.isHealthCheck) {
      const statusClass = Math.min(5, Math.trunc(exchange.status / 100));
      classes[statusClass] = (classes[statusClass] as number) + 1;
      if (exchange.errorCode !== null) {
        const code = codeIndexes[exchange.errorCode] as number;
        errors[code] = (errors[code] as number) + 1;
      }
      if (!exchange.isTunnel) {
        this.total.add(exchange.endMs - exchange.startMs);
        if (exchange.sentMs !== 0) this.backend.add(exchange.endMs - exchange.sentMs);
      }
    }
    if (this.hosts !== null && exchange.frontend !== null) this.countHost(this.hosts, exchange);
    this.next?.exchangeEnded(exchange);
  }

  backendFailed(backend: FailedBackend, pattern: string, reason: string): void {
    const traffic = this.backends?.of(backend.url);
    if (traffic !== undefined) traffic.errors++;
    this.next?.backendFailed?.(backend, pattern, reason);
  }

  private countHost(hosts: TrafficTable, exchange: EndedExchange): void {
    const { backend, bytesSent, errorCode, frontend, status } = exchange;
    const host = hosts.of((frontend as NonNullable<typeof frontend>).pattern);
    host.requests++;
    host.bytes += bytesSent;
    if (status >= 500 || (errorCode !== null && errorKind(errorCode).source === 'backend')) host.errors++;
    if (backend !== null && this.backends !== null) this.backends.of(backend.url).requests++;
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
    for (const [label, { requests, errors, bytes }] of this.hosts?.top(this.topMax) ?? []) {
      values[`${trafficMetrics.hostRequests.name}/${label}`] = requests;
      values[`${trafficMetrics.hostErrors.name}/${label}`] = errors;
      values[`${trafficMetrics.hostSentBytes.name}/${label}`] = bytes;
    }
    for (const [label, { requests, errors }] of this.backends?.top(this.topMax) ?? []) {
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

  add(ms: number): void {
    let index = 0;
    while (index < boundsMs.length && ms > (boundsMs[index] as number)) index++;
    this.buckets[index] = (this.buckets[index] as number) + 1;
    this.sumMs += ms;
  }

  collect(name: string, values: Record<string, number>): void {
    for (const [index, count] of this.buckets.entries()) {
      values[`${name}/${durationBounds[index] ?? '+Inf'}`] = count;
    }
    values[`${name}/sum`] = this.sumMs / 1000;
  }
}

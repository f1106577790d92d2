import { errorKinds } from '../base/errors.ts';
import type { EndedExchange, ProxyObserver } from '../proxy/observer.ts';
import { durationBounds, requestMetrics, statusClasses } from './metric-table.ts';

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

  /** @param next also gets every exchange. */
  constructor(next: ProxyObserver | null = null) {
    this.next = next;
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
    this.next?.exchangeEnded(exchange);
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

import type { Clock } from '../base/clock.ts';
import type { EndedExchange, FailedBackend, ProxyObserver } from '../proxy/observer.ts';

/** Asks a worker for its last requests. */
export interface TailQuestion {
  /** Those of this host, or of this pattern of a route; null for all. */
  readonly host: string | null;
  /** Whether only those are wanted that ended with an error, or with a status from 400. */
  readonly onlyErrors: boolean;
  /** For each worker, by its number, the number of the last request that is known; 0 to begin. */
  readonly after: Readonly<Record<number, number>>;
}

/** A request that has ended. Texts are those of the client. */
export interface TailedRequest {
  /** Epoch ms of its end. */
  readonly atMs: number;
  readonly client: string;
  readonly method: string;
  readonly host: string;
  readonly target: string;
  /** 0 if none was sent. */
  readonly status: number;
  readonly errorCode: string | null;
  readonly errorDetail: string;
  readonly durationMs: number;
  readonly bytesSent: number;
  readonly route: string | null;
  readonly backend: string | null;
  readonly attempts: number;
  readonly isTunnel: boolean;
  readonly requestId: string;
}

/** The answer of one worker. */
export interface WorkerTail {
  readonly worker: number;
  /** The number of the last request. */
  readonly last: number;
  readonly requests: readonly TailedRequest[];
  /** Requests that are not among them, because there were too many, since the question before. */
  readonly leftOut: number;
  /** Whether none are kept, because too many others look. */
  readonly isFull: boolean;
}

/** How long requests are kept for somebody who does not ask again, in ms. */
const watchedMs = 10_000;
const watchesMax = 20;
/** Requests of one watch that are kept, and that are taken in each second. */
const keptMax = 200;
const perSecondMax = 50;
const charsMax = 500;

/** One who looks: the requests that have ended meanwhile. */
class Watch {
  untilMs = 0;
  /** The number of the last request, also if it was not taken. */
  last = 0;
  kept: { readonly number: number; readonly request: TailedRequest }[] = [];
  private readonly question: Pick<TailQuestion, 'host' | 'onlyErrors'>;
  private second = 0;
  private taken = 0;

  constructor(question: Pick<TailQuestion, 'host' | 'onlyErrors'>) {
    this.question = question;
  }

  wants({ errorCode, frontend, host, status }: EndedExchange): boolean {
    const { host: wanted, onlyErrors } = this.question;
    if (onlyErrors && errorCode === null && status < 400) return false;
    return wanted === null || host === wanted || frontend?.pattern === wanted;
  }

  /** Counts one more. @returns whether there is room for it in this second. */
  admits(nowMs: number): boolean {
    this.last++;
    const second = Math.floor(nowMs / 1000);
    if (second !== this.second) {
      this.second = second;
      this.taken = 0;
    }
    return ++this.taken <= perSecondMax;
  }

  take(request: TailedRequest): void {
    this.kept.push({ number: this.last, request });
    if (this.kept.length > keptMax) this.kept.shift();
  }
}

/** Keeps the last requests of a worker while somebody looks at them. Otherwise it costs a comparison for each request. */
export class RequestTail implements ProxyObserver {
  private readonly next: ProxyObserver;
  private readonly clock: Clock;
  private readonly watches = new Map<string, Watch>();

  /** @param next gets every exchange and failure. */
  constructor(next: ProxyObserver, clock: Clock) {
    this.next = next;
    this.clock = clock;
  }

  exchangeEnded(exchange: EndedExchange): void {
    if (this.watches.size > 0 && !exchange.isHealthCheck) this.keep(exchange);
    this.next.exchangeEnded(exchange);
  }

  backendFailed(backend: FailedBackend, pattern: string, reason: string): void {
    this.next.backendFailed?.(backend, pattern, reason);
  }

  /** The requests that have ended since the question before. From the first question on, they are kept. */
  answer(worker: number, { after, host, onlyErrors }: TailQuestion): WorkerTail {
    const nowMs = this.clock.monotonicMs();
    for (const [key, { untilMs }] of this.watches) if (untilMs < nowMs) this.watches.delete(key);
    const key = `${onlyErrors} ${host ?? ''}`;
    const watch = this.watches.get(key) ?? this.begin(key, { host, onlyErrors });
    if (watch === null) return { worker, last: 0, requests: [], leftOut: 0, isFull: true };
    watch.untilMs = nowMs + watchedMs;
    // Another program has other numbers.
    const known = after[worker] ?? 0;
    const from = known > watch.last ? 0 : known;
    const requests = watch.kept.filter(({ number }) => number > from).map(({ request }) => request);
    const leftOut = watch.last - from - requests.length;
    return { worker, last: watch.last, requests, leftOut, isFull: false };
  }

  private begin(key: string, question: Pick<TailQuestion, 'host' | 'onlyErrors'>): Watch | null {
    if (this.watches.size >= watchesMax) return null;
    const watch = new Watch(question);
    this.watches.set(key, watch);
    return watch;
  }

  private keep(exchange: EndedExchange): void {
    const nowMs = this.clock.monotonicMs();
    let request: TailedRequest | null = null;
    for (const [key, watch] of this.watches) {
      if (watch.untilMs < nowMs) this.watches.delete(key);
      else if (watch.wants(exchange) && watch.admits(nowMs)) {
        request ??= this.tailed(exchange);
        watch.take(request);
      }
    }
  }

  private tailed(exchange: EndedExchange): TailedRequest {
    const { backend, endMs, frontend, startMs } = exchange;
    return {
      atMs: Math.round(this.clock.epochMs()),
      client: exchange.clientAddress,
      method: exchange.method.slice(0, charsMax),
      host: exchange.host.slice(0, charsMax),
      target: exchange.target.slice(0, charsMax),
      status: exchange.status,
      errorCode: exchange.errorCode,
      errorDetail: exchange.errorDetail.slice(0, charsMax),
      durationMs: endMs - startMs,
      bytesSent: exchange.bytesSent,
      route: frontend?.pattern ?? null,
      backend: backend?.url ?? null,
      attempts: exchange.attempts,
      isTunnel: exchange.isTunnel,
      requestId: exchange.requestId,
    };
  }
}

import type { Clock } from '../base/clock.ts';
import { eachOf } from '../base/each-of.ts';
import type { NameResolver } from '../dns/name-resolver.ts';
import type { DownMark } from '../routing/backend.ts';
import { type BackendTarget, readBackendUrl } from '../routing/backend-url.ts';
import type { BackendTls } from '../tls/backend-tls.ts';
import { type ProbeResult, probe, probedHost } from './probe.ts';

/** The collections of a store that probes use: declared here, implemented by the drivers of `stores/`. */
export interface MarkStore {
  readonly routes: { read(patterns: readonly string[]): Promise<readonly (MarkedRoute | null)[]> };
  readonly marks: {
    write(pattern: string, url: string, mark: DownMark): Promise<unknown>;
    remove(pattern: string, url: string): Promise<void>;
  };
}

interface MarkedRoute {
  readonly frontend: readonly unknown[];
  readonly down: ReadonlyMap<string, DownMark>;
}

/** A mark that this instance has set. */
export interface OwnMark {
  readonly pattern: string;
  /** The backend's identity. */
  readonly url: string;
  readonly mark: DownMark;
}

/** Totals. */
export interface RecoveryCounters {
  /** Requests to marked backends. */
  probes: number;
  /** Marks that were lifted. */
  recovered: number;
  /** Marks that are not tracked, since there are too many. */
  dropped: number;
}

export interface RecoveryOptions {
  readonly store: MarkStore;
  /** Id of this instance, as it stands in its marks. */
  readonly instance: string;
  /** How long a mark lasts; one whose backend does not recover is prolonged by it. */
  readonly downMs: number;
  /** The time from a mark to the first probe; later ones come at up to five times that. */
  readonly everyMs: number;
  readonly timeoutMs: number;
  readonly tls: BackendTls;
  readonly resolver: Pick<NameResolver, 'watch'>;
  readonly version: string;
  readonly clock: Clock;
  /** Goes on with these totals; default: from 0. */
  readonly counters?: RecoveryCounters;
  readonly log: { info(message: string, fields?: Record<string, unknown>): void };
  readonly onProblem: (what: string, error: Error) => void;
  /** Whether regular health checks lift the marks of the backends of a pattern at present. Default: they never do. */
  readonly isChecked?: (pattern: string) => boolean;
}

/** Backends that are probed; marks of further ones end by themselves. */
const backendsMax = 10_000;
/** Patterns of one backend, and of all together, whose marks are tracked. */
const patternsPerBackendMax = 10_000;
const patternsMax = 100_000;
/** Patterns read at once. */
const pagePatterns = 256;
/** Marks of one backend that are written at once. */
const writesMax = 16;
/** Probes under way at once. */
const probesMax = 64;
/** Responses below 500 in a row after which a mark that a status brought is lifted: one alone may be luck. */
const goodResponsesWanted = 2;
const slowdownMax = 5;

interface MarkedBackend {
  /** As the record has it: with the name for TLS. */
  target: BackendTarget;
  /** The marks by pattern, as they were last seen. */
  readonly marks: Map<string, DownMark>;
  probes: number;
  goodResponses: number;
  timer: NodeJS.Timeout | null;
}

/**
 * Probes the backends that this instance has marked, and lifts the marks of those that have recovered.
 * Of a fleet each mark is probed by one: the instance whose id the mark in the store has. So nobody has to be elected,
 * and marks of an instance that has gone end by themselves.
 */
export class RecoveryProbes {
  private readonly options: RecoveryOptions;
  private readonly markedBackends = new Map<string, MarkedBackend>();
  private readonly waiting: MarkedBackend[] = [];
  private underWay = 0;
  private patterns = 0;
  private closed = false;
  readonly counters: RecoveryCounters;

  constructor(options: RecoveryOptions) {
    this.options = options;
    this.counters = options.counters ?? { probes: 0, recovered: 0, dropped: 0 };
  }

  /** Backends that are probed. */
  get size(): number {
    return this.markedBackends.size;
  }

  /** The marks that are tracked, for another object that takes over. */
  get marks(): readonly OwnMark[] {
    return [...this.markedBackends].flatMap(([url, { marks }]) =>
      [...marks].map(([pattern, mark]) => ({ pattern, url, mark })),
    );
  }

  /** This instance has marked a backend, or marked it again. */
  marked({ pattern, url, mark }: OwnMark): void {
    const { target } = readBackendUrl(url);
    if (this.closed || target === null) return;
    const key = target.url;
    const known = this.markedBackends.get(key);
    if (known?.marks.has(pattern)) {
      known.marks.set(pattern, mark);
      return;
    }
    const isFull =
      known === undefined ? this.markedBackends.size >= backendsMax : known.marks.size >= patternsPerBackendMax;
    if (isFull || this.patterns >= patternsMax) {
      this.counters.dropped++;
      return;
    }
    this.patterns++;
    if (known !== undefined) {
      known.marks.set(pattern, mark);
      return;
    }
    const backend: MarkedBackend = {
      target,
      marks: new Map([[pattern, mark]]),
      probes: 0,
      goodResponses: 0,
      timer: null,
    };
    this.markedBackends.set(key, backend);
    this.schedule(backend);
  }

  close(): void {
    this.closed = true;
    for (const { timer } of this.markedBackends.values()) if (timer !== null) clearTimeout(timer);
    this.markedBackends.clear();
    this.waiting.length = 0;
  }

  private schedule(backend: MarkedBackend): void {
    const { everyMs } = this.options;
    const delayMs = everyMs * Math.min(slowdownMax, 2 ** backend.probes) * (0.9 + Math.random() * 0.2);
    backend.timer = setTimeout(() => {
      backend.timer = null;
      this.waiting.push(backend);
      this.pump();
    }, delayMs);
    backend.timer.unref();
  }

  private pump(): void {
    while (this.underWay < probesMax) {
      const backend = this.waiting.shift();
      if (backend === undefined) return;
      this.underWay++;
      this.examine(backend)
        .catch((error: Error) => {
          if (!this.closed) this.options.onProblem('a marked backend could not be probed', error);
        })
        .finally(() => {
          this.underWay--;
          if (this.closed) return;
          if (backend.marks.size === 0) this.markedBackends.delete(backend.target.url);
          else this.schedule(backend);
          this.pump();
        });
    }
  }

  private async examine(backend: MarkedBackend): Promise<void> {
    backend.probes++;
    this.forgetEnded(backend);
    const marks = await this.ownMarks(backend);
    const [first] = marks.keys();
    if (first === undefined) return;
    const { target } = backend;
    const { resolver, timeoutMs, tls, version } = this.options;
    const result = await probe({ target, host: probedHost(first, target), tls, resolver, timeoutMs, version });
    this.counters.probes++;
    backend.goodResponses = result.status > 0 && result.status < 500 ? backend.goodResponses + 1 : 0;
    if (this.closed) return;
    const lifted: string[] = [];
    try {
      await eachOf(marks, writesMax, async ([pattern, mark]) => {
        if (this.closed) return;
        if (!this.hasRecovered(backend, mark.reason, result)) return this.prolong(backend, pattern, mark);
        await this.lift(backend, pattern);
        lifted.push(pattern);
      });
    } finally {
      const [host] = lifted;
      const others = lifted.length > 1 ? { otherHosts: lifted.length - 1 } : {};
      const fields = { host, backend: target.url, ...others };
      if (host !== undefined) this.options.log.info('a backend has recovered', fields);
    }
  }

  /** Marks that have ended need nobody: also where the store that they are in cannot be read. */
  private forgetEnded(backend: MarkedBackend): void {
    const nowMs = this.options.clock.epochMs();
    for (const [pattern, { untilMs }] of backend.marks) if (untilMs <= nowMs) this.forget(backend, pattern);
  }

  private forget(backend: MarkedBackend, pattern: string): void {
    if (backend.marks.delete(pattern)) this.patterns--;
  }

  /**
   * The marks in the store that are still this instance's; what is not is forgotten. Those of patterns with health checks are
   * left out while they have these: a probe of `/` must not lift what a check of another path finds.
   */
  private async ownMarks(backend: MarkedBackend): Promise<ReadonlyMap<string, DownMark>> {
    const { url } = backend.target;
    const { isChecked = isNever } = this.options;
    const patterns = [...backend.marks.keys()].filter((pattern) => !isChecked(pattern));
    const own = new Map<string, DownMark>();
    for (let from = 0; from < patterns.length && !this.closed; from += pagePatterns) {
      const page = patterns.slice(from, from + pagePatterns);
      const records = await this.options.store.routes.read(page);
      for (const [index, pattern] of page.entries()) {
        const mark = records[index]?.down.get(url);
        const listed = records[index]?.frontend.slice(1).map((value) => readBackendUrl(value).target) ?? [];
        const target = listed.find((one) => one?.url === url);
        if (mark?.instance === this.options.instance && target != null) {
          own.set(pattern, mark);
          backend.marks.set(pattern, mark);
          backend.target = target;
        } else {
          this.forget(backend, pattern);
        }
      }
    }
    return own;
  }

  /** What brought the mark has to be over: any response shows that of a connection, a good one that of a status. */
  private hasRecovered(backend: MarkedBackend, reason: string, { status }: ProbeResult): boolean {
    if (reason.startsWith('status ')) return backend.goodResponses >= goodResponsesWanted;
    return status > 0;
  }

  private async lift(backend: MarkedBackend, pattern: string): Promise<void> {
    await this.options.store.marks.remove(pattern, backend.target.url);
    this.forget(backend, pattern);
    this.counters.recovered++;
  }

  /** A mark that would end before the next probe is set anew, so that no request has to find out. */
  private async prolong(backend: MarkedBackend, pattern: string, mark: DownMark): Promise<void> {
    const { clock, downMs, everyMs, store, timeoutMs } = this.options;
    // That a status is bad again and again is for the requests to find out: the probe asks for `/` alone.
    if (mark.reason.startsWith('status ')) return;
    const nowMs = clock.epochMs();
    if (mark.untilMs - nowMs > everyMs * slowdownMax * 2 + timeoutMs) return;
    const longer = { ...mark, untilMs: Math.round(nowMs + downMs) };
    await store.marks.write(pattern, backend.target.url, longer);
    backend.marks.set(pattern, longer);
  }
}

function isNever(): boolean {
  return false;
}

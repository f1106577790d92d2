import { BackOff } from '../../base/back-off.ts';
import type { HipacheError } from '../../base/errors.ts';
import type { EtcdCluster, EtcdTimings, WatchStream } from './cluster.ts';
import { etcdError, isTokenInvalid } from './errors.ts';
import type { KeyRange } from './keys.ts';
import type { EtcdWatchResponse } from './protocol.ts';

export interface EtcdWatchEvents {
  /** Everything that changes from now on is reported. */
  ready(): void;
  /** The watch was ready and has broken; the next one follows. */
  lost(error: HipacheError): void;
  /** An attempt failed; the next one follows after a pause. */
  failed(error: HipacheError): void;
  changed(keys: readonly Buffer[]): void;
}

/** The spread of the pauses: the workers of a fleet must not come back all at once. */
const retrySpread = [0.5, 1] as const;

/**
 * Watches all keys of a range from the member's present revision on. It does so after a break too, behind which nothing
 * that was read before counts as verified: a cluster that was restored may have gone back to an earlier revision, and the
 * changes since the last one may be compacted. A member that hangs is found by asking for its progress: a watch that
 * stalls silently has been seen (apisix#9951).
 */
export class EtcdWatch {
  private readonly cluster: EtcdCluster;
  private readonly timings: EtcdTimings;
  private readonly events: EtcdWatchEvents;
  private readonly range: { readonly key: Buffer; readonly range_end: Buffer };
  private readonly pauses: BackOff;
  private stream: WatchStream | null = null;
  private leave: () => void = () => {};
  private isReady = false;
  private lastError: HipacheError | null = null;
  private timer: NodeJS.Timeout | null = null;
  private progress: NodeJS.Timeout | null = null;
  private heardMs = 0;
  private closed = false;
  private readonly waiters: (() => void)[] = [];

  constructor(cluster: EtcdCluster, range: KeyRange, timings: EtcdTimings, events: EtcdWatchEvents) {
    this.cluster = cluster;
    this.range = { key: range.start, range_end: range.end };
    this.timings = timings;
    this.events = events;
    const { retryFirstMs: firstMs, retryMaxMs: longestMs } = timings;
    this.pauses = new BackOff({ firstMs, longestMs, spread: retrySpread });
  }

  /** Why it is not ready; null if it is, or before the first attempt has ended. */
  get error(): HipacheError | null {
    return this.lastError;
  }

  /** Resolves after the first attempt, whatever its outcome. */
  async start(): Promise<void> {
    const attempted = new Promise<void>((resolve) => this.waiters.push(resolve));
    void this.open();
    await attempted;
  }

  close(): void {
    this.closed = true;
    this.clearTimers();
    this.stream?.cancel();
    this.stream = null;
    this.attempted();
  }

  private async open(): Promise<void> {
    this.timer = null;
    try {
      const { stream, leave } = await this.cluster.watch();
      if (this.closed) {
        stream.on('error', () => {});
        stream.cancel();
        return;
      }
      this.stream = stream;
      this.leave = leave;
      stream.on('data', (response: EtcdWatchResponse) => {
        if (stream === this.stream) this.onResponse(response);
      });
      stream.on('error', (error) => this.broken(stream, error));
      stream.on('end', () => this.broken(stream, new Error('the watch has ended')));
      stream.write({ create_request: { ...this.range, fragment: true } });
      this.heardMs = performance.now();
      this.progress = setInterval(() => this.ask(stream), this.timings.progressEveryMs);
    } catch (error) {
      this.broken(null, error);
    }
  }

  private ask(stream: WatchStream): void {
    if (stream !== this.stream) return;
    if (performance.now() - this.heardMs <= this.timings.silenceMaxMs) stream.write({ progress_request: {} });
    else this.broken(stream, new Error(`the watch has been silent for ${this.timings.silenceMaxMs} ms`));
  }

  private onResponse(response: EtcdWatchResponse): void {
    this.heardMs = performance.now();
    if (response.canceled) {
      const { cancel_reason: reason } = response;
      this.broken(this.stream, new Error(reason === '' ? 'the watch was canceled' : reason));
      return;
    }
    if (response.created) this.onCreated();
    const keys = response.events.flatMap(({ kv }) => (kv === null ? [] : [kv.key]));
    if (keys.length > 0) this.events.changed(keys);
  }

  private onCreated(): void {
    this.isReady = true;
    this.lastError = null;
    this.pauses.reset();
    this.events.ready();
    this.attempted();
  }

  private broken(stream: WatchStream | null, error: unknown): void {
    if (stream !== this.stream || this.closed) return;
    this.stream = null;
    this.clearTimers();
    stream?.cancel();
    if (!isTokenInvalid(error)) this.leave();
    const shown = etcdError(error, this.cluster.endpoints.name);
    this.lastError = shown;
    if (this.isReady) this.events.lost(shown);
    else this.events.failed(shown);
    this.isReady = false;
    this.timer = setTimeout(() => void this.open(), this.pauses.next());
    this.attempted();
  }

  private clearTimers(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    if (this.progress !== null) clearInterval(this.progress);
    this.timer = null;
    this.progress = null;
  }

  private attempted(): void {
    for (const resolve of this.waiters.splice(0)) resolve();
  }
}

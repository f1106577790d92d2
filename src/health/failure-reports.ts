import type { Clock } from '../base/clock.ts';
import { CoalescedTask } from '../base/coalesced-task.ts';
import { type SetTimer, setRealTimer } from '../base/timer.ts';
import type { FailureCollection } from '../stores/contract.ts';
import { type BackendFailures, joinFailures } from '../stores/failures.ts';

/** From a failure until it is written, in ms; failures of this time are written together. */
const writeAfterMs = 2000;
/** Routes that are written in one round. */
const roundMax = 200;
/** Routes that wait, and backends of each. Failures of further ones are not reported. */
const routesMax = 2000;
const backendsMax = 100;

export interface FailureReportsOptions {
  readonly failures: Pick<FailureCollection, 'add'>;
  /** Id of this Hipache instance. */
  readonly instance: string;
  readonly clock: Clock;
  /** They cannot be written; called for each round. */
  readonly onError: (error: unknown) => void;
  readonly setTimer?: SetTimer;
}

/**
 * Reports the failures of backends to the store, a moment later and bounded, for `hipache explain`. They wait while the
 * store is away.
 */
export class FailureReports {
  private readonly options: FailureReportsOptions;
  private waiting = new Map<string, Map<string, BackendFailures>>();
  private readonly writing = new CoalescedTask(() => this.write());
  private cancelTimer: (() => void) | null = null;
  private closed = false;

  constructor(options: FailureReportsOptions) {
    this.options = options;
  }

  /** @param url of the backend, without weight. @param reason a code, or `status <n>`. */
  failed(pattern: string, url: string, reason: string): void {
    if (this.closed) return;
    const { clock, instance } = this.options;
    const nowMs = clock.epochMs();
    this.add(pattern, url, { count: 1, firstMs: nowMs, lastMs: nowMs, reason, instance });
    this.schedule();
  }

  /** Writes what waits, now: this process ends soon. */
  flush(): void {
    this.cancelTimer?.();
    void this.writing.request();
  }

  /** Failures that have not been written yet are lost. */
  close(): void {
    this.closed = true;
    this.cancelTimer?.();
    void this.writing.close();
  }

  private add(pattern: string, url: string, failures: BackendFailures): void {
    let route = this.waiting.get(pattern);
    if (route === undefined) {
      if (this.waiting.size >= routesMax) return;
      route = new Map();
      this.waiting.set(pattern, route);
    }
    const former = route.get(url);
    if (former === undefined && route.size >= backendsMax) return;
    route.set(url, joinFailures(former, failures));
  }

  private schedule(): void {
    if (this.cancelTimer !== null || this.closed) return;
    const setTimer = this.options.setTimer ?? setRealTimer;
    this.cancelTimer = setTimer(writeAfterMs, () => void this.writing.request());
  }

  /** One after another, so that marks, which are more urgent, find their turn between them. */
  private async write(): Promise<void> {
    try {
      for (const [pattern, failures] of [...this.waiting].slice(0, roundMax)) {
        if (this.closed) return;
        this.waiting.delete(pattern);
        try {
          await this.options.failures.add(pattern, failures);
        } catch (error) {
          for (const [url, former] of failures) this.add(pattern, url, former);
          throw error;
        }
      }
    } catch (error) {
      this.options.onError(error);
    }
    this.cancelTimer = null;
    if (this.waiting.size > 0) this.schedule();
  }
}

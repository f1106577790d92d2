import { hash } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import type { SetTimer } from '../base/timer.ts';
import type { StoredRoute } from '../stores/contract.ts';

/** Readings of one second that brought nothing new; from then on, and in the next second, such records wait. */
const unchangedPerSecondMax = 50;
/** The pause before a record counts as unverified, by readings in a row that brought the same. */
const pausesMs = [100, 200, 400, 800, 1000] as const;
/** Readings that lie further apart are no series. */
const seriesMs = 60_000;

interface Suspect {
  /** Of the record at the last reading; empty before the first. */
  fingerprint: string;
  /** Readings in a row that brought the same record. */
  unchanged: number;
  /** When the last one ended. */
  readMs: number;
  /** A change was reported since. */
  isReported: boolean;
  /** Waits in a queue. */
  isWaiting: boolean;
}

export interface RefreshDamperOptions {
  /** Patterns that are followed. With more, those that were followed longest are forgotten. */
  readonly patternsMax: number;
  readonly clock: Clock;
  readonly setTimer: SetTimer;
  /** The pause is over: the record has to be verified before its next use. */
  due(pattern: string): void;
}

/**
 * Tells reported changes from those that are none. A store may report a record that it no longer watches, because its
 * table of watched records is full; to read it again pushes another one out, and so on without end (measured: 90,000
 * commands a second, without a request). While many readings bring nothing new, such records are read again only when a
 * request needs them, after pauses that grow. Otherwise, and if its last reading brought something new, a record is read
 * at once.
 */
export class RefreshDamper {
  private readonly options: RefreshDamperOptions;
  private readonly suspects = new Map<string, Suspect>();
  /** For each pause: the patterns that wait, with the end of their pause, in the order of these. */
  private readonly queues: Map<string, number>[] = pausesMs.map(() => new Map());
  private cancel: (() => void) | null = null;
  private secondMs = 0;
  private unchangedInSecond = 0;
  private unchangedInSecondBefore = 0;
  /** Readings that brought the same record, although the store had reported a change. */
  unchanged = 0;

  constructor(options: RefreshDamperOptions) {
    this.options = options;
  }

  /** A change of a known record is reported. @returns whether to read it at once. */
  reported(pattern: string): boolean {
    let suspect = this.suspects.get(pattern);
    if (suspect === undefined) {
      if (this.suspects.size >= this.options.patternsMax) this.forgetOldest();
      suspect = { fingerprint: '', unchanged: 0, readMs: 0, isReported: true, isWaiting: false };
      this.suspects.set(pattern, suspect);
    }
    suspect.isReported = true;
    if (suspect.isWaiting) return false;
    const nowMs = this.options.clock.monotonicMs();
    if (nowMs - suspect.readMs > seriesMs) suspect.unchanged = 0;
    if (suspect.unchanged === 0 || !this.isCrowded(nowMs)) return true;
    suspect.isWaiting = true;
    this.enqueue(pattern, Math.min(suspect.unchanged, pausesMs.length) - 1);
    return false;
  }

  /** A reading has ended. @returns whether it brought the same record as the one before, and too many do. */
  landed(pattern: string, record: StoredRoute | null): boolean {
    const suspect = this.suspects.get(pattern);
    if (suspect === undefined || !suspect.isReported) return false;
    const nowMs = this.options.clock.monotonicMs();
    const fingerprint = fingerprintOf(record);
    const isSame = fingerprint === suspect.fingerprint;
    Object.assign(suspect, { fingerprint, readMs: nowMs, isReported: false });
    suspect.unchanged = isSame ? suspect.unchanged + 1 : 0;
    if (!isSame) return false;
    this.unchanged++;
    const isCrowded = this.isCrowded(nowMs);
    this.unchangedInSecond++;
    return isCrowded;
  }

  /** Ends all pauses: every record that waits is due. */
  release(): void {
    for (const queue of this.queues) for (const pattern of queue.keys()) this.end(queue, pattern);
    this.cancel?.();
    this.cancel = null;
  }

  close(): void {
    this.cancel?.();
    this.suspects.clear();
    for (const queue of this.queues) queue.clear();
  }

  private isCrowded(nowMs: number): boolean {
    const passedMs = nowMs - this.secondMs;
    if (passedMs >= 1000) {
      this.secondMs = nowMs;
      this.unchangedInSecondBefore = passedMs < 2000 ? this.unchangedInSecond : 0;
      this.unchangedInSecond = 0;
    }
    return Math.max(this.unchangedInSecond, this.unchangedInSecondBefore) >= unchangedPerSecondMax;
  }

  private forgetOldest(): void {
    const [oldest] = this.suspects.keys();
    if (oldest !== undefined) this.suspects.delete(oldest);
  }

  private enqueue(pattern: string, level: number): void {
    const queue = this.queues[level] as Map<string, number>;
    if (!queue.has(pattern)) queue.set(pattern, this.options.clock.monotonicMs() + (pausesMs[level] as number));
    this.cancel ??= this.options.setTimer(pausesMs[0], () => this.run());
  }

  private run(): void {
    this.cancel = null;
    const nowMs = this.options.clock.monotonicMs();
    let waiting = 0;
    for (const queue of this.queues) {
      for (const [pattern, dueMs] of queue) {
        if (dueMs > nowMs) break;
        this.end(queue, pattern);
      }
      waiting += queue.size;
    }
    if (waiting > 0) this.cancel = this.options.setTimer(pausesMs[0], () => this.run());
  }

  private end(queue: Map<string, number>, pattern: string): void {
    queue.delete(pattern);
    const suspect = this.suspects.get(pattern);
    if (suspect !== undefined) suspect.isWaiting = false;
    this.options.due(pattern);
  }
}

/** In whole seconds: the ends of the marks of Hipache 0.4 are derived from the time of the reading. */
function fingerprintOf(record: StoredRoute | null): string {
  if (record === null) return 'none';
  const marks = [...record.down].map(([url, { untilMs, reason, instance }]) => [
    url,
    Math.round(untilMs / 1000),
    reason,
    instance,
  ]);
  return hash('sha1', JSON.stringify([record.frontend, marks, record.problem, [...(record.options ?? [])]]), 'base64');
}

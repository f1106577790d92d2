import type { Clock } from '../base/clock.ts';
import type { Backend, DownMark } from '../routing/backend.ts';
import { type Frontend, servingBackends } from '../routing/frontend.ts';
import { mayMarkDown } from '../routing/health.ts';
import { type MarkQueue, setMark } from './mark-queue.ts';

export interface BackendMarksOptions {
  /** The id of this instance, as its marks have it. */
  readonly instance: string;
  readonly clock: Pick<Clock, 'epochMs'>;
  readonly queue: MarkQueue;
  /** Called for each mark, before the store has it. */
  readonly onMarked: (pattern: string, url: string, mark: DownMark) => void;
}

/** Marks backends dead: in this worker at once, and elsewhere through the store. */
export class BackendMarks {
  private readonly options: BackendMarksOptions;
  /** Marks set. */
  count = 0;

  constructor(options: BackendMarksOptions) {
    this.options = options;
  }

  /** Marks a backend for `ttlMs`, if `health.ts` allows it. @param current the frontend as the cache has it now. */
  set(current: Frontend, backend: Backend, reason: string, ttlMs: number): void {
    const { clock, instance, onMarked, queue } = this.options;
    const nowMs = clock.epochMs();
    const target = servingBackends(current).find((candidate) => candidate.url === backend.url);
    // Requests that were under way at the same time fail together; one mark is enough.
    if (target === undefined || target.isDown(nowMs) || !(ttlMs > 0)) return;
    if (!mayMarkDown(current, target, nowMs)) return;
    const mark: DownMark = { untilMs: Math.round(nowMs + ttlMs), sinceMs: nowMs, reason, instance };
    setMark(target, mark);
    if (backend !== target) setMark(backend, mark);
    this.count++;
    queue.share(current.pattern, target);
    onMarked(current.pattern, target.url, mark);
  }
}

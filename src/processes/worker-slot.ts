import { type BackOffFigures, backOffMs } from '../base/back-off.ts';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Plan } from './plan.ts';
import type { WorkerEnd, WorkerProcess } from './worker-process.ts';

/** Why a worker was replaced: a label of the metrics. */
export type RestartReason = 'crash' | 'stuck' | 'memory' | 'reload';

/** The supervisor of a slot. */
export interface SlotSupervisor {
  readonly plan: Plan;
  readonly isStopping: boolean;
  readonly clock: Clock;
  readonly log: Log;
  /** From 0 up to but not including 1. */
  readonly random: () => number;
  /** Starts a worker; null if all are stopping. */
  spawn(slot: number, plan: Plan): WorkerProcess | null;
  /** Resolves once the condition holds. It is checked whenever a worker changes its state. */
  until(condition: () => boolean): Promise<void>;
  /** The slot failed to follow the plan. Its next `replace` is due when its turn comes. */
  replaceInTurn(slot: WorkerSlot): void;
  /** Whether this many early deaths in a row end the start of the program. */
  givesUpStart(earlyDeaths: number): boolean;
  /** The slot will have no worker for a while: another one must accept in its place. */
  slotVacant(slot: WorkerSlot): void;
  restarted(reason: RestartReason): void;
}

/** A worker that dies at an age below this, in ms, is restarted only after a pause. */
const earlyMs = 10_000;
/** These pauses. Workers that die of the same cause do not come back all at once. */
const pauses: BackOffFigures = { firstMs: 500, longestMs: 30_000, spread: [0.5, 1] };

/** The place of one worker: the current worker, its pending replacement, and the reaction to their deaths. */
export class WorkerSlot {
  /** From 1. */
  readonly number: number;
  /** The one that serves, or the only one that is starting. */
  current: WorkerProcess | null;
  /** Whether it has no worker for a while, so that another one must accept in its place. */
  isVacant = false;
  /** The worker that accepts in its place. */
  standIn: WorkerProcess | null = null;
  private readonly supervisor: SlotSupervisor;
  /** Replaces `current` once it is ready. */
  private next: WorkerProcess | null = null;
  private earlyDeaths = 0;
  /** Failed replacements in a row while the slot was behind the plan. */
  private failures = 0;
  /** Runs until the next attempt to start a worker at all, or one that follows the plan. */
  private timer: NodeJS.Timeout | null = null;

  /** Starts its worker. */
  constructor(number: number, supervisor: SlotSupervisor) {
    this.number = number;
    this.supervisor = supervisor;
    this.current = supervisor.spawn(number, supervisor.plan);
  }

  get isReady(): boolean {
    return this.current?.state === 'ready';
  }

  /** Whether its worker follows an earlier plan. */
  get isBehind(): boolean {
    return this.current !== null && this.current.config !== this.supervisor.plan.settings.config;
  }

  has(worker: WorkerProcess): boolean {
    return this.current === worker || this.next === worker;
  }

  /**
   * Replaces the current worker: the new one serves before the old one stops.
   * @param onServing awaited in between.
   * @returns false if the new worker failed to start, or all are stopping.
   */
  async replace(
    reason: RestartReason,
    plan = this.supervisor.plan,
    onServing: () => Promise<void> = async () => {},
  ): Promise<boolean> {
    const { supervisor } = this;
    this.cancel();
    const next = supervisor.spawn(this.number, plan);
    if (next === null) return false;
    this.next = next;
    await supervisor.until(() => next.state !== 'starting' || supervisor.isStopping);
    if (supervisor.isStopping || this.next !== next || next.state !== 'ready') {
      // The old worker may have died meanwhile, and was not revived because this one was starting.
      if (this.current === null && !supervisor.isStopping) this.reviveLater();
      if (this.isBehind && !supervisor.isStopping) this.replaceLater();
      return false;
    }
    const old = this.current;
    this.current = next;
    this.next = null;
    this.failures = 0;
    this.standIn = null;
    await onServing();
    if (supervisor.isStopping) return false;
    old?.drain({ forMs: plan.drainMs, requestsForMs: Number.POSITIVE_INFINITY, closeCode: 1012 });
    supervisor.log.info('a worker was replaced', { worker: this.number, reason, pid: next.pid });
    supervisor.restarted(reason);
    return true;
  }

  /** One of its workers now serves. */
  onReady(): void {
    if (!this.isVacant) return;
    this.isVacant = false;
    this.supervisor.log.info(`worker ${this.number} is back`, { worker: this.number });
  }

  /** One of its workers has ended. */
  onGone(worker: WorkerProcess, end: WorkerEnd): void {
    const { supervisor } = this;
    if (this.next === worker) {
      this.next = null;
      if (supervisor.isStopping) return;
      supervisor.log.error('a replacement worker has ended', endFields(worker, end));
    } else {
      this.current = null;
      if (!supervisor.isStopping) this.revive(worker, end);
    }
  }

  /** The plan has fewer workers: this one drains and is not replaced. */
  retire(): void {
    this.cancel();
    const { current } = this;
    if (current?.state === 'starting') current.kill();
    current?.drain({
      forMs: this.supervisor.plan.drainMs,
      requestsForMs: Number.POSITIVE_INFINITY,
      closeCode: 1012,
    });
  }

  /** Cancels the next attempt. */
  cancel(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }

  /** If the old worker dies meanwhile, its successor follows the plan as well. */
  private replaceLater(): void {
    this.cancel();
    this.failures++;
    this.timer = setTimeout(
      () => {
        this.timer = null;
        this.supervisor.replaceInTurn(this);
      },
      backOffMs(pauses, this.failures, this.supervisor.random()),
    );
  }

  /** Its worker has died unexpectedly. */
  private revive(worker: WorkerProcess, end: WorkerEnd): void {
    this.cancel();
    const { supervisor } = this;
    const { log } = supervisor;
    const isEarly = supervisor.clock.monotonicMs() - worker.startedMs < earlyMs;
    this.earlyDeaths = isEarly ? this.earlyDeaths + 1 : 0;
    supervisor.restarted(end.wasStuck ? 'stuck' : 'crash');
    const what = end.wasStuck ? 'a worker did not respond and was killed' : 'a worker has died';
    if (this.next !== null) {
      log.error(`${what}; its replacement is starting`, endFields(worker, end));
      return;
    }
    if (!isEarly) {
      log.error(`${what}; it is restarted`, endFields(worker, end));
      this.current = supervisor.spawn(this.number, supervisor.plan);
      return;
    }
    if (supervisor.givesUpStart(this.earlyDeaths)) return;
    const afterMs = this.reviveLater();
    log.error(`${what} at its start; it is restarted after a pause`, { ...endFields(worker, end), afterMs });
  }

  private reviveLater(): number {
    const { supervisor } = this;
    const afterMs = backOffMs(pauses, Math.max(1, this.earlyDeaths), supervisor.random());
    this.isVacant = true;
    this.timer = setTimeout(() => {
      this.timer = null;
      this.current = supervisor.spawn(this.number, supervisor.plan);
    }, afterMs);
    supervisor.slotVacant(this);
    return afterMs;
  }
}

function endFields(worker: WorkerProcess, { code, signal }: WorkerEnd): Record<string, unknown> {
  const how = signal === null ? { exitCode: code } : { signal };
  return { worker: worker.number, pid: worker.pid, ...how };
}

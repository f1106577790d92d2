import { backOffMs } from '../base/back-off.ts';
import type { Clock } from '../base/clock.ts';
import { HipacheError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { DrainOrder, InheritedSocket, MarkReport, MetricValues, WorkerSettings } from './messages.ts';
import { sharesOf } from './shares.ts';
import {
  type WorkerEnd,
  type WorkerFailure,
  type WorkerHandler,
  WorkerProcess,
  type WorkerProgram,
} from './worker-process.ts';

/** Why workers are replaced: a label of the metrics. */
export type RestartReason = 'crash' | 'stuck' | 'memory' | 'reload';

/** What all workers are to be from now on. */
export interface Plan {
  readonly workers: number;
  readonly settings: WorkerSettings;
  readonly sockets: readonly InheritedSocket[];
  /** The descriptors behind `sockets`, of this process, in their order. */
  readonly descriptors: readonly number[];
  /** Sockets of each address. */
  readonly sharesPerAddress: number;
  /** How long tunnels of a worker that is replaced may take to end. */
  readonly drainMs: number;
  readonly stuckMs: number;
}

/** What is told of workers: implemented by the metrics. */
export interface SupervisorObserver {
  restarted(reason: RestartReason): void;
  values(worker: WorkerProcess, values: MetricValues): void;
  gone(worker: WorkerProcess): void;
}

export interface SupervisorOptions {
  readonly program: WorkerProgram;
  readonly plan: Plan;
  readonly observer: SupervisorObserver;
  /** Told of every dead mark that a worker sets. */
  readonly onMarked: (marked: MarkReport) => void;
  readonly log: Log;
  readonly clock: Clock;
  /** From 0 up to but not including 1. */
  readonly random: () => number;
}

/** Who dies younger than this is started again with a pause. */
const earlyMs = 10_000;
const beatMsMax = 5000;
/** How long a worker may be silent at least while it loads. */
const startMs = 60_000;
/** How long it may take until it serves; then it is ended, as one that has died. */
const startMaxMs = 180_000;
/** Early deaths one after the other, while no worker has come to serve, after which the program gives up its start. */
const startDeathsMax = 5;
/** Heartbeats without answer after which a worker counts as stuck. */
const missedMax = 8;
/** Between two replacements for memory: if that does not help, doing it more often does not either. */
const memoryPauseMs = 300_000;
/** Workers that have been replaced and still drain, per worker; the oldest beyond are ended. */
const drainingPerWorkerMax = 8;
/** What a worker may take beyond its drain to write its logs and end. */
const exitGraceMs = 10_000;

interface WorkerSlot {
  readonly number: number;
  /** Serves, or is the only one that starts. */
  current: WorkerProcess | null;
  /** Is to take the place of `current` once it is ready. */
  next: WorkerProcess | null;
  earlyDeaths: number;
  /** Replacements that failed one after the other while it was behind the plan. */
  failures: number;
  /** To its next attempt: at a worker at all, or at one that follows the plan. */
  timer: NodeJS.Timeout | null;
  /** Is without a worker for a while: another one is to accept in its place. */
  isVacant: boolean;
  /** Has been told to accept in its place. */
  standIn: WorkerProcess | null;
}

/** Keeps the workers of an instance alive, and replaces them so that no connection is lost. */
export class Supervisor implements WorkerHandler {
  private plan: Plan;
  private readonly options: SupervisorOptions;
  private readonly slots: WorkerSlot[] = [];
  private readonly workers = new Set<WorkerProcess>();
  private readonly timer: NodeJS.Timeout;
  /** Told when the state of any worker has changed. */
  private readonly waiting = new Set<() => void>();
  private started = false;
  private stopping = false;
  private failure: WorkerFailure | null = null;
  private replacing: Promise<void> = Promise.resolve();
  private isReplacing = false;
  private lastMemoryMs = Number.NEGATIVE_INFINITY;
  private unclean = 0;

  constructor(options: SupervisorOptions) {
    this.options = options;
    this.plan = options.plan;
    const beatMs = Math.min(beatMsMax, this.plan.stuckMs / missedMax);
    this.timer = setInterval(() => this.beat(beatMs), beatMs);
  }

  /**
   * Starts every worker, and resolves when all of them serve.
   * @returns false where it was stopped before that.
   * @throws HipacheError what a worker says of why it cannot start; all others are ended then.
   */
  async start(): Promise<boolean> {
    for (let number = 1; number <= this.plan.workers; number++) this.slots.push(this.begin(number));
    const isReady = (): boolean => this.slots.every(({ current }) => current?.state === 'ready');
    await this.until(() => isReady() || this.failure !== null || this.stopping);
    if (this.failure !== null && !isReady()) {
      const { code, message } = this.failure;
      await this.end();
      throw new HipacheError(code, message);
    }
    this.started = true;
    return isReady() && !this.stopping;
  }

  /** Workers that serve now. */
  get readyCount(): number {
    return this.slots.filter(({ current }) => current?.state === 'ready').length;
  }

  get wantedCount(): number {
    return this.plan.workers;
  }

  /** Every worker that runs, those that drain included. */
  get all(): readonly WorkerProcess[] {
    return [...this.workers];
  }

  /** Whether it has been told to end. */
  get isStopping(): boolean {
    return this.stopping;
  }

  /**
   * Replaces every worker by one that follows `plan`, one after the other. One that cannot be replaced serves on, and
   * is tried again after growing pauses; the log says which.
   * @returns whether the plan is followed now. If not, the first new worker did not start, or all were told to end.
   */
  reload(plan: Plan): Promise<boolean> {
    return this.exclusively(async () => {
      const slots = this.slots.slice(0, plan.workers);
      const [first, ...others] = slots;
      if (first !== undefined && !(await this.replace(first, 'reload', plan))) return false;
      if (this.stopping) return false;
      this.plan = plan;
      for (const slot of others) {
        await this.replace(slot, 'reload');
        if (this.stopping) return false;
      }
      for (let number = this.slots.length + 1; number <= plan.workers; number++) this.slots.push(this.begin(number));
      await this.until(() => this.stopping || this.slots.every(({ current }) => current?.state !== 'starting'));
      if (this.stopping) return false;
      for (const slot of this.slots.splice(plan.workers)) this.retire(slot);
      this.standIns();
      const behind = slots.filter((slot) => this.isBehind(slot));
      if (behind.length > 0) {
        const workers = behind.map(({ number }) => number).join(', ');
        this.options.log.error('workers with the new configuration did not start; tried again', { workers });
      }
      return true;
    });
  }

  /**
   * The state for TLS has changed: for the workers to come, and those that run with the configuration that it is of.
   */
  tellTls(tls: unknown): void {
    this.plan = { ...this.plan, settings: { ...this.plan.settings, tls } };
    for (const worker of this.workers) {
      if (worker.config === this.plan.settings.config) worker.tellTls(tls);
    }
  }

  reopenLogs(): void {
    for (const worker of this.workers) worker.reopenLogs();
  }

  /** Drains all workers. @returns whether all that was under way ended by itself. */
  async stop(order: DrainOrder): Promise<boolean> {
    this.stopping = true;
    this.changed();
    for (const slot of this.slots) this.cancel(slot);
    this.unclean = 0;
    for (const worker of this.workers) {
      if (worker.state === 'starting') worker.kill();
      else worker.drain(order);
    }
    const timer = setTimeout(() => this.killAll(), order.forMs + exitGraceMs);
    await this.until(() => this.workers.size === 0);
    clearTimeout(timer);
    clearInterval(this.timer);
    return this.unclean === 0;
  }

  /** Ends all workers at once. */
  killAll(): void {
    this.stopping = true;
    for (const worker of this.workers) worker.kill();
  }

  onReady(worker: WorkerProcess): void {
    const slot = this.slotOf(worker);
    if (slot?.isVacant) {
      slot.isVacant = false;
      this.options.log.info(`worker ${worker.number} is back`, { worker: worker.number });
    }
    this.standIns();
    this.changed();
  }

  onFailed(worker: WorkerProcess, failure: WorkerFailure): void {
    this.failure ??= failure;
    if (this.started) this.options.log.error(failure.message, { worker: worker.number, code: failure.code });
    this.changed();
  }

  onMarked(marked: MarkReport): void {
    this.options.onMarked(marked);
  }

  onOverMemory(worker: WorkerProcess, residentBytes: number): void {
    const { clock, log } = this.options;
    const slot = this.slots.find(({ current }) => current === worker);
    const nowMs = clock.monotonicMs();
    if (slot === undefined || this.stopping || this.isReplacing || nowMs - this.lastMemoryMs < memoryPauseMs) return;
    this.lastMemoryMs = nowMs;
    log.warn('a worker is over limits.workerMemoryBytesMax and is replaced', { worker: worker.number, residentBytes });
    void this.exclusively(() => this.replace(slot, 'memory'));
  }

  onDrained(worker: WorkerProcess, clean: boolean): void {
    if (!clean) this.unclean++;
    this.options.log.debug('a worker has ended what was under way', { worker: worker.number, pid: worker.pid });
  }

  onValues(worker: WorkerProcess, values: MetricValues): void {
    this.options.observer.values(worker, values);
  }

  onGone(worker: WorkerProcess, end: WorkerEnd): void {
    this.workers.delete(worker);
    this.options.observer.gone(worker);
    const slot = this.slotOf(worker);
    if (slot?.next === worker) {
      slot.next = null;
      if (!this.stopping)
        this.options.log.error('a worker that was to replace another one has ended', endFields(worker, end));
    } else if (slot?.current === worker) {
      slot.current = null;
      if (!this.stopping) this.revive(slot, worker, end);
    }
    this.standIns();
    this.changed();
  }

  private begin(number: number): WorkerSlot {
    const slot: WorkerSlot = {
      number,
      current: null,
      next: null,
      earlyDeaths: 0,
      failures: 0,
      timer: null,
      isVacant: false,
      standIn: null,
    };
    slot.current = this.spawn(slot);
    return slot;
  }

  /** null where all are to end. */
  private spawn(slot: WorkerSlot, plan = this.plan): WorkerProcess | null {
    if (this.stopping) return null;
    const { options } = this;
    const shares = sharesOf(slot.number - 1, plan.workers, plan.sharesPerAddress);
    const start = { ...plan.settings, number: slot.number, sockets: plan.sockets, shares };
    const worker = new WorkerProcess(options.program, start, plan.descriptors, options.clock.monotonicMs(), this);
    this.workers.add(worker);
    return worker;
  }

  /** The new worker serves before the old one stops. @returns false where it did not come to serve. */
  private async replace(slot: WorkerSlot, reason: RestartReason, plan = this.plan): Promise<boolean> {
    this.cancel(slot);
    const next = this.spawn(slot, plan);
    if (next === null) return false;
    slot.next = next;
    await this.until(() => next.state !== 'starting' || this.stopping);
    if (this.stopping || slot.next !== next || next.state !== 'ready') {
      // The old one may have died meanwhile, and was not revived as this one was to come.
      if (slot.current === null && !this.stopping) this.reviveLater(slot);
      if (this.isBehind(slot) && !this.stopping) this.replaceLater(slot);
      return false;
    }
    const old = slot.current;
    slot.current = next;
    slot.next = null;
    slot.failures = 0;
    slot.standIn = null;
    old?.drain({ forMs: plan.drainMs, requestsForMs: Number.POSITIVE_INFINITY, closeCode: 1012 });
    this.standIns();
    this.options.observer.restarted(reason);
    this.options.log.info('a worker was replaced', { worker: slot.number, reason, pid: next.pid });
    this.boundDraining();
    return true;
  }

  /** Whether its worker follows an earlier plan. */
  private isBehind({ current }: WorkerSlot): boolean {
    return current !== null && current.config !== this.plan.settings.config;
  }

  /** Whoever comes since the old one has died follows the plan as well. */
  private replaceLater(slot: WorkerSlot): void {
    this.cancel(slot);
    slot.failures++;
    slot.timer = setTimeout(
      () => {
        slot.timer = null;
        void this.exclusively(
          async () => this.isBehind(slot) && this.slots.includes(slot) && this.replace(slot, 'reload'),
        );
      },
      backOffMs(slot.failures, this.options.random()),
    );
  }

  /** The worker of a slot has died unasked. */
  private revive(slot: WorkerSlot, worker: WorkerProcess, end: WorkerEnd): void {
    this.cancel(slot);
    const { clock, observer, log } = this.options;
    const isEarly = clock.monotonicMs() - worker.startedMs < earlyMs;
    slot.earlyDeaths = isEarly ? slot.earlyDeaths + 1 : 0;
    observer.restarted(end.wasStuck ? 'stuck' : 'crash');
    const what = end.wasStuck ? 'a worker did not answer and was ended' : 'a worker has died';
    if (slot.next !== null) {
      log.error(`${what}; its replacement is on the way`, endFields(worker, end));
      return;
    }
    if (!isEarly) {
      log.error(`${what}; it is started again`, endFields(worker, end));
      slot.current = this.spawn(slot);
      return;
    }
    if (!this.started && this.readyCount === 0 && slot.earlyDeaths >= startDeathsMax) {
      this.failure ??= {
        code: 'WORKER_FAILED',
        message: 'the workers die at their start; what they say of it is above',
      };
      return;
    }
    const afterMs = this.reviveLater(slot);
    log.error(`${what} at its start; it is started again after a pause`, { ...endFields(worker, end), afterMs });
  }

  private reviveLater(slot: WorkerSlot): number {
    const afterMs = backOffMs(Math.max(1, slot.earlyDeaths), this.options.random());
    slot.isVacant = true;
    slot.timer = setTimeout(() => {
      slot.timer = null;
      slot.current = this.spawn(slot);
    }, afterMs);
    this.standIn(slot);
    return afterMs;
  }

  /** Whoever stood in for a slot may have gone, before the slot has a worker again. */
  private standIns(): void {
    for (const slot of this.slots) if (slot.isVacant) this.standIn(slot);
  }

  /** Connections in the queue of a slot without worker are accepted by another one, which goes on with it. */
  private standIn(slot: WorkerSlot): void {
    if (this.stopping || slot.standIn?.state === 'ready') return;
    const other = this.slots.find(({ current }) => current?.state === 'ready')?.current ?? null;
    slot.standIn = other;
    other?.adopt(sharesOf(slot.number - 1, this.plan.workers, this.plan.sharesPerAddress));
  }

  private retire(slot: WorkerSlot): void {
    this.cancel(slot);
    const { current } = slot;
    if (current?.state === 'starting') current.kill();
    current?.drain({ forMs: this.plan.drainMs, requestsForMs: Number.POSITIVE_INFINITY, closeCode: 1012 });
  }

  private boundDraining(): void {
    const draining = [...this.workers].filter(({ state }) => state === 'draining');
    for (const worker of draining.slice(0, -drainingPerWorkerMax * this.plan.workers)) {
      this.options.log.warn('too many replaced workers have requests under way; the oldest is ended', {
        worker: worker.number,
        pid: worker.pid,
      });
      worker.drain({ forMs: 0, closeCode: 1012 });
    }
  }

  /** One replacement at a time. */
  private exclusively<Result>(task: () => Promise<Result>): Promise<Result> {
    const result = this.replacing.then(async () => {
      this.isReplacing = true;
      try {
        return await task();
      } finally {
        this.isReplacing = false;
      }
    });
    this.replacing = result.then(
      () => {},
      () => {},
    );
    return result;
  }

  private beat(beatMs: number): void {
    const pingsMax = Math.max(1, Math.round(this.plan.stuckMs / beatMs));
    const startingMax = Math.max(pingsMax, Math.round(startMs / beatMs));
    const nowMs = this.options.clock.monotonicMs();
    for (const worker of this.workers) {
      if (worker.state === 'starting' && nowMs - worker.startedMs > startMaxMs) worker.kill();
    }
    for (const worker of this.workers) worker.beat(worker.state === 'starting' ? startingMax : pingsMax);
  }

  private async end(): Promise<void> {
    this.killAll();
    for (const slot of this.slots) this.cancel(slot);
    await this.until(() => this.workers.size === 0);
    clearInterval(this.timer);
  }

  private cancel(slot: WorkerSlot): void {
    if (slot.timer !== null) clearTimeout(slot.timer);
    slot.timer = null;
  }

  private slotOf(worker: WorkerProcess): WorkerSlot | undefined {
    return this.slots.find(({ current, next }) => current === worker || next === worker);
  }

  private changed(): void {
    for (const look of this.waiting) look();
  }

  private until(condition: () => boolean): Promise<void> {
    if (condition()) return Promise.resolve();
    return new Promise((resolve) => {
      const look = (): void => {
        if (!condition()) return;
        this.waiting.delete(look);
        resolve();
      };
      this.waiting.add(look);
    });
  }
}

function endFields(worker: WorkerProcess, { code, signal }: WorkerEnd): Record<string, unknown> {
  const how = signal === null ? { exitCode: code } : { signal };
  return { worker: worker.number, pid: worker.pid, ...how };
}

import type { Clock } from '../base/clock.ts';
import { HipacheError } from '../base/errors.ts';
import type { HookTarget, UsedHost } from '../base/hook-target.ts';
import type { Log } from '../base/log.ts';
import {
  type DrainOrder,
  type ListenPlace,
  type MarkReport,
  placeOf,
  type RecordText,
  type TokenUse,
  type WorkerReport,
} from './messages.ts';
import type { Plan } from './plan.ts';
import { type KeptRecords, SharedRecordsOfWorkers } from './shared-records.ts';
import {
  type WorkerEnd,
  type WorkerFailure,
  type WorkerHandler,
  WorkerProcess,
  type WorkerProgram,
} from './worker-process.ts';
import { type RestartReason, type SlotSupervisor, WorkerSlot } from './worker-slot.ts';

/** Observes workers; the metrics implement it. */
export interface SupervisorObserver {
  restarted(reason: RestartReason): void;
  reported(worker: WorkerProcess, report: WorkerReport): void;
  gone(worker: WorkerProcess): void;
}

/** Judges whether the store has lost the routes that workers serve. */
interface JudgesRoutes {
  /** Whether workers serve known routes that the store does not have. */
  readonly isHolding: boolean;
  /** Resolves once a judgement has ended that began after this call. */
  judge(): Promise<void>;
}

interface HearsOfHosts {
  /** Requests of a host wait for a backend. */
  asleep(pattern: string, target: HookTarget): void;
  /** A backend of a host that was asleep is there. */
  awake(pattern: string): void;
  /** Workers have served these hosts. */
  used(hosts: readonly UsedHost[]): void;
}

export interface SupervisorOptions {
  readonly program: WorkerProgram;
  readonly plan: Plan;
  readonly observer: SupervisorObserver;
  /** Called with every dead mark that a worker sets. */
  readonly onMarked: (marked: MarkReport) => void;
  /** Called with patterns whose hosts a worker serves, and whose options want health checks. */
  readonly onChecked: (patterns: readonly string[]) => void;
  /** The records that workers read, for those that cannot reach the store. */
  readonly known: KeptRecords;
  readonly guard: JudgesRoutes;
  /** Hears of hosts for their platforms. */
  readonly platform: HearsOfHosts;
  /** Called with names whose certificates clients wait for. `tellCertificateLooked` follows. */
  readonly onCertificateWanted: (name: string, address: string) => void;
  readonly log: Log;
  readonly clock: Clock;
  /** From 0 up to but not including 1. */
  readonly random: () => number;
}

const beatMsMax = 5000;
/** Minimum time a worker may be silent while it loads, in ms. */
const startMs = 60_000;
/** A worker that does not serve within this time, in ms, is killed, as if it had died. */
const startMaxMs = 180_000;
/** Early deaths in a row, without any worker serving, after which the program gives up its start. */
const startDeathsMax = 5;
/** Unanswered heartbeats after which a worker counts as stuck. */
const missedMax = 8;
/** Minimum time between two replacements for memory, in ms: if one does not help, more will not either. */
const memoryPauseMs = 300_000;
/** Replaced workers that may still drain, per worker; the oldest ones beyond that are ended. */
const drainingPerWorkerMax = 8;
/** How long a worker may take after its drain to write its logs and exit, in ms. */
const exitGraceMs = 10_000;
/** How long workers may take to close the sockets of the others, in ms. */
const releaseMs = 1000;

/** Keeps the workers of an instance alive, and replaces them without losing a connection. */
export class Supervisor implements WorkerHandler, SlotSupervisor {
  plan: Plan;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  private readonly options: SupervisorOptions;
  private readonly slots: WorkerSlot[] = [];
  private readonly workers = new Set<WorkerProcess>();
  private readonly records: SharedRecordsOfWorkers;
  private readonly timer: NodeJS.Timeout;
  /** Conditions to check whenever a worker changes its state. */
  private readonly waiting = new Set<() => void>();
  private started = false;
  private stopping = false;
  private failure: WorkerFailure | null = null;
  private replacing: Promise<void> = Promise.resolve();
  private isReplacing = false;
  private lastMemoryMs = Number.NEGATIVE_INFINITY;
  private unclean = 0;
  private instances = 1;

  constructor(options: SupervisorOptions) {
    this.options = options;
    this.plan = options.plan;
    this.clock = options.clock;
    this.log = options.log;
    this.random = options.random;
    this.records = new SharedRecordsOfWorkers(
      options.known,
      options.plan.settings.config.driver,
      () => this.slots.find((slot) => slot.isReady)?.current ?? null,
    );
    const beatMs = Math.min(beatMsMax, this.plan.stuckMs / missedMax);
    this.timer = setInterval(() => this.beat(beatMs), beatMs);
  }

  /**
   * Starts every worker. Resolves when all of them serve.
   * @returns false if it was stopped before.
   * @throws HipacheError the reason of the first worker that cannot start; all others then finish what they have begun.
   */
  async start(): Promise<boolean> {
    for (let number = 1; number <= this.plan.workers; number++) this.slots.push(new WorkerSlot(number, this));
    const isReady = (): boolean => this.slots.every((slot) => slot.isReady);
    await this.until(() => isReady() || this.failure !== null || this.stopping);
    if (this.failure !== null && !isReady()) {
      const { code, message } = this.failure;
      // Some may serve, and a predecessor may continue to do so.
      await this.stop({ forMs: this.plan.drainMs, closeCode: 1012 });
      throw new HipacheError(code, message);
    }
    this.started = true;
    return isReady() && !this.stopping;
  }

  /** Number of workers that serve now. */
  get readyCount(): number {
    return this.slots.filter((slot) => slot.isReady).length;
  }

  get wantedCount(): number {
    return this.plan.workers;
  }

  /** All running workers, including those that drain. */
  get all(): readonly WorkerProcess[] {
    return [...this.workers];
  }

  /** Whether all workers are stopping. */
  get isStopping(): boolean {
    return this.stopping;
  }

  /**
   * Replaces all workers, one after the other, by workers that follow `plan`. One that cannot be replaced continues to
   * serve, and its replacement is retried with growing pauses; the log names it.
   * @param onFollowed called once the first new worker serves: from then on the plan is in effect.
   * @returns whether the plan is in effect. If not, the first new worker did not start, or all workers are stopping.
   */
  reload(plan: Plan, onFollowed: () => void = () => {}): Promise<boolean> {
    const follow = async (): Promise<void> => {
      const former = this.plan;
      this.plan = plan;
      onFollowed();
      await this.releaseRemoved(former, plan);
    };
    return this.exclusively(async () => {
      const slots = this.slots.slice(0, plan.workers);
      this.records.follow(plan.settings.config.driver);
      const [first, ...others] = slots;
      if (first === undefined || !(await first.replace('reload', plan, follow))) return false;
      if (this.stopping) return false;
      for (const slot of others) {
        await slot.replace('reload');
        if (this.stopping) return false;
      }
      for (let number = this.slots.length + 1; number <= plan.workers; number++)
        this.slots.push(new WorkerSlot(number, this));
      await this.until(() => this.stopping || this.slots.every(({ current }) => current?.state !== 'starting'));
      if (this.stopping) return false;
      for (const slot of this.slots.splice(plan.workers)) slot.retire();
      this.standIns();
      const behind = slots.filter((slot) => slot.isBehind);
      if (behind.length > 0) {
        const workers = behind.map(({ number }) => number).join(', ');
        this.options.log.error('workers with the new configuration did not start; retrying', { workers });
      }
      return true;
    });
  }

  /** The TLS state has changed: passes it to future workers, and to those that run with the same configuration. */
  tellTls(tls: unknown): void {
    this.plan = { ...this.plan, settings: { ...this.plan.settings, tls } };
    for (const worker of this.workers) {
      if (worker.config === this.plan.settings.config) worker.tellTls(tls);
    }
  }

  /** `isHolding` of the guard has changed. */
  tellHold(): void {
    const { isHolding } = this.options.guard;
    for (const worker of this.workers) worker.tellHold(isHolding && this.knows(worker.config));
    this.records.assign();
  }

  /** How many instances share the store, from now on. */
  tellFleet(instances: number): void {
    if (instances === this.instances) return;
    this.instances = instances;
    for (const worker of this.workers) worker.tellFleet(instances);
  }

  /** The certificate of a name was looked after. */
  tellCertificateLooked(name: string): void {
    for (const worker of this.workers) worker.tellCertificateLooked(name);
  }

  reopenLogs(): void {
    for (const worker of this.workers) worker.reopenLogs();
  }

  /**
   * Drains all workers. A further call changes the times.
   * @returns whether everything in progress ended by itself.
   */
  async stop(order: DrainOrder): Promise<boolean> {
    await this.release();
    for (const worker of this.workers) worker.drain(order);
    const lastMs = Math.max(order.forMs, order.requestsForMs ?? 0);
    const timer = Number.isFinite(lastMs) ? setTimeout(() => this.killAll(), lastMs + exitGraceMs) : undefined;
    await this.until(() => this.workers.size === 0);
    clearTimeout(timer);
    clearInterval(this.timer);
    this.records.close();
    return this.unclean === 0;
  }

  /**
   * Starts no worker any more, and leaves each listening socket to the workers that accept from it: its last descriptor
   * is then closed by one that has just emptied its queue.
   */
  private async release(): Promise<void> {
    if (this.stopping) return;
    this.stopping = true;
    this.changed();
    for (const slot of this.slots) slot.cancel();
    for (const worker of this.workers) if (worker.state === 'starting') worker.kill();
    await this.releaseAllBut([]);
  }

  /**
   * Addresses that the new plan does not have: leaves each socket to the former worker that accepts from it, before the
   * first of them drains. That one then empties its queue and closes it. A kept address has the new workers.
   */
  private async releaseRemoved(former: Plan, plan: Plan): Promise<void> {
    const kept = plan.sockets.map(placeOf);
    if (former.sockets.some((socket) => !kept.includes(placeOf(socket)))) await this.releaseAllBut(kept);
  }

  /** Resolves once workers have closed the sockets from which they do not accept, or after `releaseMs`. */
  private async releaseAllBut(kept: readonly ListenPlace[]): Promise<void> {
    const workers = [...this.workers].filter(({ state }) => state !== 'draining');
    for (const worker of workers) worker.release(kept);
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, releaseMs);
    void this.until(() => workers.every(({ state, hasReleased }) => hasReleased || state === 'gone')).then(resolve);
    await promise;
    clearTimeout(timer);
  }

  /** Kills all workers at once. */
  killAll(): void {
    this.stopping = true;
    this.records.close();
    for (const worker of this.workers) worker.kill();
  }

  onReady(worker: WorkerProcess): void {
    this.slotOf(worker)?.onReady();
    this.records.assign();
    this.standIns();
    this.changed();
  }

  onReleased(): void {
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

  onChecked(patterns: readonly string[]): void {
    this.options.onChecked(patterns);
  }

  onRead(worker: WorkerProcess, records: readonly RecordText[]): void {
    this.records.read(worker, records);
  }

  onRecall(worker: WorkerProcess): void {
    this.records.recall(worker);
  }

  onAskGuard(worker: WorkerProcess): void {
    void this.options.guard.judge().then(() => worker.tellJudged());
  }

  /** The buckets of all workers are those of the instance. */
  onUses(worker: WorkerProcess, uses: readonly TokenUse[]): void {
    for (const other of this.workers) if (other !== worker) other.tellUses(uses);
  }

  onAsleep(pattern: string, target: HookTarget): void {
    this.options.platform.asleep(pattern, target);
  }

  onCertificateWanted(name: string, address: string): void {
    this.options.onCertificateWanted(name, address);
  }

  onAwake(pattern: string): void {
    this.options.platform.awake(pattern);
  }

  onUsed(hosts: readonly UsedHost[]): void {
    this.options.platform.used(hosts);
  }

  onOverMemory(worker: WorkerProcess, residentBytes: number): void {
    const { clock, log } = this.options;
    const slot = this.slots.find(({ current }) => current === worker);
    const nowMs = clock.monotonicMs();
    if (slot === undefined || this.stopping || this.isReplacing || nowMs - this.lastMemoryMs < memoryPauseMs) return;
    this.lastMemoryMs = nowMs;
    log.warn('a worker exceeds limits.workerMemoryBytesMax and is replaced', { worker: worker.number, residentBytes });
    void this.exclusively(() => slot.replace('memory'));
  }

  onDrained(worker: WorkerProcess, clean: boolean): void {
    if (!clean) this.unclean++;
    this.options.log.debug('a worker has drained', { worker: worker.number, pid: worker.pid });
  }

  onReport(worker: WorkerProcess, report: WorkerReport): void {
    this.options.observer.reported(worker, report);
  }

  onGone(worker: WorkerProcess, end: WorkerEnd): void {
    this.workers.delete(worker);
    this.options.observer.gone(worker);
    this.slotOf(worker)?.onGone(worker, end);
    this.records.gone(worker);
    this.standIns();
    this.changed();
  }

  spawn(slot: number, plan: Plan): WorkerProcess | null {
    if (this.stopping) return null;
    const place = { index: slot - 1, workers: plan.workers };
    const knowsRecords = this.knows(plan.settings.config);
    const holdsRoutes = knowsRecords && this.options.guard.isHolding;
    const start = {
      ...plan.settings,
      knowsRecords,
      holdsRoutes,
      number: slot,
      sockets: plan.sockets,
      place,
      instances: this.instances,
    };
    const worker = new WorkerProcess(this.options.program, start, plan.descriptors, this.clock.monotonicMs(), this);
    this.workers.add(worker);
    return worker;
  }

  private knows({ driver }: WorkerProcess['config']): boolean {
    return this.records.areKnown(driver);
  }

  until(condition: () => boolean): Promise<void> {
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

  replaceInTurn(slot: WorkerSlot): void {
    void this.exclusively(async () => slot.isBehind && this.slots.includes(slot) && slot.replace('reload'));
  }

  givesUpStart(earlyDeaths: number): boolean {
    if (this.started || this.readyCount > 0 || earlyDeaths < startDeathsMax) return false;
    this.failure ??= {
      code: 'WORKER_FAILED',
      message: 'the workers die at their start; see their messages above',
    };
    return true;
  }

  slotVacant(slot: WorkerSlot): void {
    this.standIn(slot);
  }

  restarted(reason: RestartReason): void {
    this.options.observer.restarted(reason);
    if (reason === 'crash' || reason === 'stuck') return;
    this.standIns();
    this.boundDraining();
  }

  /** The stand-in for a vacant slot may be gone before the slot has a worker again. */
  private standIns(): void {
    for (const slot of this.slots) if (slot.isVacant) this.standIn(slot);
  }

  /** Another worker accepts the connections in the queue of a vacant slot. It continues after the slot is filled. */
  private standIn(slot: WorkerSlot): void {
    if (this.stopping || slot.standIn?.state === 'ready') return;
    const other = this.slots.find((slot) => slot.isReady)?.current ?? null;
    slot.standIn = other;
    other?.adopt({ index: slot.number - 1, workers: this.plan.workers });
  }

  private boundDraining(): void {
    const draining = [...this.workers].filter(({ state }) => state === 'draining');
    for (const worker of draining.slice(0, -drainingPerWorkerMax * this.plan.workers)) {
      this.options.log.warn('too many replaced workers still have active requests; ending the oldest', {
        worker: worker.number,
        pid: worker.pid,
      });
      worker.drain({ forMs: 0, closeCode: 1012 });
    }
  }

  /** Runs one replacement at a time. */
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

  private slotOf(worker: WorkerProcess): WorkerSlot | undefined {
    return this.slots.find((slot) => slot.has(worker));
  }

  private changed(): void {
    for (const look of this.waiting) look();
  }
}

import type { OrderCounters } from '../acme/order-means.ts';
import { type HostDrain, sumDrains } from '../base/host-drain.ts';
import type { QuestionSubject } from '../base/instance-question.ts';
import { residentBytes } from '../base/resident-memory.ts';
import { packageVersion } from '../base/version.ts';
import type { HealthCounters } from '../health/health-checks.ts';
import type { RecoveryCounters } from '../health/recovery.ts';
import type { HookCounters } from '../platform/host-event.ts';
import type { WorkerReport } from '../processes/messages.ts';
import type { SupervisorObserver } from '../processes/supervisor.ts';
import type { WorkerProcess } from '../processes/worker-process.ts';
import type { RestartReason } from '../processes/worker-slot.ts';
import type { KnownRecords } from '../route-cache/known-records.ts';
import { FleetMetrics } from '../telemetry/fleet-metrics.ts';
import { fleetMetrics, namedValues, primaryMetrics, workerMetrics } from '../telemetry/metric-table.ts';
import type { MetricsSource, MetricsText } from '../telemetry/metrics-server.ts';
import type { LoadReading } from './load-history.ts';

/** How long a worker may take to give its numbers, in ms. */
const refreshMs = 1000;

/** The workers of the instance, as far as metrics need them. */
interface MeasuredWorkers {
  readonly readyCount: number;
  readonly wantedCount: number;
  readonly all: readonly Pick<WorkerProcess, 'id' | 'number' | 'state' | 'refresh' | 'ask'>[];
}

/** A worker that serves: its number, and the revision of the store that it has applied. */
interface AppliedWorker {
  readonly number: number;
  readonly revision: number;
}

export interface AppliedState {
  readonly workers: readonly AppliedWorker[];
  /** Of these workers, and of those that they replace. */
  readonly drains: readonly HostDrain[];
}

/** Figures of the requests that the primary makes to backends, to platforms, and to authorities. */
interface ProbingFigures {
  readonly recovery: { readonly counters: Readonly<RecoveryCounters>; readonly size: number };
  readonly health: { readonly counters: Readonly<HealthCounters>; readonly size: number; readonly downCount: number };
  readonly platform: { readonly counters: Readonly<HookCounters> };
  readonly orders: {
    readonly counters: Readonly<OrderCounters>;
    /** Orders that may still be begun in this hour; null if nothing is ordered. */
    readonly left: number | null;
  };
}

/** The metrics of the instance: those of its workers, summed, and those of the primary. */
export class InstanceMetrics implements SupervisorObserver, MetricsSource {
  private readonly fleet: FleetMetrics;
  private readonly restarts: Record<RestartReason, number> = { crash: 0, stuck: 0, memory: 0, reload: 0 };
  private readonly startSeconds: number;
  private readonly probing: ProbingFigures;
  private readonly known: Pick<KnownRecords, 'bytes' | 'size' | 'unverified'>;
  private readonly guard: { readonly isRaised: boolean };
  private readonly snapshot: { readonly unwrittenSeconds: number };
  /** That share the store. */
  instances = 1;
  private supervisor: MeasuredWorkers | null = null;
  /** By the id of a worker. */
  private readonly applying = new Map<number, { readonly revision: number; readonly drains: readonly HostDrain[] }>();

  /** @param hostsMax hosts, and backends, with series of their own. */
  constructor(
    epochMs: number,
    probing: ProbingFigures,
    known: Pick<KnownRecords, 'bytes' | 'size' | 'unverified'>,
    hostsMax = 50,
    guard: { readonly isRaised: boolean } = { isRaised: false },
    snapshot: { readonly unwrittenSeconds: number } = { unwrittenSeconds: 0 },
  ) {
    this.known = known;
    this.guard = guard;
    this.snapshot = snapshot;
    this.fleet = new FleetMetrics(fleetMetrics, hostsMax);
    this.startSeconds = epochMs / 1000;
    this.probing = probing;
  }

  /** From now on its workers are asked. */
  attach(supervisor: MeasuredWorkers): void {
    this.supervisor = supervisor;
  }

  restarted(reason: RestartReason): void {
    this.restarts[reason]++;
  }

  reported(worker: Pick<WorkerProcess, 'id' | 'number'>, { drains, values }: WorkerReport): void {
    // One that is still starting has nothing to tell.
    if (Object.keys(values).length === 0) return;
    this.fleet.update(worker.id, worker.number, values);
    this.applying.set(worker.id, { revision: values[workerMetrics.storeRevision.name] ?? 0, drains });
  }

  gone(worker: Pick<WorkerProcess, 'id'>): void {
    this.fleet.gone(worker.id);
    this.applying.delete(worker.id);
  }

  isHealthy(): boolean {
    const { supervisor } = this;
    return supervisor !== null && supervisor.readyCount >= supervisor.wantedCount;
  }

  /** Asks the workers what each of them has applied. */
  async applied(): Promise<AppliedState> {
    const all = (this.supervisor?.all ?? []).filter(({ state }) => state === 'ready' || state === 'draining');
    await Promise.all(all.map((worker) => worker.refresh(refreshMs)));
    const ready = all.filter(({ state }) => state === 'ready');
    return {
      workers: ready.map(({ id, number }) => ({ number, revision: this.applying.get(id)?.revision ?? 0 })),
      drains: sumDrains(all.flatMap(({ id }) => this.applying.get(id)?.drains ?? [])),
    };
  }

  explain(question: unknown): Promise<readonly unknown[]> {
    return this.ask('explain', question);
  }

  /** The values of the workers' metrics. */
  async reading(): Promise<LoadReading> {
    const states = await this.refresh();
    return { values: this.fleet.sum((id) => states.get(id) ?? 'silent'), primaryBytes: residentBytes() };
  }

  /** Asks every worker that serves. Those that do not answer are left out. */
  async ask(subject: QuestionSubject, question: unknown): Promise<readonly unknown[]> {
    const workers = this.supervisor?.all ?? [];
    const all = await Promise.all(workers.map((worker) => worker.ask(subject, question, refreshMs)));
    return all.filter((answer) => answer !== null);
  }

  async metrics(): Promise<MetricsText> {
    // Loaded only where metrics are asked for.
    const { writePrometheus } = await import('../telemetry/prometheus.ts');
    const states = await this.refresh();
    const workers = (this.supervisor?.all ?? []).filter(({ state }) => state !== 'gone');
    const { buildInfo, workerRestarts, healthChecks, healthTransitions, platformEvents, ...others } = primaryMetrics;
    const { certificateOrders, certificateOrdersLeft, ...plain } = others;
    const { health, orders, platform, recovery } = this.probing;
    return writePrometheus([...Object.values(primaryMetrics), ...fleetMetrics], {
      ...this.fleet.sum((id) => states.get(id) ?? 'silent'),
      ...namedValues(plain, {
        startTimeSeconds: this.startSeconds,
        primaryResidentBytes: residentBytes(),
        workers: this.supervisor?.wantedCount ?? 0,
        workersReady: this.supervisor?.readyCount ?? 0,
        workersDraining: workers.filter(({ state }) => state === 'draining').length,
        workersUnresponsive: workers.filter(({ id }) => !states.has(id)).length,
        fleetInstances: this.instances,
        sharedRecords: this.known.size,
        sharedRecordBytes: this.known.bytes,
        sharedRecordsUnverified: this.known.unverified,
        snapshotUnwrittenSeconds: this.snapshot.unwrittenSeconds,
        wipeGuardRaised: this.guard.isRaised ? 1 : 0,
        backendsProbed: recovery.size,
        recoveryProbes: recovery.counters.probes,
        recoveredBackends: recovery.counters.recovered,
        recoveryMarksDropped: recovery.counters.dropped,
        backendsChecked: health.size,
        backendsFailing: health.downCount,
        healthChecksDropped: health.counters.dropped,
      }),
      [`${buildInfo.name}/${packageVersion()}`]: 1,
      [`${healthChecks.name}/success`]: health.counters.succeeded,
      [`${healthChecks.name}/failure`]: health.counters.failed,
      [`${healthTransitions.name}/down`]: health.counters.turnedDown,
      [`${healthTransitions.name}/up`]: health.counters.turnedUp,
      ...Object.fromEntries(
        Object.entries(platform.counters).map(([key, count]) => [`${platformEvents.name}/${key}`, count]),
      ),
      ...(orders.left === null ? {} : { [certificateOrdersLeft.name]: orders.left }),
      ...Object.fromEntries(
        Object.entries(orders.counters).map(([key, count]) => [`${certificateOrders.name}/${key}`, count]),
      ),
      ...Object.fromEntries(
        Object.entries(this.restarts).map(([reason, count]) => [`${workerRestarts.name}/${reason}`, count]),
      ),
    });
  }

  /** Asks every worker for its values. @returns the states of those that have responded, by their id. */
  private async refresh(): Promise<ReadonlyMap<number, 'serving' | 'draining'>> {
    const states = new Map<number, 'serving' | 'draining'>();
    await Promise.all(
      (this.supervisor?.all ?? []).map(async (worker) => {
        const responded = await worker.refresh(refreshMs);
        if (responded && worker.state !== 'gone')
          states.set(worker.id, worker.state === 'draining' ? 'draining' : 'serving');
      }),
    );
    return states;
  }
}

import { setTimeout as delay } from 'node:timers/promises';
import { HipacheError } from '../base/errors.ts';
import { parseDrains, type ReportedDrains } from '../base/host-drain.ts';
import type { Store, StoredInstance } from '../stores/contract.ts';

/** The part of a store that these operations work on. */
type Instances = Pick<Store, 'instances'>;

/** One worker, and the revision up to which it serves all written routes. */
interface FleetWorker {
  readonly number: number;
  readonly revision: number;
}

/** One instance that shares the store, as it has described itself last. */
export interface FleetInstance {
  readonly instance: string;
  /** The machine. */
  readonly host: string;
  readonly version: string;
  /** ISO 8601, UTC; empty if it is not known. */
  readonly since: string;
  /** How long ago it has written its record, in ms; null if it is not known. */
  readonly heardMs: number | null;
  /** The lowest of its workers; 0 if it is not known. */
  readonly revision: number;
  readonly workers: readonly FleetWorker[];
  /** Null if it is not known, as from an earlier version. */
  readonly draining: ReportedDrains | null;
  /** Whether all of its workers serve everything that was written with Hipache. */
  readonly isCurrent: boolean;
  /** Routes that it serves although the store does not have them any more; 0 if its wipe guard raises no alarm. */
  readonly heldRoutes: number;
}

export interface Fleet {
  /** Of the last write that was made with Hipache. */
  readonly revision: number;
  readonly instances: readonly FleetInstance[];
}

/** A change that every worker of every instance serves. */
export interface LiveChange {
  readonly revision: number;
  readonly instances: number;
  readonly workers: number;
  readonly afterMs: number;
}

/** An instance that has not written its record for so long, which it does every 10 s, may be cut off, in ms. */
export const silentMs = 15_000;
/** Between two looks at the records of the instances, in ms. */
const lookEveryMs = 50;

/** @throws HipacheError STORE_UNSUPPORTED if instances leave no records in the store. */
export async function listFleet({ instances }: Instances, nowMs: number): Promise<Fleet> {
  if (instances === null) throw unsupported();
  // First, so that no instance is behind a write that came after its record was read.
  const revision = await instances.revision();
  const found = (await instances.list()).map((record) => toInstance(record, revision, nowMs));
  return { revision, instances: found.sort((a, b) => (a.instance < b.instance ? -1 : 1)) };
}

/**
 * Waits until every worker of every instance serves everything that has been written so far.
 * @throws HipacheError NOT_LIVE with the instances that do not, STORE_UNSUPPORTED if the store cannot tell.
 */
export async function waitUntilLive({ instances }: Instances, waitMs: number, now: () => number): Promise<LiveChange> {
  if (instances === null) throw unsupported();
  const startMs = performance.now();
  const revision = await instances.revision();
  for (;;) {
    const fleet = (await instances.list()).map((record) => toInstance(record, revision, now()));
    const behind = fleet.filter(({ isCurrent }) => !isCurrent);
    const afterMs = performance.now() - startMs;
    if (behind.length === 0) {
      const workers = fleet.reduce((sum, one) => sum + one.workers.length, 0);
      return { revision, instances: fleet.length, workers, afterMs: Math.round(afterMs) };
    }
    if (afterMs > waitMs) throw notLive(behind, fleet.length, waitMs);
    await delay(lookEveryMs);
  }
}

function toInstance({ instance, fields }: StoredInstance, wanted: number, nowMs: number): FleetInstance {
  const { host = '', version = '', since = '' } = fields;
  const revision = toNumber(fields['revision']);
  const writtenMs = Date.parse(fields['at'] ?? '');
  return {
    instance,
    host,
    version,
    since,
    heardMs: Number.isNaN(writtenMs) ? null : Math.max(0, nowMs - writtenMs),
    revision,
    workers: toWorkers(fields['applied'] ?? ''),
    draining: parseDrains(fields['draining'] ?? ''),
    isCurrent: revision >= wanted,
    heldRoutes: toNumber(fields['held']),
  };
}

/** `1:57 2:56`: the number of a worker, and its revision. */
function toWorkers(text: string): FleetWorker[] {
  return [...text.matchAll(/(\d{1,9}):(\d{1,16})/g)].map(([, number, revision]) => ({
    number: Number(number),
    revision: Number(revision),
  }));
}

function toNumber(text: string | undefined): number {
  const number = Number(text);
  return Number.isSafeInteger(number) && number >= 0 ? number : 0;
}

function notLive(behind: readonly FleetInstance[], all: number, waitMs: number): HipacheError {
  const named = behind.map(
    ({ instance, revision, heardMs }) =>
      `${instance} ${
        heardMs !== null && heardMs > silentMs
          ? `(silent for ${Math.round(heardMs / 1000)} s)`
          : `(serves up to revision ${revision})`
      }`,
  );
  const count = `${behind.length} of ${all} instances`;
  return new HipacheError(
    'NOT_LIVE',
    `the change is made, but after ${waitMs / 1000} s it is not live on ${count}: ${named.join(', ')}`,
  );
}

function unsupported(): HipacheError {
  return new HipacheError(
    'STORE_UNSUPPORTED',
    'this store cannot tell which instances serve a change: it keeps no records of them',
  );
}

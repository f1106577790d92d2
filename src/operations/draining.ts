import { setTimeout as delay } from 'node:timers/promises';
import { HipacheError } from '../base/errors.ts';
import { drainKey, type HostDrain } from '../base/host-drain.ts';
import { backendIdentity, readBackendUrl } from '../routing/backend-url.ts';
import { hasRoute, type RouteChange, type Store } from '../stores/contract.ts';
import { recordVersion } from '../stores/record-version.ts';
import { type ChangeOptions, checkChange, noBackend, type RemovedBackends, removeBackends } from './changing-routes.ts';
import { listFleet } from './fleet.ts';
import type { Operation } from './operation.ts';
import { noRoute } from './routes.ts';

/** The parts of a store that drains work on. */
type DrainedStore = Pick<Store, 'routes' | 'options' | 'notes' | 'capabilities' | 'instances'>;

/** Backends that were removed after what was in progress there had ended. */
export interface DrainedBackends {
  readonly removed: RemovedBackends;
  readonly afterMs: number;
  /** Null if the store cannot tell which instances serve what. */
  readonly fleet: DrainedFleet | null;
}

export interface DrainedFleet {
  readonly instances: number;
  readonly workers: number;
  readonly tunnelsEnded: number;
  readonly requestsEnded: number;
  /** Instances that did not say that they have drained. */
  readonly silent: readonly string[];
}

const drainSecondsMax = 24 * 3600;
/** Attempts to mark backends of a record that other programs change at the same time. */
const attemptsMax = 20;
/** Between two looks at the records of the instances, in ms. */
const lookEveryMs = 50;
/** How long after the end of a drain instances may take to say so, in ms. */
const graceMs = 3000;

/**
 * Lets backends finish what is in progress, gives them nothing new, and removes them.
 * @param seconds after which instances end what is left.
 * @throws HipacheError COMMAND_INVALID, CONFLICT, NOT_FOUND.
 */
export function drainBackends(
  host: string,
  urls: readonly string[],
  seconds: number,
  options: ChangeOptions,
  now: () => number,
): Operation<DrainedStore, DrainedBackends> {
  if (!(seconds > 0 && seconds <= drainSecondsMax)) {
    throw new HipacheError('COMMAND_INVALID', `--drain: allowed 1 to ${drainSecondsMax} seconds`);
  }
  if (urls.length === 0) {
    throw new HipacheError('COMMAND_INVALID', '--drain: name the backends that drain');
  }
  const change = checkChange('remove', host, urls, options);
  return async (store) => {
    const startMs = performance.now();
    const untilMs = Math.round(now() + seconds * 1000);
    await mark(store, change, untilMs);
    const drain = { pattern: change.pattern, urls, untilMs, drainMs: seconds * 1000 };
    const drained = await drainMarked(store, drain, now);
    return { ...drained, afterMs: Math.round(performance.now() - startMs) };
  };
}

/** Backends whose record says until when they drain. */
export interface MarkedDrain {
  readonly pattern: string;
  readonly urls: readonly string[];
  readonly untilMs: number;
  readonly drainMs: number;
}

/**
 * Waits until nothing is in progress at backends that drain, or until that is ended, and removes them.
 * @throws HipacheError CONFLICT.
 */
export async function drainMarked(
  store: DrainedStore,
  drain: MarkedDrain,
  now: () => number,
): Promise<Omit<DrainedBackends, 'afterMs'>> {
  const { drainMs, pattern, untilMs, urls } = drain;
  const fleet = store.instances === null ? null : await untilDrained(store, drain, now);
  if (fleet === null) await delay(drainMs);
  const removed = await removeDrained(store, pattern, urls, untilMs);
  // Without the time of the drain, which is over.
  return { removed: { ...removed, removed: removed.removed.map(backendIdentity) }, fleet };
}

/** Writes into the record until when the backends drain. */
async function mark(
  { routes }: DrainedStore,
  { pattern, urls, ifVersion }: RouteChange,
  untilMs: number,
): Promise<void> {
  const meant = new Set(urls.map(backendIdentity));
  for (let attempt = 1; ; attempt++) {
    const [record = null] = await routes.read([pattern]);
    if (!hasRoute(record)) throw noRoute(pattern);
    const present = record.frontend.filter((url) => typeof url === 'string' && readBackendUrl(url).target !== null);
    const drained = (present as string[]).filter((url) => meant.has(backendIdentity(url)));
    if (drained.length === 0) throw noBackend(pattern, urls);
    const marked = [...new Set(drained.map(backendIdentity))].map((url) => `${url}#drain=${untilMs}`);
    try {
      const version = ifVersion ?? recordVersion(record.frontend);
      await routes.apply([{ kind: 'add', pattern, urls: marked, ifVersion: version }]);
      return;
    } catch (error) {
      const isOvertaken = error instanceof HipacheError && error.code === 'CONFLICT' && ifVersion === undefined;
      if (!isOvertaken || attempt === attemptsMax) throw error;
    }
  }
}

/** Removes the backends that still have the mark: another program may have added them again meanwhile. */
async function removeDrained(
  store: DrainedStore,
  pattern: string,
  urls: readonly string[],
  untilMs: number,
): Promise<RemovedBackends> {
  const meant = new Set(urls.map(backendIdentity));
  for (let attempt = 1; ; attempt++) {
    const [record = null] = await store.routes.read([pattern]);
    if (!hasRoute(record)) throw noRoute(pattern);
    const drained = record.frontend.filter((url) => {
      const { target } = readBackendUrl(url);
      return target !== null && meant.has(target.url) && target.drainUntilMs === untilMs;
    }) as string[];
    if (drained.length === 0) {
      throw new HipacheError('CONFLICT', `${pattern}: the backends were added again while they drained; they stay`);
    }
    try {
      return await removeBackends(pattern, drained, { ifVersion: recordVersion(record.frontend) })(store);
    } catch (error) {
      const isOvertaken = error instanceof HipacheError && error.code === 'CONFLICT';
      if (!isOvertaken || attempt === attemptsMax) throw error;
    }
  }
}

/** Waits until every instance serves the mark, and has nothing in progress at these backends. */
async function untilDrained(store: DrainedStore, drain: MarkedDrain, now: () => number): Promise<DrainedFleet> {
  const endMs = performance.now() + drain.drainMs + graceMs;
  const { revision } = await listFleet(store, now());
  // What an instance has reported of the drain last: it forgets one that is over, and may stop.
  const reported = new Map<string, HostDrain>();
  for (;;) {
    const { instances } = await listFleet(store, now());
    const busy: string[] = [];
    for (const { draining, instance, revision: served } of instances) {
      const mine = draining?.drains.find((one) => drainKey(one) === drainKey(drain));
      if (mine !== undefined) reported.set(instance, mine);
      const inFlight = mine?.inFlight ?? draining?.others ?? 0;
      if (served < revision || inFlight > 0) busy.push(instance);
    }
    if (busy.length === 0 || performance.now() > endMs) {
      const sumOf = (of: 'tunnelsEnded' | 'requestsEnded'): number =>
        [...reported.values()].reduce((sum, { [of]: ended }) => sum + ended, 0);
      return {
        instances: instances.length,
        workers: instances.reduce((sum, { workers }) => sum + workers.length, 0),
        tunnelsEnded: sumOf('tunnelsEnded'),
        requestsEnded: sumOf('requestsEnded'),
        silent: busy,
      };
    }
    await delay(lookEveryMs);
  }
}

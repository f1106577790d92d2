import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { SetTimer } from '../base/timer.ts';
import type { DownMark } from '../routing/backend.ts';
import type { Frontend, RecordProblem } from '../routing/frontend.ts';
import type { MarkCollection, RouteReader } from '../stores/contract.ts';
import type { PolicySource } from './host-policies.ts';
import type { SharedRecords } from './shared-records.ts';

export interface RouteCacheLimits {
  /** Frontends kept. Default 200,000. */
  readonly entriesMax: number;
  /** Their size once they are packed, in bytes. Default 256 MiB. */
  readonly bytesMax: number;
  /** Frontends whose objects are kept. Default 1024. More, if requests use more at the same time. */
  readonly activeEntriesMax: number;
  /** Approximate memory of these objects, in bytes. Default 64 MiB. */
  readonly activeBytesMax: number;
  /** Patterns known to have no record. Default 50,000. */
  readonly negativeEntriesMax: number;
  /** How long a request waits until a known record is verified after a break, in ms. Default 100. */
  readonly verifyWaitMs: number;
  /** How long a request waits for an unknown record, and how long a read may take, in ms. Default 5000. */
  readonly readTimeoutMs: number;
}

export const defaultRouteCacheLimits: RouteCacheLimits = {
  entriesMax: 200_000,
  bytesMax: 256 * 1024 * 1024,
  activeEntriesMax: 1024,
  activeBytesMax: 64 * 1024 * 1024,
  negativeEntriesMax: 50_000,
  verifyWaitMs: 100,
  readTimeoutMs: 5000,
};

/** The collections of a store that the cache uses. */
interface RouteCacheStore {
  readonly routes: RouteReader;
  readonly marks: Pick<MarkCollection, 'write'>;
  readonly whyUnchanged?: string;
}

export interface RouteCacheOptions {
  readonly store: RouteCacheStore;
  /** The id of this instance, as its marks have it. */
  readonly instance: string;
  readonly limits?: Partial<RouteCacheLimits>;
  readonly clock?: Clock;
  readonly setTimer?: SetTimer;
  readonly log?: Pick<Log, 'warn'>;
  /** Called for each mark that this worker sets, before the store has it. */
  readonly onMarked?: (pattern: string, url: string, mark: DownMark) => void;
  /** Called for each record that is read and has backends that drain. */
  readonly onDraining?: (frontend: Frontend) => void;
  /** Called for each frontend that gets its policy from `policies`. */
  readonly onResolved?: (frontend: Frontend) => void;
  /** Called once for each unusable part of a record. */
  readonly onProblem?: (pattern: string, problem: RecordProblem) => void;
  /** Gets the records that are read, and gives those of other workers while the store is away. Default: none. */
  readonly shared?: Pick<SharedRecords, 'fetch' | 'route' | 'routeRead'>;
  /** Asks the wipe guard whether absent routes were removed; `held` gets its verdict. Default: none, and they were. */
  readonly askGuard?: () => void;
  /** Makes policies of options. Default: every host has the policy of the data plane. */
  readonly policies?: PolicySource;
  readonly onInternalError?: OnInternalError;
}

/** Receives an error of this program; by default, it is thrown outside, and ends the process. */
export type OnInternalError = (where: string, error: Error) => void;

export function throwInternalError(_where: string, error: Error): void {
  queueMicrotask(() => {
    throw error;
  });
}

/** Totals since the start, for metrics. */
export interface RouteCacheCounters {
  /** Requests whose route was in memory. */
  hits: number;
  /** Requests that had to ask the store. */
  misses: number;
  /** Patterns read for requests. */
  loads: number;
  /** Patterns read again because they changed. */
  refreshes: number;
  /** Patterns whose reading failed. */
  storeErrors: number;
  /** Marks that the store did not accept. */
  markErrors: number;
}

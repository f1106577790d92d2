import type { InheritedSocket, WorkerSettings } from './messages.ts';

/** The desired number of workers and their settings. */
export interface Plan {
  readonly workers: number;
  readonly settings: WorkerSettings;
  readonly sockets: readonly InheritedSocket[];
  /** This process's descriptors for `sockets`, in the same order. */
  readonly descriptors: readonly number[];
  /** How long the tunnels of a replaced worker may take to end, in ms. */
  readonly drainMs: number;
  /** How long a worker may leave heartbeats unanswered, in ms. */
  readonly stuckMs: number;
}

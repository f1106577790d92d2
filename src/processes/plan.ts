import type { InheritedSocket, WorkerSettings } from './messages.ts';

/** How many workers there are to be, and with which settings. */
export interface Plan {
  readonly workers: number;
  readonly settings: WorkerSettings;
  readonly sockets: readonly InheritedSocket[];
  /** The descriptors behind `sockets`, of this process, in their order. */
  readonly descriptors: readonly number[];
  /** Sockets of each address. */
  readonly sharesPerAddress: number;
  /** How long the tunnels of a worker that is replaced may take to end, in ms. */
  readonly drainMs: number;
  /** How long a worker may leave heartbeats unanswered, in ms. */
  readonly stuckMs: number;
}

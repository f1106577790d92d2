import type { ExplainedChoice, ExplainedHold } from './explained-choice.ts';

/** A request as the instance that is asked about it has to see it. */
export interface LiveQuestion {
  /** Normalised. */
  readonly host: string;
  readonly path: string;
  readonly method: string;
  /** An IP address. */
  readonly client: string;
  readonly https: boolean;
  readonly fields: readonly (readonly [name: string, value: string])[];
}

/** The state of a host in one worker. */
export interface LiveExplanation {
  readonly worker: number;
  /** Null if the worker has no route for the request. */
  readonly matched: string | null;
  /** Whether the store reports changes to this worker, so that what it serves is current. */
  readonly isConnected: boolean;
  readonly requests: number;
  readonly requestsMax: number;
  readonly tunnels: number;
  readonly tunnelsMax: number;
  /** Requests that wait for a backend or a place. */
  readonly waiting: number;
  /** Requests that the client may make at once, by its rate; null without one. */
  readonly tokens: number | null;
  /** Null if the request goes on. */
  readonly held: ExplainedHold | null;
  readonly chosen: ExplainedChoice | null;
  readonly backends: readonly LiveBackend[];
}

interface LiveBackend {
  readonly url: string;
  /** Requests and tunnels of this host there. */
  readonly inFlight: number;
  /** The reason of its dead mark; null for none. */
  readonly dead: string | null;
}

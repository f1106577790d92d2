import type { RequestView } from '../http/message.ts';
import type { Backend } from './backend.ts';
import { chooseBackend, type Draw } from './choice.ts';
import type { BackendGroup } from './frontend.ts';

/** The request that a backend is chosen for. */
export interface Asked {
  readonly request: RequestView;
  /** As logs show it. Found when it is read, since a trusted peer's fields have to be read for it. */
  readonly clientAddress: string;
}

/** Chooses the backend of a request. One object serves all hosts with the same options. */
export interface Selector {
  /** How it chooses, for people: it follows "chosen". */
  readonly by: string;
  /** Whether the same request gets the same backend, as long as none has much more to do than others. */
  readonly isRepeatable: boolean;
  /**
   * The next backend to try; null if none remains (`hasRemaining`). Called once for each attempt.
   * @param tried backends to which this request has been sent; null for none.
   * @param nowMs epoch milliseconds, for dead marks.
   */
  choose(group: BackendGroup, asked: Asked, tried: readonly Backend[] | null, nowMs: number): Backend | null;
}

/**
 * Of two backends drawn at random in proportion to their weights, chooses the one with fewer requests in flight per
 * weight.
 */
export class TwoRandomChoices implements Selector {
  readonly by = 'of two at random, the one with fewer requests in progress';
  readonly isRepeatable = false;
  private readonly draw: Draw;

  /** @param random from 0 up to but not including 1. @param slowStartMs see `weightAt`. */
  constructor(random: () => number, slowStartMs = 0) {
    this.draw = { random, slowStartMs };
  }

  choose(group: BackendGroup, _asked: Asked, tried: readonly Backend[] | null, nowMs: number): Backend | null {
    return chooseBackend(group, nowMs, this.draw, tried);
  }
}

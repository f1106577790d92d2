import type { RequestView } from '../http/message.ts';
import type { Backend } from './backend.ts';
import { chooseBackend } from './choice.ts';
import type { Frontend } from './frontend.ts';

/** Chooses the backend of a request. */
export interface Selector {
  /**
   * The next backend to try; null if none remains. Must have no side effects, because it is also called to check
   * whether one remains.
   * @param tried backends to which this request has been sent; null for none.
   * @param nowMs epoch milliseconds, for dead marks.
   */
  choose(frontend: Frontend, request: RequestView, tried: readonly Backend[] | null, nowMs: number): Backend | null;
}

/**
 * Of two backends drawn at random in proportion to their weights, chooses the one with fewer requests in flight per
 * weight.
 */
export class TwoRandomChoices implements Selector {
  private readonly random: () => number;

  /** @param random from 0 up to but not including 1. */
  constructor(random: () => number) {
    this.random = random;
  }

  choose(frontend: Frontend, _request: RequestView, tried: readonly Backend[] | null, nowMs: number): Backend | null {
    return chooseBackend(frontend, nowMs, this.random, tried);
  }
}

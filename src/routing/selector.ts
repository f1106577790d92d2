import type { RequestView } from '../http/message.ts';
import type { Backend } from './backend.ts';
import { chooseBackend } from './choice.ts';
import type { Frontend } from './frontend.ts';

/** Chooses the backend of a request. */
export interface Selector {
  /**
   * The backend to try next, null if none is left. Has no side effects: it is also asked whether there is one.
   * @param tried backends that this request was sent to already, null for none.
   * @param nowMs epoch milliseconds, for dead marks.
   */
  choose(frontend: Frontend, request: RequestView, tried: readonly Backend[] | null, nowMs: number): Backend | null;
}

/** Of two backends drawn at random in proportion to their weights, the one with fewer requests in flight. */
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

import type { HostPolicy } from '../policy/host-policy.ts';
import type { Backend } from '../routing/backend.ts';
import { hasFree } from '../routing/choice.ts';
import type { Frontend } from '../routing/frontend.ts';
import type { ProxyContext } from './context.ts';
import { type WaitingExchange, WaitingRoom, waitRefusal } from './waiting-room.ts';

/**
 * Whether a request must wait before it goes on to a backend, for hosts that let requests wait. It then waits already, or has
 * been refused, or goes on by itself.
 */
export function waitsAtDoor(
  exchange: WaitingExchange,
  frontend: Frontend,
  policy: HostPolicy,
  context: ProxyContext,
): boolean {
  if (exchange.place?.isGoing === true) return false;
  const { load } = frontend;
  const isAsleep = policy.hold !== null && (policy.isPaused || !hasFree(frontend, context.clock.epochMs()));
  // Nobody overtakes those that wait.
  const isFull = load.waiting !== null || (policy.queue !== null && load.inFlight >= policy.requestsMax);
  if (!isAsleep && !isFull) return false;
  const byHold = policy.hold !== null && (isAsleep || load.waiting !== null);
  enterRoom(exchange, frontend, byHold, !isAsleep, context)?.pump();
  return true;
}

/** A request that has found no backend waits for one. @param backend the last one; null if there was none to try. */
export function returnsToRoom(
  exchange: WaitingExchange,
  frontend: Frontend,
  backend: Backend | null,
  context: ProxyContext,
): void {
  const { place } = exchange;
  if (place?.isPilot === true) place.room.failed(place, backend);
  else enterRoom(exchange, frontend, true, false, context)?.fallAsleep();
}

/** @returns the room in which the request waits now; null if it was refused. */
function enterRoom(
  exchange: WaitingExchange,
  frontend: Frontend,
  byHold: boolean,
  isOpen: boolean,
  context: ProxyContext,
): WaitingRoom | null {
  const { load } = frontend;
  const room = load.waiting instanceof WaitingRoom ? load.waiting : new WaitingRoom(context, frontend, isOpen);
  const refusal = room.enter(exchange, byHold);
  if (refusal === '') {
    load.waiting = room;
    return room;
  }
  exchange.giveUp(waitRefusal(byHold, `${frontend.pattern}: ${refusal}`));
  return null;
}

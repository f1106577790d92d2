import { FieldLines } from '../http/field-lines.ts';
import { isIdempotent } from '../http/methods.ts';
import type { Refusal } from '../policy/admission.ts';
import type { HostPolicy } from '../policy/host-policy.ts';
import { isFree } from '../routing/choice.ts';
import { type Frontend, servingBackends, type WaitingRequests } from '../routing/frontend.ts';
import type { ProxyContext } from './context.ts';

/** A request that may have to wait. */
export interface WaitingExchange {
  readonly method: string;
  readonly requestComplete: boolean;
  /** Bytes of its body that are kept. */
  readonly keptBytes: number;
  /** Its place in a room, also while it tries to go on; null if it has never waited. */
  place: WaitingPlace | null;
  /** It may go on: a backend is there, or it finds out whether one is. */
  goOn(): void;
  /** It has waited too long, too many wait, or the host has no route any more. */
  giveUp(refusal: Refusal): void;
}

/** The place of a request that waits, or has waited. */
export class WaitingPlace {
  readonly exchange: WaitingExchange;
  readonly room: WaitingRoom;
  /** Monotonic ms at which the request began to wait, in whichever room. */
  readonly sinceMs: number;
  /** Monotonic ms. */
  untilMs = 0;
  /** Bytes of its body that are kept. */
  bytes = 0;
  /** Whether it goes on to a backend now, or has gone. */
  isGoing = false;

  constructor(exchange: WaitingExchange, room: WaitingRoom, sinceMs: number) {
    this.exchange = exchange;
    this.room = room;
    this.sinceMs = sinceMs;
  }

  /** Whether it tries for all others whether a backend is there. */
  get isPilot(): boolean {
    return this.room.pilot === this;
  }
}

/** Between two attempts at a backend that does not listen, in ms, at least: a local one is noticed within that. */
const pilotPauseMs = 20;
/** The same for each room that makes them, so that many sleeping hosts cost no more than 1,000 attempts a second. */
const pilotPausePerRoomMs = 1;
/** How often a room looks for requests that have waited too long, in ms. */
const lookEveryMs = 250;
/** The same if requests go on at a pace. */
const paceEveryMs = 20;
/** How often the platform hears that requests wait still, in ms. */
const wakeEveryMs = 5000;
/** Requests that are looked at to find one that can be sent again if it fails. */
const pilotsMax = 32;

/** `Retry-After` of requests that have waited for a backend, and of those that have waited for a place. */
const asleepRetrySeconds = 10;
const fullRetrySeconds = 1;

/** The part of a worker that its rooms have in common. */
export interface Rooms {
  /** Rooms in which requests wait. */
  count: number;
}

/**
 * Requests of one frontend that wait: while no backend is there, or for a place among those in progress. The first ones go on
 * first. While the host sleeps, one of them, the pilot, tries whether a backend accepts a connection; once one does, or has been
 * seen to, the room is open, and the others follow as fast as there is room for them.
 */
export class WaitingRoom implements WaitingRequests {
  pilot: WaitingPlace | null = null;
  private readonly context: ProxyContext;
  private frontend: Frontend;
  private readonly places = new Set<WaitingPlace>();
  private bytes = 0;
  private isOpen: boolean;
  private isPumping = false;
  private isClosed = false;
  private timer: NodeJS.Timeout | undefined;
  /** Monotonic ms. */
  private pilotAtMs = 0;
  private lookAtMs = 0;
  private wakeAtMs = 0;
  private paceMs: number;
  private paceTokens = 1;

  /** @param isOpen whether a backend is there, so that requests wait for a place alone. */
  constructor(context: ProxyContext, frontend: Frontend, isOpen: boolean) {
    this.context = context;
    this.frontend = frontend;
    this.isOpen = isOpen;
    this.paceMs = context.clock.monotonicMs();
    context.rooms.count++;
  }

  get size(): number {
    return this.places.size;
  }

  /** Whether requests wait for a backend. */
  get isAsleep(): boolean {
    return !this.isOpen;
  }

  /** Takes a request in. @returns why not; empty if it waits now. */
  enter(exchange: WaitingExchange, isAsleep: boolean): string {
    const { policy } = this;
    const limits = isAsleep ? policy.hold : policy.queue;
    const bytesMax = isAsleep ? (policy.hold?.bytesMax ?? 0) : Number.POSITIVE_INFINITY;
    const refusal =
      limits === null
        ? 'requests do not wait any more'
        : this.places.size >= limits.requestsMax
          ? `${this.places.size} requests wait`
          : this.bytes + exchange.keptBytes > bytesMax
            ? `bodies of ${this.bytes} bytes wait`
            : '';
    if (limits === null || refusal !== '') {
      this.closeIfEmpty();
      return refusal;
    }
    const nowMs = this.context.clock.monotonicMs();
    let { place } = exchange;
    if (place?.room !== this) {
      place = new WaitingPlace(exchange, this, place?.sinceMs ?? nowMs);
      exchange.place = place;
    }
    place.untilMs = place.sinceMs + limits.forMs;
    place.bytes = exchange.keptBytes;
    place.isGoing = false;
    this.bytes += place.bytes;
    this.places.add(place);
    this.context.counters.requestsWaiting++;
    if (isAsleep && this.isOpen) this.fallAsleep();
    if (!this.isOpen) this.report(nowMs);
    this.schedule();
    return '';
  }

  /** The request of a place has ended, or goes on for good. */
  leave(place: WaitingPlace): void {
    if (this.pilot === place) {
      this.pilot = null;
      if (this.places.size > 1) this.schedule();
    }
    this.remove(place);
    this.closeIfEmpty();
  }

  /** The pilot has a connection to a backend. */
  connected(place: WaitingPlace): void {
    if (this.pilot !== place) return;
    this.pilot = null;
    this.remove(place);
    this.open();
  }

  /** The pilot, which waits on, has found no backend. */
  failed(place: WaitingPlace): void {
    if (this.pilot !== place) return;
    this.pilot = null;
    place.isGoing = false;
    const { clock, rooms } = this.context;
    this.pilotAtMs = clock.monotonicMs() + Math.max(pilotPauseMs, rooms.count * pilotPausePerRoomMs);
    this.schedule();
  }

  placeFreed(): void {
    if (this.isOpen && !this.isPumping) this.pump();
  }

  changed(frontend: Frontend): void {
    this.frontend = frontend;
    // The route cache gives the frontend to others after this call.
    queueMicrotask(() => {
      if (this.isClosed) return;
      this.pilotAtMs = 0;
      if (this.policy.hold === null) this.open();
      else this.tick();
    });
  }

  gone(): void {
    queueMicrotask(() =>
      this.giveUpAll({ code: 'ROUTE_NOT_FOUND', status: 400, detail: this.frontend.pattern, fields: null }),
    );
  }

  private get policy(): HostPolicy {
    return this.frontend.policy ?? this.context.policy;
  }

  private open(): void {
    this.isOpen = true;
    if (this.wakeAtMs > 0) this.context.onAwake(this.frontend.pattern);
    this.wakeAtMs = 0;
    this.paceMs = this.context.clock.monotonicMs();
    this.paceTokens = 1;
    this.pump();
    this.schedule();
  }

  /** A backend that was there is not any more. */
  private fallAsleep(): void {
    this.isOpen = false;
    this.pilotAtMs = this.context.clock.monotonicMs() + pilotPauseMs;
  }

  /** Lets requests go on as long as there is room for them. */
  private pump(): void {
    if (this.isPumping) return;
    this.isPumping = true;
    try {
      for (const place of this.places) {
        if (!this.isOpen || !this.hasRoom() || !this.takePace()) break;
        this.remove(place);
        place.isGoing = true;
        place.exchange.goOn();
      }
    } finally {
      this.isPumping = false;
    }
    this.closeIfEmpty();
  }

  /** Whether one more request gets a connection without waiting for that again. */
  private hasRoom(): boolean {
    const { load } = this.frontend;
    const backends = Math.max(1, servingBackends(this.frontend).length);
    return load.inFlight < Math.min(this.policy.requestsMax, this.context.settings.backendConnectionsMax * backends);
  }

  private takePace(): boolean {
    const perSecond = this.policy.hold?.releasePerSecond ?? Number.POSITIVE_INFINITY;
    if (perSecond === Number.POSITIVE_INFINITY) return true;
    const nowMs = this.context.clock.monotonicMs();
    this.paceTokens = Math.min(perSecond, this.paceTokens + ((nowMs - this.paceMs) / 1000) * perSecond);
    this.paceMs = nowMs;
    if (this.paceTokens < 1) return false;
    this.paceTokens--;
    return true;
  }

  private tick(): void {
    const nowMs = this.context.clock.monotonicMs();
    if (nowMs >= this.lookAtMs) {
      this.lookAtMs = nowMs + lookEveryMs;
      for (const place of this.places) if (place.untilMs <= nowMs && place !== this.pilot) this.expire(place);
    }
    if (this.isClosed) return;
    if (this.isOpen) this.pump();
    else {
      this.report(nowMs);
      if (this.mayPilot && nowMs >= this.pilotAtMs) this.sendPilot();
    }
    this.schedule();
  }

  /** Whether a backend might be there. */
  private get mayPilot(): boolean {
    return this.pilot === null && !this.policy.isPaused && servingBackends(this.frontend).length > 0;
  }

  private sendPilot(): void {
    const pilot = this.choosePilot();
    if (pilot === null) return;
    this.pilot = pilot;
    pilot.isGoing = true;
    pilot.exchange.goOn();
  }

  /** The first one; if possible one that waits for nothing of its client, and can be sent again if its connection fails. */
  private choosePilot(): WaitingPlace | null {
    let first: WaitingPlace | null = null;
    let left = pilotsMax;
    for (const place of this.places) {
      const { method, requestComplete } = place.exchange;
      first ??= place;
      if (requestComplete && isIdempotent(method)) return place;
      if (--left === 0) break;
    }
    return first;
  }

  private report(nowMs: number): void {
    const { isPaused, wake } = this.policy;
    if (wake === null || isPaused || nowMs < this.wakeAtMs) return;
    this.wakeAtMs = nowMs + wakeEveryMs;
    this.context.onAsleep(this.frontend.pattern, wake);
  }

  private expire(place: WaitingPlace): void {
    this.remove(place);
    const { pattern } = this.frontend;
    const detail = this.isOpen ? `${pattern}: no place became free in time` : pattern;
    place.exchange.giveUp(waitRefusal(!this.isOpen, detail));
    this.closeIfEmpty();
  }

  private giveUpAll(refusal: Refusal): void {
    for (const place of this.places) {
      this.remove(place);
      place.exchange.giveUp(refusal);
    }
    this.closeIfEmpty();
  }

  private remove(place: WaitingPlace): void {
    if (!this.places.delete(place)) return;
    this.bytes -= place.bytes;
    this.context.counters.requestsWaiting--;
  }

  private closeIfEmpty(): void {
    if (this.places.size > 0 || this.isClosed || this.isPumping) return;
    this.isClosed = true;
    clearTimeout(this.timer);
    this.context.rooms.count--;
    if (this.frontend.load.waiting === this) this.frontend.load.waiting = null;
  }

  private schedule(): void {
    clearTimeout(this.timer);
    if (this.isClosed) return;
    const nowMs = this.context.clock.monotonicMs();
    let delayMs = Math.max(0, this.lookAtMs - nowMs);
    if (this.isOpen && this.policy.hold !== null) delayMs = Math.min(delayMs, paceEveryMs);
    if (!this.isOpen && this.mayPilot) delayMs = Math.min(delayMs, Math.max(0, this.pilotAtMs - nowMs));
    this.timer = setTimeout(() => this.tick(), delayMs);
  }
}

/**
 * Whether a request must wait before it goes on to a backend, for hosts that let requests wait. It then waits already, or has
 * been refused.
 */
export function waitsAtDoor(
  exchange: WaitingExchange,
  frontend: Frontend,
  policy: HostPolicy,
  context: ProxyContext,
): boolean {
  if (exchange.place?.isGoing === true) return false;
  const { load } = frontend;
  const isAsleep =
    policy.hold !== null &&
    (policy.isPaused || roomOf(frontend)?.isAsleep === true || !hasFree(frontend, context.clock.epochMs()));
  const isFull = policy.queue !== null && (load.waiting !== null || load.inFlight >= policy.requestsMax);
  if (!isAsleep && !isFull) return false;
  enterRoom(exchange, frontend, isAsleep, context);
  return true;
}

/** A request whose last attempt has failed waits for a backend. It then waits already, or has been refused. */
export function returnsToRoom(exchange: WaitingExchange, frontend: Frontend, context: ProxyContext): void {
  const { place } = exchange;
  if (place?.isPilot === true) place.room.failed(place);
  else enterRoom(exchange, frontend, true, context);
}

function enterRoom(exchange: WaitingExchange, frontend: Frontend, isAsleep: boolean, context: ProxyContext): void {
  const room = roomOf(frontend) ?? new WaitingRoom(context, frontend, !isAsleep);
  const refusal = room.enter(exchange, isAsleep);
  if (refusal === '') frontend.load.waiting = room;
  else exchange.giveUp(waitRefusal(isAsleep, `${frontend.pattern}: ${refusal}`));
}

function waitRefusal(isAsleep: boolean, detail: string): Refusal {
  const fields = new FieldLines();
  fields.add('retry-after', String(isAsleep ? asleepRetrySeconds : fullRetrySeconds));
  return { code: isAsleep ? 'HOST_ASLEEP' : 'OVERLOADED', status: 503, detail, fields };
}

function roomOf({ load }: Frontend): WaitingRoom | null {
  return load.waiting instanceof WaitingRoom ? load.waiting : null;
}

function hasFree(frontend: Frontend, nowMs: number): boolean {
  const { backends, canary } = frontend;
  for (let i = 0; i < backends.length; i++)
    if (isFree(backends[i] as (typeof backends)[number], nowMs, null)) return true;
  return canary?.backends.some((backend) => isFree(backend, nowMs, null)) === true;
}

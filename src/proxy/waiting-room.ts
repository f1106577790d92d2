import { FieldLines } from '../http/field-lines.ts';
import { isIdempotent } from '../http/methods.ts';
import type { Refusal } from '../policy/admission.ts';
import type { HostPolicy } from '../policy/host-policy.ts';
import type { Backend } from '../routing/backend.ts';
import { hasRemaining } from '../routing/choice.ts';
import { type Frontend, servingBackends, type WaitingRequests } from '../routing/frontend.ts';
import type { ProxyContext } from './context.ts';
import { Pace } from './pace.ts';

/** A request that may have to wait. */
export interface WaitingExchange {
  readonly method: string;
  readonly requestComplete: boolean;
  /** Whether a backend can be asked without waiting for more of its body. */
  readonly hasFirstBlock: boolean;
  /** Bytes of its body that are kept. */
  readonly keptBytes: number;
  /** Its place in a room, also while it tries to go on; null if it has never waited. */
  place: WaitingPlace | null;
  /** Backends that it is not to be sent to; null for none. */
  tried: Backend[] | null;
  /** It waits from now on: its client is not read from. */
  pause(): void;
  /** It may go on: a backend is there, or it finds out whether one is. */
  goOn(): void;
  /** It stops to look for a backend, and waits again. @returns false if one has its request already. */
  comeBack(): boolean;
  /** It has waited too long, too many wait, or the host has no route any more. */
  giveUp(refusal: Refusal): void;
  onInternalError(error: Error): void;
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
  /** Whether it goes, and its frontend does not count it yet: its rules may take their time. */
  isPending = false;

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
/** Requests that are looked at to find the best pilot. */
const pilotsMax = 1000;
/** How long a pilot may wait for its own body before another one tries, in ms. */
const pilotBodyMs = 1000;
/** `Retry-After` of requests that have waited for a backend. */
const asleepRetrySeconds = 10;

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
  /** Requests that go on, and are not counted as in flight yet. */
  private pending = 0;
  private isOpen: boolean;
  private isPumping = false;
  private isClosed = false;
  private timer: NodeJS.Timeout | undefined;
  /** Backends that pilots have found closed, until all were tried. */
  private tried: Backend[] = [];
  /** Monotonic ms. */
  private pilotAtMs = 0;
  private pilotSinceMs = 0;
  private lookAtMs = 0;
  private wakeAtMs = 0;
  private readonly pace: Pace;

  /** @param isOpen whether a backend is there, so that requests wait for a place alone. */
  constructor(context: ProxyContext, frontend: Frontend, isOpen: boolean) {
    this.context = context;
    this.frontend = frontend;
    this.isOpen = isOpen;
    this.pace = new Pace(context.clock);
    context.rooms.count++;
  }

  get size(): number {
    return this.places.size;
  }

  /** Takes a request in. @param byHold whether the limits of `hold` apply, not those of the queue. @returns why not; or empty. */
  enter(exchange: WaitingExchange, byHold: boolean): string {
    const { hold, queue } = this.policy;
    const limits = byHold ? hold : queue;
    if (limits === null) return this.refuse('requests do not wait any more');
    const known = exchange.place?.room === this ? exchange.place : null;
    if (known !== null) this.settle(known);
    if (known !== null && this.places.has(known)) {
      known.isGoing = false;
      return '';
    }
    if (this.places.size >= limits.requestsMax) return this.refuse(`${this.places.size} requests wait`);
    const bytesMax = byHold ? (hold?.bytesMax ?? 0) : Number.POSITIVE_INFINITY;
    if (this.bytes + exchange.keptBytes > bytesMax) return this.refuse(`bodies of ${this.bytes} bytes wait`);
    const nowMs = this.context.clock.monotonicMs();
    const place = known ?? new WaitingPlace(exchange, this, exchange.place?.sinceMs ?? nowMs);
    exchange.place = place;
    place.untilMs = place.sinceMs + limits.forMs;
    place.bytes = exchange.keptBytes;
    place.isGoing = false;
    this.bytes += place.bytes;
    this.places.add(place);
    this.context.counters.requestsWaiting++;
    exchange.pause();
    if (!this.isOpen) this.report(nowMs);
    this.schedule();
    return '';
  }

  /** The frontend counts the request of a place as in flight. */
  admitted(place: WaitingPlace): void {
    this.settle(place);
  }

  /** The request of a place has ended. */
  leave(place: WaitingPlace): void {
    this.settle(place);
    this.remove(place);
    if (this.pilot === place) {
      this.pilot = null;
      this.schedule();
    }
    this.closeIfEmpty();
  }

  /** The pilot has a connection to a backend. */
  connected(place: WaitingPlace): void {
    if (this.pilot !== place) return;
    this.pilot = null;
    this.remove(place);
    this.open();
    this.closeIfEmpty();
  }

  /** The pilot, which waits on, has found no backend. @param backend null if there was none to try. */
  failed(place: WaitingPlace, backend: Backend | null): void {
    if (this.pilot !== place) return;
    if (backend !== null) this.tried.push(backend);
    if (!hasRemaining(this.frontend, this.tried)) this.tried = [];
    const { clock, rooms } = this.context;
    this.pilotAtMs = clock.monotonicMs() + Math.max(pilotPauseMs, rooms.count * pilotPausePerRoomMs);
    this.sitDown(place);
    this.schedule();
  }

  /** A backend that was there is not any more. */
  fallAsleep(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.pilotAtMs = this.context.clock.monotonicMs() + pilotPauseMs;
    this.schedule();
  }

  placeFreed(): void {
    this.pump();
  }

  changed(frontend: Frontend): void {
    this.frontend = frontend;
    // The route cache gives the frontend to others after this call.
    queueMicrotask(() => {
      if (this.isClosed) return;
      this.tried = [];
      this.pilotAtMs = 0;
      const { pilot } = this;
      // It may hang at a backend that is not the one any more.
      if (pilot?.exchange.comeBack() === true) this.sitDown(pilot);
      if (this.policy.isPaused) this.isOpen = false;
      if (this.policy.hold === null) this.open();
      else this.tick();
    });
  }

  gone(): void {
    const refusal = { code: 'ROUTE_NOT_FOUND', status: 400, detail: this.frontend.pattern, fields: null } as const;
    queueMicrotask(() => this.giveUpAll(refusal));
  }

  /** Lets requests go on as long as there is room for them. */
  pump(): void {
    if (this.isPumping || !this.isOpen || this.isClosed) return;
    this.isPumping = true;
    for (const place of this.places) {
      if (!this.isOpen || this.policy.isPaused || !this.hasRoom()) break;
      if (!this.pace.take(this.policy.hold?.releasePerSecond ?? Number.POSITIVE_INFINITY)) break;
      this.remove(place);
      this.send(place);
    }
    this.isPumping = false;
    this.closeIfEmpty();
  }

  private get policy(): HostPolicy {
    return this.frontend.policy ?? this.context.policy;
  }

  private refuse(why: string): string {
    this.closeIfEmpty();
    return why;
  }

  private open(): void {
    if (this.policy.isPaused) return;
    this.isOpen = true;
    this.tried = [];
    if (this.wakeAtMs > 0) this.context.onAwake(this.frontend.pattern);
    this.wakeAtMs = 0;
    this.pace.begin();
    this.pump();
    this.schedule();
  }

  /** Lets a request go on. Whatever goes wrong with it is its own. */
  private send(place: WaitingPlace): void {
    place.isGoing = true;
    place.isPending = true;
    this.pending++;
    try {
      place.exchange.goOn();
    } catch (error) {
      place.exchange.onInternalError(error as Error);
    }
  }

  private settle(place: WaitingPlace): void {
    if (!place.isPending) return;
    place.isPending = false;
    this.pending--;
  }

  /** The pilot is one of those that wait again. */
  private sitDown(place: WaitingPlace): void {
    if (this.pilot === place) this.pilot = null;
    this.settle(place);
    place.isGoing = false;
    // It may have read a first block of its body.
    this.bytes += place.exchange.keptBytes - place.bytes;
    place.bytes = place.exchange.keptBytes;
  }

  /** Whether one more request may be in flight; after a sleep, with a connection that it need not wait for again. */
  private hasRoom(): boolean {
    const { context, frontend, pending, policy } = this;
    if (frontend.load.inFlight + pending >= policy.requestsMax) return false;
    if (policy.hold === null) return true;
    const backends = servingBackends(frontend);
    const inFlight = backends.reduce((sum, backend) => sum + backend.inFlight, pending);
    return inFlight < context.settings.backendConnectionsMax * Math.max(1, backends.length);
  }

  private tick(): void {
    const nowMs = this.context.clock.monotonicMs();
    if (nowMs >= this.lookAtMs) {
      this.lookAtMs = nowMs + lookEveryMs;
      for (const place of this.places) if (place.untilMs <= nowMs) this.expire(place);
    }
    if (this.isClosed) return;
    if (this.isOpen) this.pump();
    else {
      this.report(nowMs);
      this.tryPilot(nowMs);
    }
    this.schedule();
  }

  private tryPilot(nowMs: number): void {
    const { pilot } = this;
    if (pilot !== null && !pilot.exchange.hasFirstBlock && nowMs - this.pilotSinceMs > pilotBodyMs) {
      // Its client is slow: the next one tries.
      if (pilot.exchange.comeBack()) this.sitDown(pilot);
      this.places.delete(pilot);
      this.places.add(pilot);
    }
    if (!this.mayPilot || nowMs < this.pilotAtMs || !this.hasRoom()) return;
    const next = this.choosePilot();
    if (next === null) return;
    this.pilot = next;
    this.pilotSinceMs = nowMs;
    next.exchange.tried = this.tried.length === 0 ? null : [...this.tried];
    this.send(next);
  }

  /** Whether a backend might be there. */
  private get mayPilot(): boolean {
    return this.pilot === null && !this.policy.isPaused && servingBackends(this.frontend).length > 0;
  }

  /** The first one; if possible one that waits for nothing of its client, and can be sent again if its connection fails. */
  private choosePilot(): WaitingPlace | null {
    let complete: WaitingPlace | null = null;
    let ready: WaitingPlace | null = null;
    let left = pilotsMax;
    for (const place of this.places) {
      const { hasFirstBlock, method, requestComplete } = place.exchange;
      if (requestComplete && isIdempotent(method)) return place;
      if (requestComplete) complete ??= place;
      if (hasFirstBlock) ready ??= place;
      if (--left === 0) break;
    }
    const [first = null] = this.places;
    return complete ?? ready ?? first;
  }

  private report(nowMs: number): void {
    const { isPaused, wake } = this.policy;
    if (wake === null || isPaused || nowMs < this.wakeAtMs) return;
    this.wakeAtMs = nowMs + wakeEveryMs;
    this.context.onAsleep(this.frontend.pattern, wake);
  }

  private expire(place: WaitingPlace): void {
    const { pattern } = this.frontend;
    const detail = this.isOpen ? `${pattern}: no place became free in time` : pattern;
    this.dismiss(place, waitRefusal(!this.isOpen, detail));
  }

  private giveUpAll(refusal: Refusal): void {
    this.isPumping = true;
    for (const place of this.places) this.dismiss(place, refusal);
    this.isPumping = false;
    this.closeIfEmpty();
  }

  private dismiss(place: WaitingPlace, refusal: Refusal): void {
    this.remove(place);
    try {
      place.exchange.giveUp(refusal);
    } catch (error) {
      place.exchange.onInternalError(error as Error);
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
    if (!this.isOpen && this.mayPilot) {
      const pilotInMs = Math.max(this.hasRoom() ? 0 : paceEveryMs, this.pilotAtMs - nowMs);
      delayMs = Math.min(delayMs, pilotInMs);
    }
    this.timer = setTimeout(() => this.tick(), delayMs);
  }
}

/** The reply to a request that has waited too long, or may not wait. */
export function waitRefusal(isAsleep: boolean, detail: string): Refusal {
  if (!isAsleep) return { code: 'OVERLOADED', status: 503, detail, fields: null };
  const fields = new FieldLines();
  fields.add('retry-after', String(asleepRetrySeconds));
  return { code: 'HOST_ASLEEP', status: 503, detail, fields };
}

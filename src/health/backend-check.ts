import type { Clock } from '../base/clock.ts';
import type { SetTimer } from '../base/timer.ts';
import type { HealthCheck } from '../policy/health-check.ts';
import { type DownMark, hostFieldOf } from '../routing/backend.ts';
import type { BackendTarget } from '../routing/backend-url.ts';
import type { MarkCollection, RouteReader } from '../stores/contract.ts';
import type { CheckSlots } from './check-slots.ts';
import { type ProbeResult, probedHost } from './probe.ts';
import { backendKey } from './rendezvous.ts';
import { faultOf, type ResponseFault } from './response-fault.ts';
import type { Slots } from './slots.ts';

/** Asks a backend as a check wants it. Must not reject. @param host the Host field. */
export type AskBackend = (target: BackendTarget, host: string, check: HealthCheck) => Promise<ProbeResult>;

/** The shared parts of the checks of an instance. */
export interface BackendCheckParts {
  readonly ask: AskBackend;
  readonly store: { readonly routes: RouteReader; readonly marks: Pick<MarkCollection, 'write' | 'remove'> };
  /** Id of this instance, for its marks. */
  readonly instance: string;
  /** Whether instances share the checks. Otherwise each checks all backends, and lifts its own marks only. */
  readonly isShared: boolean;
  readonly clock: Clock;
  readonly setTimer: SetTimer;
  /** From 0 up to but not including 1. */
  readonly random: () => number;
  /** Checks under way. */
  readonly slots: CheckSlots;
  /** Checks under way by backend and pattern, those of objects that were stopped too: a backend is never asked twice at once. */
  readonly underWay: Map<string, Promise<ProbeResult>>;
  /** Changes of marks under way. */
  readonly writes: Slots;
  readonly events: BackendCheckEvents;
}

export interface BackendCheckEvents {
  checked(hasSucceeded: boolean): void;
  /** The backend has failed or succeeded often enough. @param reason empty if it is up. */
  turned(backend: Pick<BackendCheck, 'pattern' | 'target'>, reason: string): void;
  /** A passive mark was lifted. */
  lifted(backend: Pick<BackendCheck, 'pattern' | 'target'>): void;
  /** The store did not accept a change of a mark; the next check tries it again. */
  problem(error: Error): void;
}

const reasonPrefix = 'health check: ';
/** The shortest time that a mark lasts, in ms. */
const markMsMin = 30_000;
/** How much earlier than necessary a mark is renewed, in ms. */
const renewalSlackMs = 2000;
/** A check that takes as long is slow, in ms. */
const slowMs = 1000;

/** Checks one backend of one pattern at intervals: marks it after failures in a row, and lifts marks after successes. */
export class BackendCheck {
  readonly pattern: string;
  readonly target: BackendTarget;
  readonly check: HealthCheck;
  /** Whether it has failed often enough, and has not succeeded often enough since. */
  isDown = false;
  private readonly parts: BackendCheckParts;
  private readonly key: string;
  private failures = 0;
  /** When the last checks in a row began that succeeded, in monotonic ms; as many as are wanted. */
  private successes: number[] = [];
  /** The mark in the store, as far as known. */
  private mark: DownMark | null = null;
  /** When this mark was seen first, in monotonic ms. It was set before, by whatever clock. */
  private seenMs = 0;
  private downSinceMs = 0;
  private isWriting = false;
  private stopped = false;
  /** Stopped, and no check's mark is to stay. */
  private endsMark = false;
  private isSlow = false;
  /** Ends the timer or the wait for a slot. */
  private cancel: () => void = ignore;

  constructor(pattern: string, target: BackendTarget, check: HealthCheck, parts: BackendCheckParts) {
    this.pattern = pattern;
    this.target = target;
    this.check = check;
    this.parts = parts;
    this.key = backendKey(pattern, target.url);
  }

  /** Begins at a random moment of the first interval. @param mark in the store at present. */
  start(mark: DownMark | null): void {
    this.see(mark);
    // Another instance has checked it so far.
    this.isDown = this.mark !== null && isOfCheck(this.mark) && !this.isOfOthers(this.mark);
    this.downSinceMs = this.mark?.sinceMs ?? 0;
    this.schedule(this.parts.random() * this.check.intervalMs);
  }

  /** The mark of the backend as the store has it. */
  see(mark: DownMark | null): void {
    const { clock } = this.parts;
    const isKnown = this.mark !== null && mark !== null && isSameMark(this.mark, mark);
    this.mark = mark === null || mark.untilMs <= clock.epochMs() ? null : mark;
    if (!isKnown) this.seenMs = clock.monotonicMs();
  }

  stop(): void {
    this.stopped = true;
    this.cancel();
  }

  /** The backend is not checked any more, by nobody: a mark of the checks would only be in the way. */
  stopAndLift(): void {
    this.stop();
    this.endsMark = true;
    const { mark } = this;
    if (mark !== null && isOfCheck(mark)) this.write(() => this.lift(mark));
  }

  private schedule(delayMs: number): void {
    this.cancel = this.parts.setTimer(Math.max(0, delayMs), () => this.begin());
  }

  private begin(): void {
    if (this.stopped) return;
    const { slots, underWay } = this.parts;
    this.cancel = ignore;
    const former = underWay.get(this.key);
    if (former !== undefined) void former.then(() => this.begin());
    else this.cancel = slots.take(this.pattern, this.isSlow, (leave) => this.run(leave));
  }

  private async run(leave: () => void): Promise<void> {
    if (this.stopped) return;
    const { check, parts, pattern, target } = this;
    const beganMs = parts.clock.monotonicMs();
    const { host } = check;
    const own = host === null ? probedHost(pattern, target) : host === 'backend' ? hostFieldOf(target) : host.value;
    const cancelLeave = parts.setTimer(slowMs, leave);
    const asked = parts.ask(target, own, check);
    parts.underWay.set(this.key, asked);
    const result = await asked;
    parts.underWay.delete(this.key);
    cancelLeave();
    if (this.stopped) return;
    this.isSlow = parts.clock.monotonicMs() - beganMs >= slowMs;
    const fault = faultOf(result, check);
    parts.events.checked(fault === null);
    if (fault === null) this.succeeded(beganMs);
    else this.failed(reasonOf(fault));
    this.schedule(beganMs + check.intervalMs - parts.clock.monotonicMs());
  }

  private succeeded(beganMs: number): void {
    const { check, mark, parts, seenMs, successes } = this;
    this.failures = 0;
    successes.push(beganMs);
    if (successes.length > check.successesWanted) successes.shift();
    const [firstMs = 0] = successes;
    if (successes.length < check.successesWanted) return;
    if (this.isDown) {
      this.isDown = false;
      parts.events.turned(this, '');
    }
    // A success before the mark says nothing of what brought it.
    if (mark === null || firstMs < seenMs || mark.untilMs <= parts.clock.epochMs()) return;
    if (!this.isOfOthers(mark)) this.write(() => this.lift(mark));
  }

  private failed(reason: string): void {
    const { check, mark, parts } = this;
    this.successes = [];
    this.failures++;
    if (this.failures < check.failuresWanted && !this.isDown) return;
    const nowMs = parts.clock.epochMs();
    if (!this.isDown) {
      this.isDown = true;
      this.downSinceMs = nowMs;
      parts.events.turned(this, reason);
    }
    const { intervalMs, timeoutMs } = check;
    const leftMs = mark === null ? 0 : mark.untilMs - nowMs;
    if (leftMs > intervalMs + timeoutMs + renewalSlackMs) return;
    const untilMs = Math.round(nowMs + Math.max(3 * intervalMs + timeoutMs, markMsMin));
    this.write(() => this.set({ untilMs, sinceMs: this.downSinceMs, reason, instance: parts.instance }));
  }

  /** Whether the mark is for the checks of another instance to lift, which may see what this one does not. */
  private isOfOthers(mark: DownMark): boolean {
    const { instance, isShared } = this.parts;
    return !isShared && isOfCheck(mark) && mark.instance !== instance;
  }

  /** Checks go on meanwhile: the store may be slow, or away. */
  private write(change: () => Promise<void>): void {
    if (this.isWriting) return;
    this.isWriting = true;
    this.parts.writes.take(async () => {
      try {
        await change();
      } catch (error) {
        this.parts.events.problem(error as Error);
      } finally {
        this.isWriting = false;
      }
    });
  }

  private async set(mark: DownMark): Promise<void> {
    if (this.stopped || !this.isDown) return;
    await this.parts.store.marks.write(this.pattern, this.target.url, mark);
    this.see(mark);
    // Turned off meanwhile.
    if (this.endsMark) await this.lift(mark);
  }

  /** Reads the mark again first: a later one than `mark` stays. */
  private async lift(mark: DownMark): Promise<void> {
    const { parts, pattern, target } = this;
    if (this.isDown && !this.stopped) return;
    const [record = null] = await parts.store.routes.read([pattern]);
    const current = record?.down.get(target.url) ?? null;
    if (current === null || !isSameMark(current, mark)) {
      this.see(current);
      return;
    }
    await parts.store.marks.remove(pattern, target.url);
    this.see(null);
    if (!isOfCheck(mark)) parts.events.lifted(this);
  }
}

/** Whether a health check has set the mark. */
function isOfCheck({ reason }: DownMark): boolean {
  return reason.startsWith(reasonPrefix);
}

/** Whether they are one mark, maybe with another end. */
function isSameMark(one: DownMark, other: DownMark): boolean {
  return one.sinceMs === other.sinceMs && isOfCheck(one) === isOfCheck(other);
}

function reasonOf(fault: ResponseFault): string {
  if (fault.kind === 'text') return `${reasonPrefix}text not found`;
  return `${reasonPrefix}${fault.kind === 'status' ? 'status ' : ''}${fault.detail}`;
}

function ignore(): void {}

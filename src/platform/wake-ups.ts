import { backOffMs } from '../base/back-off.ts';
import type { HookTarget } from '../base/hook-target.ts';
import { within } from '../base/timer.ts';
import { noteName } from '../stores/note-name.ts';
import { eventText, type HostEvent, type HostEventsOptions } from './host-event.ts';

interface SleepingHost {
  target: HookTarget;
  /** Monotonic ms at which a worker last said that requests wait. */
  askedMs: number;
  /** Monotonic ms before which nothing is sent. */
  restUntilMs: number;
  isBusy: boolean;
  /** The text of the note that is ours; empty for none. */
  note: string;
  /** Whether a backend has been there since it was asked for. */
  isAwake: boolean;
}

const hostsMax = 10_000;
/** How long a host that was woken has, until it is woken again if requests wait still, in ms. */
const restMs = 30_000;
/** The same for one that was seen to be awake meanwhile: other workers are about to see it. */
const awakeRestMs = 2000;
/** How long the store may take, in ms. */
const storeMs = 2000;
/** Workers say every five seconds that requests wait: without a word for so long, none do, in ms. */
const askedForMs = 15_000;
const pauses = { firstMs: 500, longestMs: 30_000, spread: [0.75, 1.25] } as const;

/**
 * Wakes hosts whose requests wait, once for all instances: a note in the store says that somebody does it. A webhook that
 * fails is tried again, with growing pauses, for as long as requests wait.
 */
export class WakeUps {
  private readonly options: HostEventsOptions;
  private readonly hosts = new Map<string, SleepingHost>();
  private isClosed = false;

  constructor(options: HostEventsOptions) {
    this.options = options;
  }

  /** Hosts that are being woken, or were a moment ago. */
  get size(): number {
    return this.hosts.size;
  }

  /** Requests of a host wait. */
  asleep(pattern: string, target: HookTarget): void {
    if (this.isClosed) return;
    const { clock, counters } = this.options;
    const nowMs = clock.monotonicMs();
    let host = this.hosts.get(pattern);
    if (host === undefined) {
      if (this.hosts.size >= hostsMax) this.forget(nowMs);
      if (this.hosts.size >= hostsMax) {
        counters.dropped++;
        return;
      }
      host = { target, askedMs: nowMs, restUntilMs: 0, isBusy: false, note: '', isAwake: false };
      this.hosts.set(pattern, host);
    }
    host.target = target;
    host.askedMs = nowMs;
    host.isAwake = false;
    if (host.isBusy || nowMs < host.restUntilMs) return;
    host.isBusy = true;
    this.wake(pattern, host)
      .catch((error: Error) => this.options.onProblem('a host could not be woken', { host: pattern, error }))
      .finally(() => {
        host.isBusy = false;
      });
  }

  /** A backend of a host is there: if it sleeps again, it is woken again. */
  awake(pattern: string): void {
    const host = this.hosts.get(pattern);
    if (host === undefined) return;
    host.isAwake = true;
    if (!host.isBusy) this.rest(pattern, host);
  }

  close(): void {
    this.isClosed = true;
    this.hosts.clear();
  }

  private async wake(pattern: string, host: SleepingHost): Promise<void> {
    const { clock, counters, instance, onProblem, send } = this.options;
    const at = new Date(clock.epochMs()).toISOString();
    const event: HostEvent = { event: 'wake', host: pattern, instance, at };
    for (let attempt = 1; !this.isClosed; attempt++) {
      const pauseMs = backOffMs(pauses, attempt);
      // The note outlasts the attempt and the pause after it.
      const isOurs = await this.claim(pattern, eventText(event), attempt > 1, restMs + pauseMs);
      if (!isOurs) break;
      host.note = eventText(event);
      const { target } = host;
      if (target.kind === 'event') {
        counters.sent++;
        break;
      }
      try {
        await send(target, event);
        counters.sent++;
        // The note is to end with the rest, not after the pause that there would have been.
        void this.release(pattern, eventText(event), restMs);
        break;
      } catch (error) {
        counters.failed++;
        onProblem('a webhook that wakes a host has failed; it is tried again', { host: pattern, error });
      }
      await this.pause(pauseMs);
      if (host.isAwake) break;
      if (clock.monotonicMs() - host.askedMs > askedForMs) {
        host.note = '';
        await this.release(pattern, eventText(event), 0);
        return;
      }
    }
    this.rest(pattern, host);
  }

  private rest(pattern: string, host: SleepingHost): void {
    const forMs = host.isAwake ? awakeRestMs : restMs;
    host.restUntilMs = this.options.clock.monotonicMs() + forMs;
    if (host.isAwake && host.note !== '') void this.release(pattern, host.note, forMs);
    if (host.isAwake) host.note = '';
  }

  /** Whether this instance wakes the host. Without the store, each does: better twice than not at all. */
  private async claim(pattern: string, text: string, isAgain: boolean, ttlMs: number): Promise<boolean> {
    try {
      return await within(this.write(pattern, text, isAgain, ttlMs), storeMs);
    } catch (error) {
      const what = 'the store does not say who wakes a host; every instance does';
      this.options.onProblem(what, { host: pattern, error: error as Error });
      return true;
    }
  }

  private async write(pattern: string, text: string, isAgain: boolean, ttlMs: number): Promise<boolean> {
    const notes = await this.options.notes();
    const condition = { expected: isAgain ? text : null, ttlMs, announce: !isAgain };
    if (await notes.write(noteName('wake', pattern), text, condition)) return true;
    // The note may have ended during the pause.
    return isAgain && (await notes.write(noteName('wake', pattern), text, { ...condition, expected: null }));
  }

  /** @param afterMs 0: now. */
  private async release(pattern: string, text: string, afterMs: number): Promise<void> {
    try {
      const notes = await this.options.notes();
      if (afterMs === 0) await notes.write(noteName('wake', pattern), null, { expected: text });
      else await notes.write(noteName('wake', pattern), text, { expected: text, ttlMs: afterMs });
    } catch {
      // It ends by itself.
    }
  }

  private pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => void this.options.setTimer(delayMs, resolve));
  }

  /** Hosts of which nothing is known that matters. */
  private forget(nowMs: number): void {
    for (const [pattern, { askedMs, isBusy, restUntilMs }] of this.hosts) {
      if (!isBusy && restUntilMs <= nowMs && nowMs - askedMs > askedForMs) this.hosts.delete(pattern);
    }
  }
}

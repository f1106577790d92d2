import { backOffMs } from '../base/back-off.ts';
import type { HookTarget, UsedHost } from '../base/hook-target.ts';
import { within } from '../base/timer.ts';
import type { NoteTexts } from '../stores/contract.ts';
import { noteName } from '../stores/note-name.ts';
import { eventText, type HostEvent, type HostEventsOptions } from './host-event.ts';

interface WatchedHost {
  idleAfterMs: number;
  target: HookTarget;
  /** Epoch ms of the last use here, as far as workers have reported it. */
  usedMs: number;
  /** Epoch ms of the last use that the store knows of. */
  savedMs: number;
  isBusy: boolean;
  /** Whether a note says, or said, that an instance has the word of the host's idleness. */
  isClaimed: boolean;
  /** The text of that note if it is ours, and as another instance has last written it; empty for none. */
  ours: string;
  others: string;
  /** Attempts to tell the platform that have failed, and epoch ms of the next one. */
  failures: number;
  nextMs: number;
}

const hostsMax = 10_000;
/** How often hosts are looked at, in ms. */
const lookEveryMs = 500;
/**
 * A use is saved if the last saved one is older than this share of the idle time, and at least so many ms. The use of another
 * instance may be so much later than its note: a host that several serve is idle later by that.
 */
const savedShare = 0.1;
const savedEveryMs = 1000;
/** How long the word of an instance that the host is idle keeps others from saying so, in ms. */
const claimMs = 120_000;
/** How long the store may take, in ms. */
const storeMs = 5000;
const pauses = { firstMs: 1000, longestMs: 60_000, spread: [0.75, 1.25] } as const;
/** How long deliveries are tried, in ms. */
const triedForMs = 3_600_000;

/**
 * Tells platforms that a host is not used any more, on any instance. Each instance saves in a note when it was used there last,
 * now and then; one that has not seen a use for long enough looks at the note, and is the only one to tell.
 */
export class IdleHosts {
  private readonly options: HostEventsOptions;
  private readonly hosts = new Map<string, WatchedHost>();
  private cancel: (() => void) | null = null;
  /** Whether other instances may serve the same hosts. */
  private isShared = true;

  constructor(options: HostEventsOptions) {
    this.options = options;
  }

  get size(): number {
    return this.hosts.size;
  }

  /** Workers have served these hosts a moment ago. */
  used(used: readonly UsedHost[]): void {
    const { clock, counters } = this.options;
    const nowMs = clock.epochMs();
    for (const { idleAfterMs, pattern, target } of used) {
      let host = this.hosts.get(pattern);
      if (host === undefined) {
        if (this.hosts.size >= hostsMax) {
          counters.dropped++;
          continue;
        }
        host = {
          idleAfterMs,
          target,
          usedMs: nowMs,
          savedMs: 0,
          isBusy: false,
          isClaimed: true,
          ours: '',
          others: '',
          failures: 0,
          nextMs: 0,
        };
        this.hosts.set(pattern, host);
      }
      // It may have been idle before.
      if (host.isClaimed) this.unclaim(pattern);
      const unclaimed = { isClaimed: false, ours: '', others: '', failures: 0, nextMs: 0 };
      Object.assign(host, { idleAfterMs, target, usedMs: nowMs, ...unclaimed });
      if (nowMs - host.savedMs >= saveEveryMs(idleAfterMs)) this.save(pattern, host, nowMs);
    }
    this.lookLater();
  }

  /** How many instances share the store. */
  share(instances: number): void {
    this.isShared = instances > 1;
  }

  close(): void {
    this.cancel?.();
    this.hosts.clear();
  }

  private unclaim(pattern: string): void {
    this.open()
      .then((notes) => notes.write(noteName('idle', pattern), null))
      .catch((error: Error) => this.complain('the use of a host cannot be noted in the store', pattern, error));
  }

  private save(pattern: string, host: WatchedHost, nowMs: number): void {
    host.savedMs = nowMs;
    this.write(pattern, nowMs, host.idleAfterMs).catch((error: Error) =>
      this.complain('the use of a host cannot be noted in the store', pattern, error),
    );
  }

  private async write(pattern: string, nowMs: number, idleAfterMs: number): Promise<void> {
    const notes = await this.open();
    await notes.write(noteName('used', pattern), String(nowMs), { ttlMs: 2 * idleAfterMs + 60_000 });
  }

  private lookLater(): void {
    if (this.hosts.size === 0) return;
    this.cancel ??= this.options.setTimer(lookEveryMs, () => {
      this.cancel = null;
      this.look();
      this.lookLater();
    });
  }

  private look(): void {
    const nowMs = this.options.clock.epochMs();
    for (const [pattern, host] of this.hosts) {
      if (host.isBusy || nowMs < host.nextMs || nowMs - host.usedMs < host.idleAfterMs) continue;
      host.isBusy = true;
      this.judge(pattern, host, nowMs)
        .catch((error: Error) => {
          host.failures++;
          host.nextMs = nowMs + backOffMs(pauses, host.failures);
          this.options.counters.failed++;
          this.options.onProblem('the platform of an idle host could not be reached; it is tried again', {
            host: pattern,
            error,
          });
          if (nowMs - host.usedMs - host.idleAfterMs > triedForMs) this.hosts.delete(pattern);
        })
        .finally(() => {
          host.isBusy = false;
        });
    }
  }

  private async judge(pattern: string, host: WatchedHost, nowMs: number): Promise<void> {
    const { counters, instance, send } = this.options;
    const { idleAfterMs, target, usedMs } = host;
    const notes = await this.open();
    const noted = Number((await within(notes.read(noteName('used', pattern)), storeMs)) ?? 0);
    // Uses here are known exactly. If somebody else has written the note last, others may have served the host since.
    const elsewhereMs = noted === host.savedMs && !this.isShared ? 0 : noted + saveEveryMs(idleAfterMs);
    if (nowMs - elsewhereMs < idleAfterMs) {
      host.nextMs = elsewhereMs + idleAfterMs;
      return;
    }
    if (host.usedMs !== usedMs) return;
    const event: HostEvent = { event: 'idle', host: pattern, instance, at: new Date(nowMs).toISOString() };
    const text = eventText(event);
    const holder = await within(this.claim(notes, pattern, host, text), storeMs);
    host.isClaimed = true;
    if (holder !== null) {
      // That one writes the note with each attempt. A note that stays as it is says that the platform has the word.
      if (host.others === holder) this.hosts.delete(pattern);
      host.others = holder;
      host.nextMs = nowMs + claimMs + lookEveryMs;
      return;
    }
    if (host.usedMs !== usedMs) {
      this.unclaim(pattern);
      return;
    }
    if (target.kind === 'webhook') await send(target, event);
    counters.sent++;
    // Longer than others look for it. The next use removes it.
    await within(notes.write(noteName('idle', pattern), text, { ttlMs: 3 * claimMs }), storeMs).catch(() => {});
    if (host.usedMs === usedMs) this.hosts.delete(pattern);
  }

  /** @returns null if this instance tells the platform; otherwise the note of the one that does. */
  private async claim(notes: NoteTexts, pattern: string, host: WatchedHost, text: string): Promise<string | null> {
    const name = noteName('idle', pattern);
    const isAgain = host.ours !== '';
    let isOurs = isAgain && (await notes.write(name, text, { expected: host.ours, ttlMs: claimMs }));
    isOurs ||= await notes.write(name, text, { expected: null, ttlMs: claimMs, announce: !isAgain });
    host.ours = isOurs ? text : '';
    return isOurs ? null : ((await notes.read(name)) ?? text);
  }

  private open(): Promise<NoteTexts> {
    return within(this.options.notes(), storeMs);
  }

  private complain(what: string, pattern: string, error: Error): void {
    this.options.onProblem(what, { host: pattern, error });
  }
}

function saveEveryMs(idleAfterMs: number): number {
  return Math.max(savedEveryMs, idleAfterMs * savedShare);
}

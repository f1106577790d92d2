import { backOffMs } from '../base/back-off.ts';
import type { HookTarget, UsedHost } from '../base/hook-target.ts';
import { noteName } from '../stores/note-name.ts';
import { eventText, type HostEvent } from './host-event.ts';
import type { WakeUpsOptions } from './wake-ups.ts';

interface WatchedHost {
  idleAfterMs: number;
  target: HookTarget;
  /** Epoch ms of the last use here, as far as workers have reported it. */
  usedMs: number;
  /** Epoch ms of the last use that the store knows of. */
  savedMs: number;
  isBusy: boolean;
  /** Attempts to tell the platform that have failed, and epoch ms of the next one. */
  failures: number;
  nextMs: number;
}

const hostsMax = 10_000;
/** How often hosts are looked at, in ms. */
const lookEveryMs = 500;
/** A use is saved if the last saved one is older than this share of the idle time, and at least so many ms. */
const savedShare = 0.25;
const savedEveryMs = 1000;
const pauses = { firstMs: 1000, longestMs: 60_000, spread: [0.75, 1.25] } as const;
/** How long deliveries are tried, in ms. */
const triedForMs = 3_600_000;

/**
 * Tells platforms that a host is not used any more, on any instance. Each instance saves in a note when it was used there last,
 * now and then; one that has not seen a use for long enough looks at the note, and is the only one to tell.
 */
export class IdleHosts {
  private readonly options: WakeUpsOptions;
  private readonly hosts = new Map<string, WatchedHost>();
  private cancel: (() => void) | null = null;

  constructor(options: WakeUpsOptions) {
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
        host = { idleAfterMs, target, usedMs: nowMs, savedMs: 0, isBusy: false, failures: 0, nextMs: 0 };
        this.hosts.set(pattern, host);
      }
      Object.assign(host, { idleAfterMs, target, usedMs: nowMs, failures: 0, nextMs: 0 });
      if (nowMs - host.savedMs >= saveEveryMs(idleAfterMs)) this.save(pattern, host, nowMs);
    }
    this.lookLater();
  }

  close(): void {
    this.cancel?.();
    this.hosts.clear();
  }

  private save(pattern: string, host: WatchedHost, nowMs: number): void {
    host.savedMs = nowMs;
    this.write(pattern, nowMs, host.idleAfterMs).catch((error: Error) =>
      this.options.onProblem('the use of a host cannot be noted in the store', { host: pattern, error }),
    );
  }

  private async write(pattern: string, nowMs: number, idleAfterMs: number): Promise<void> {
    const notes = await this.options.notes();
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
    const { counters, instance, notes: open, send } = this.options;
    const { idleAfterMs, target, usedMs } = host;
    const notes = await open();
    const noted = Number((await notes.read(noteName('used', pattern))) ?? 0);
    // Another instance may have served it for a while since that note.
    const elsewhereMs = noted > host.savedMs ? noted + saveEveryMs(idleAfterMs) : 0;
    if (nowMs - elsewhereMs < idleAfterMs) {
      host.nextMs = elsewhereMs + idleAfterMs;
      return;
    }
    const event: HostEvent = { event: 'idle', host: pattern, instance, at: new Date(nowMs).toISOString() };
    const text = eventText(event);
    const condition = { expected: null, ttlMs: Math.max(1000, idleAfterMs * 0.8), announce: true };
    if (host.failures === 0 && !(await notes.write(noteName('idle', pattern), text, condition))) {
      if (host.usedMs === usedMs) this.hosts.delete(pattern);
      return;
    }
    if (target.kind === 'webhook') await send(target, event);
    counters.sent++;
    if (host.usedMs === usedMs) this.hosts.delete(pattern);
  }
}

function saveEveryMs(idleAfterMs: number): number {
  return Math.max(savedEveryMs, idleAfterMs * savedShare);
}

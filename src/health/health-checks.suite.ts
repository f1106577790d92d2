import { FakeTime } from '../../test/helpers/fake-time.ts';
import type { DownMark } from '../routing/backend.ts';
import type { StoredRoute } from '../stores/contract.ts';
import { HealthChecks, type HealthCounters, type HealthStore } from './health-checks.ts';
import type { ProbeResult } from './probe.ts';

/** A store that several instances share. */
class SharedStore implements HealthStore {
  readonly records = new Map<
    string,
    { frontend: string[]; down: Map<string, DownMark>; options: Map<string, string> }
  >();
  readonly running = new Set<string>();
  readonly texts = new Map<string, string>();
  writes = 0;
  isAway = false;

  set(pattern: string, options: Readonly<Record<string, string>>, ...urls: string[]): void {
    const down = this.records.get(pattern)?.down ?? new Map<string, DownMark>();
    const frontend = urls.length === 0 ? [] : [pattern, ...urls];
    this.records.set(pattern, { frontend, down, options: new Map(Object.entries(options)) });
  }

  markOf(pattern: string, url: string): DownMark | undefined {
    return this.records.get(pattern)?.down.get(url);
  }

  readonly routes = {
    read: async (patterns: readonly string[]) => {
      this.check();
      // Marks as they are now, also if they change after the reading.
      return patterns.map((pattern): StoredRoute | null => {
        const record = this.records.get(pattern);
        return record === undefined ? null : { ...record, down: new Map(record.down) };
      });
    },
  };

  readonly marks = {
    write: async (pattern: string, url: string, mark: DownMark) => {
      this.check();
      this.writes++;
      const marks = this.records.get(pattern)?.down;
      if (mark.untilMs > (marks?.get(url)?.untilMs ?? 0)) marks?.set(url, mark);
      return true;
    },
    remove: async (pattern: string, url: string) => {
      this.check();
      this.records.get(pattern)?.down.delete(url);
    },
  };

  readonly instances = {
    list: async () => {
      this.check();
      return [...this.running].map((instance) => ({ instance, fields: {} }));
    },
  };

  readonly notes = {
    read: async (name: string) => this.texts.get(name) ?? null,
    write: async (name: string, text: string | null) => {
      if (text === null) this.texts.delete(name);
      else this.texts.set(name, text);
      return true;
    },
  };

  private check(): void {
    if (this.isAway) throw new Error('away');
  }
}

/** A check that has begun. */
interface Asked {
  readonly instance: string;
  readonly url: string;
  readonly host: string;
  readonly atMs: number;
}

/** Instances that check backends of one store, at a time that the test moves. */
export class HealthRig {
  readonly time = new FakeTime();
  readonly store = new SharedStore();
  readonly lines: string[] = [];
  readonly problems: string[] = [];
  readonly counters: HealthCounters = { succeeded: 0, failed: 0, turnedDown: 0, turnedUp: 0, dropped: 0 };
  asked: Asked[] = [];
  /** The response of a backend to an instance. */
  reply: (url: string, instance: string) => Promise<ProbeResult> = async () => ok;

  start(instance: string, shared: HealthStore = this.store): HealthChecks {
    const { counters, lines, problems, store, time } = this;
    store.running.add(instance);
    const write = (message: string, fields: Readonly<Record<string, unknown>> = {}) =>
      void lines.push([message, fields['host'], fields['backend'], fields['reason']].filter(Boolean).join(' '));
    return new HealthChecks({
      store: shared,
      instance,
      ask: (target, host) => {
        this.asked.push({ instance, url: target.url, host, atMs: time.nowMs });
        return this.reply(target.url, instance);
      },
      clock: time.clock,
      setTimer: time.setTimer,
      random: () => 0.5,
      counters,
      log: { info: write, warn: write },
      onProblem: (what, error) => problems.push(`${what}: ${error.message}`),
    });
  }
}

export const ok: ProbeResult = { status: 200, problem: '' };
export const unavailable: ProbeResult = { status: 503, problem: '' };

import { FakeTime } from '../../test/helpers/fake-time.ts';
import type { NoteCondition, NoteTexts } from '../stores/contract.ts';
import type { HostEvent, HostEventsOptions } from './host-event.ts';

/** Notes in memory, whose clock is that of the test. */
class FakeNotes implements NoteTexts {
  isAway = false;
  readonly announced: string[] = [];
  private readonly time: FakeTime;
  private readonly notes = new Map<string, { text: string; untilMs: number }>();

  constructor(time: FakeTime) {
    this.time = time;
  }

  async read(name: string): Promise<string | null> {
    return this.get(name);
  }

  async write(name: string, text: string | null, condition: NoteCondition = {}): Promise<boolean> {
    const { announce, expected, ttlMs = Number.POSITIVE_INFINITY } = condition;
    const present = this.get(name);
    if (expected !== undefined && present !== expected) return false;
    if (text === null) this.notes.delete(name);
    else this.notes.set(name, { text, untilMs: this.time.nowMs + ttlMs });
    if (announce === true && text !== null) this.announced.push(text);
    return true;
  }

  private get(name: string): string | null {
    if (this.isAway) throw new Error('away');
    const note = this.notes.get(name);
    return note === undefined || note.untilMs <= this.time.nowMs ? null : note.text;
  }
}

/** The events of a fleet, whose webhook takes them or not. */
export class FakeFleet {
  readonly time = new FakeTime();
  readonly notes = new FakeNotes(this.time);
  readonly sent: HostEvent[] = [];
  readonly problems: string[] = [];
  /** Whether the webhook fails. */
  isFailing = false;
  attempts = 0;
  /** Instances that have made attempts. */
  readonly attemptedBy = new Set<string>();

  options(instance: string): HostEventsOptions {
    return {
      notes: async () => this.notes,
      instance,
      send: async (_target, event) => {
        this.attempts++;
        this.attemptedBy.add(instance);
        if (this.isFailing) throw new Error('status 500');
        this.sent.push(event);
      },
      counters: { sent: 0, failed: 0, dropped: 0 },
      clock: this.time.clock,
      setTimer: this.time.setTimer,
      onProblem: (what, { error }) => void this.problems.push(`${what}: ${error}`),
    };
  }
}

export const webhook = { kind: 'webhook', url: 'http://platform.test/', key: '' } as const;

import { randomBytes } from 'node:crypto';

/** One event, as the streams send it. */
export interface LoggedEvent {
  /** Its place in the log. */
  readonly number: number;
  readonly name: string;
  /** The hosts that it concerns; null if it concerns all. */
  readonly hosts: readonly string[] | null;
  /** JSON. */
  readonly data: string;
}

/** Events that a stream is to send next. */
export interface NextEvents {
  readonly events: readonly LoggedEvent[];
  /** The place up to which these are. */
  readonly to: number;
  /** Whether events in between are kept no longer. */
  readonly isIncomplete: boolean;
}

const keptMax = 1000;
/** Characters of all that are kept. */
const keptCharsMax = 4 * 1024 * 1024;

/**
 * The last events, for all streams: each stream has a place in it and no queue of its own, so that a client that reads slowly
 * holds no memory.
 */
export class EventLog {
  /** Ids of another process, or of a time before a gap, begin with another one. */
  private epoch = newEpoch();
  private kept: LoggedEvent[] = [];
  private keptChars = 0;
  private last = 0;
  private wake = Promise.withResolvers<void>();
  private isClosed = false;

  append(name: string, data: unknown, hosts: readonly string[] | null = null): void {
    const text = JSON.stringify(data);
    this.kept.push({ number: ++this.last, name, hosts, data: text });
    this.keptChars += text.length;
    while (this.kept.length > keptMax || (this.keptChars > keptCharsMax && this.kept.length > 1)) {
      this.keptChars -= this.kept.shift()?.data.length ?? 0;
    }
    this.wakeAll();
  }

  /** Events from now on do not follow those before: nobody can go on from there. */
  restart(): void {
    this.epoch = newEpoch();
    this.kept = [];
    this.keptChars = 0;
  }

  /** No events follow. */
  close(): void {
    this.isClosed = true;
    this.wakeAll();
  }

  get hasEnded(): boolean {
    return this.isClosed;
  }

  /** The place of the last event. */
  get end(): number {
    return this.last;
  }

  idOf(number: number): string {
    return `${this.epoch}-${number}`;
  }

  /** The place of an event by its id; null if what follows it is not known. */
  placeOf(id: string): number | null {
    const [, epoch, digits] = /^([0-9a-f]+)-(0|[1-9]\d{0,14})$/.exec(id) ?? [];
    const number = Number(digits);
    const first = this.last - this.kept.length;
    return epoch === this.epoch && number >= first && number <= this.last ? number : null;
  }

  after(place: number): NextEvents {
    const first = this.last - this.kept.length;
    return {
      events: this.kept.slice(Math.max(0, place - first)),
      to: this.last,
      isIncomplete: place < first,
    };
  }

  /** Resolves with the next event, or the end. */
  next(): Promise<void> {
    return this.wake.promise;
  }

  private wakeAll(): void {
    this.wake.resolve();
    this.wake = Promise.withResolvers();
  }
}

function newEpoch(): string {
  return randomBytes(6).toString('hex');
}

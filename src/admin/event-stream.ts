import type { SSEMessage, SSEStreamingApi } from 'hono/streaming';
import type { EventFeed } from './event-feed.ts';
import type { EventLog, LoggedEvent } from './event-log.ts';
import { ApiError } from './problem.ts';

/** Streams at the same time: other requests find room beside them. */
const streamsMax = 100;
/** Between two comments in a response of events, so that nothing on the way takes it for dead, in ms. */
export const aliveMs = 15_000;

/** Which events a client wants, and from where on. */
export interface EventSelection {
  /** The id of the last event that it has; null for none. */
  readonly after: string | null;
  /** Only events that concern this host, or all; null for every one. */
  readonly host: string | null;
  /** Only events of these names; null for every one. */
  readonly names: readonly string[] | null;
}

/** The streams of events to clients. */
export class EventStreams {
  private readonly feed: EventFeed;
  private open = 0;

  constructor(feed: EventFeed) {
    this.feed = feed;
  }

  /** @throws ApiError 503 if there are too many. */
  admit(): void {
    if (this.open < streamsMax) return;
    throw new ApiError(
      503,
      'STREAMS_EXHAUSTED',
      `${streamsMax} streams of events are open, which is the most; try later`,
    );
  }

  /** Sends events until the client leaves, or no more events follow. */
  async send(stream: SSEStreamingApi, { after, host, names }: EventSelection): Promise<void> {
    const { log } = this.feed;
    this.open++;
    const leave = this.feed.join();
    const left = Promise.withResolvers<void>();
    stream.onAbort(left.resolve);
    try {
      await Promise.race([this.feed.ready, left.promise]);
      let place = (after === null ? null : log.placeOf(after)) ?? log.end;
      // A client that begins, or goes on from an id that is not known, has to read everything first.
      if (after === null || log.placeOf(after) === null)
        await this.reset(stream, place, after === null ? 'start' : 'gap');
      while (!stream.aborted && !log.hasEnded) {
        const { events, isIncomplete, to } = log.after(place);
        if (isIncomplete) await this.reset(stream, to - events.length, 'gap');
        for (const event of events) {
          if (stream.aborted) return;
          if (isWanted(event, { host, names })) await stream.writeSSE(message(log, event, host));
        }
        place = to;
        if (log.end === place && !log.hasEnded) await this.pause(stream, log, left.promise);
      }
    } finally {
      this.open--;
      leave();
    }
  }

  /** Until there is more to send. */
  private async pause(stream: SSEStreamingApi, log: EventLog, left: Promise<void>): Promise<void> {
    const alive = Promise.withResolvers<void>();
    const timer = setTimeout(alive.resolve, aliveMs);
    const next = log.next().then(() => true);
    const hasNext = await Promise.race([next, alive.promise.then(() => false), left.then(() => true)]);
    clearTimeout(timer);
    if (!hasNext) await stream.write(':\n\n');
  }

  private async reset(stream: SSEStreamingApi, place: number, why: 'start' | 'gap'): Promise<void> {
    const data = JSON.stringify({ at: new Date().toISOString(), why });
    await stream.writeSSE({ event: 'reset', id: this.feed.log.idOf(place), data });
  }
}

function isWanted({ hosts, name }: LoggedEvent, { host, names }: Pick<EventSelection, 'host' | 'names'>): boolean {
  if (names !== null && name !== 'reset' && !names.includes(name)) return false;
  return host === null || hosts === null || hosts.includes(host);
}

function message(log: EventLog, { data, hosts, name, number }: LoggedEvent, host: string | null): SSEMessage {
  const isOne = host !== null && name === 'change' && hosts !== null && hosts.length > 1;
  const own = isOne ? JSON.stringify({ ...(JSON.parse(data) as object), names: [host] }) : data;
  return { event: name, id: log.idOf(number), data: own };
}

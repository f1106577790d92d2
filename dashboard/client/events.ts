import { eventsPath } from '../../src/admin/endpoints.ts';
import type { Client } from './client.ts';

/** An event of the API; see docs/api.md. */
export interface FeedEvent {
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** `lost`: it is trying again. */
export type FeedState = 'connecting' | 'live' | 'lost';

/** Pauses between attempts, in ms. */
const pausesMs = [500, 1000, 2000, 5000, 10_000];
/** Without a byte for so long, a connection is given up, in ms. */
const silentMsMax = 45_000;
/** Events that are kept for the page of changes. */
const keptMax = 500;

/** The stream of events, which comes back by itself, where it was. */
export class Feed {
  state: FeedState = 'connecting';
  /** The newest first: those of changes and of the store. */
  kept: readonly FeedEvent[] = [];
  private readonly client: Client;
  private readonly listeners = new Set<(event: FeedEvent) => void>();
  private readonly watchers = new Set<() => void>();
  private lastId: string | null = null;
  private abort: AbortController | null = null;

  constructor(client: Client) {
    this.client = client;
  }

  /** @returns what ends it. */
  listen(listener: (event: FeedEvent) => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  /** Calls `watcher` when the state or the kept events change. @returns what ends it. */
  watch(watcher: () => void): () => void {
    this.watchers.add(watcher);
    return () => void this.watchers.delete(watcher);
  }

  /** @returns what ends it. */
  start(): () => void {
    const abort = new AbortController();
    this.abort?.abort();
    this.abort = abort;
    void this.run(abort.signal);
    return () => abort.abort();
  }

  private async run(signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted; ) {
      try {
        const headers: Record<string, string> = this.lastId === null ? {} : { 'last-event-id': this.lastId };
        const response = await this.client.fetch(eventsPath, { headers, signal });
        failures = 0;
        this.enter('live');
        await this.read(response);
      } catch {
        // The next attempt says more.
      }
      if (signal.aborted) return;
      this.enter('lost');
      const pauseMs = pausesMs[Math.min(failures++, pausesMs.length - 1)] ?? 0;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }

  private async read(response: Response): Promise<void> {
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    const decoder = new TextDecoder();
    let rest = '';
    for (;;) {
      // The API sends a comment every 15 s: a connection without one is dead, and nobody has said so.
      const timer = setTimeout(() => void reader.cancel(), silentMsMax);
      const { done, value } = await reader.read();
      clearTimeout(timer);
      if (done) return;
      const blocks = (rest + decoder.decode(value, { stream: true })).split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) this.take(block);
    }
  }

  private take(block: string): void {
    const fields = new Map(block.split('\n').map((line) => [line.split(':', 1)[0] ?? '', line.replace(/^\w*: ?/, '')]));
    const name = fields.get('event');
    if (name === undefined) return;
    this.lastId = fields.get('id') ?? this.lastId;
    const event = { name, data: JSON.parse(fields.get('data') ?? '{}') as FeedEvent['data'] };
    if (name !== 'load') {
      this.kept = [event, ...this.kept].slice(0, keptMax);
      this.tell();
    }
    for (const listener of this.listeners) listener(event);
  }

  private enter(state: FeedState): void {
    if (state === this.state) return;
    this.state = state;
    this.tell();
  }

  private tell(): void {
    for (const watcher of this.watchers) watcher();
  }
}

import { z } from 'zod';
import type { Log } from '../base/log.ts';
import { type SetTimer, setRealTimer } from '../base/timer.ts';
import { time } from '../operations/catalogue/common.ts';
import type { Performer } from '../operations/catalogue.ts';
import { StoreWatch } from '../route-cache/store-watch.ts';
import type { ChangeListener, CollectionName, Store } from '../stores/contract.ts';
import { EventLog } from './event-log.ts';

/** How long the sources go on after the last reader has left, so that it can come back, in ms. */
const lingerMs = 60_000;
/** Between two looks for a new window of the load, in ms. */
const loadEveryMs = 1000;
/** After an attempt to open the store that failed, in ms. */
const retryMs = 5000;
/** Names in one event. */
const namesMax = 1000;

/** The events, by name. */
export const eventSchemas = {
  change: z
    .object({
      at: time,
      collection: z.enum(['routes', 'options', 'certificates']),
      names: z.array(z.string()).meta({ description: 'The hosts whose record may have changed, also by a dead mark.' }),
    })
    .meta({ id: 'ChangeEvent' }),
  audit: z
    .object({
      at: time,
      by: z.string().meta({ description: 'The name of the token, the subject of the certificate, or `local`.' }),
      from: z.string(),
      operation: z.string(),
      host: z.string().nullable(),
      result: z.string().meta({ description: '`done`, or the code of the error.' }),
    })
    .meta({ id: 'AuditEvent', description: 'A change through this API, or an attempt at one.' }),
  load: z.looseObject({}).meta({ id: 'LoadEvent', description: 'A window of `GET /v1/load`.' }),
  store: z
    .object({ at: time, state: z.enum(['lost', 'restored']), error: z.string().nullable() })
    .meta({ id: 'StoreEvent', description: 'The store cannot be reached, or can be again.' }),
  reset: z
    .object({ at: time, why: z.enum(['start', 'gap', 'store']) })
    .meta({ id: 'ResetEvent', description: 'Events may be missing before this one: read again what you show.' }),
} as const;

type EventName = keyof typeof eventSchemas;

export interface EventParts {
  readonly performer: Performer;
  /** Opens the store once more, to watch it. */
  readonly openWatched: () => Promise<Store>;
  readonly now: () => number;
  readonly log: Log;
  readonly setTimer?: SetTimer;
}

/** A part of this process that follows the records. */
interface RecordFollower {
  onChange(collection: CollectionName, names: readonly string[]): void;
  onReset(): void;
}

/** Fills the log of events while anybody reads it. */
export class EventFeed {
  readonly log = new EventLog();
  private readonly parts: EventParts;
  private readonly setTimer: SetTimer;
  private readonly followers = new Set<RecordFollower>();
  private readers = 0;
  private sources: Sources | null = null;
  private cancelStop: () => void = () => {};

  constructor(parts: EventParts) {
    this.parts = parts;
    this.setTimer = parts.setTimer ?? setRealTimer;
  }

  /** Resolves once no change can be missed any more, or the store has turned out to be away. */
  get ready(): Promise<void> {
    return this.sources?.ready ?? Promise.resolve();
  }

  /** A reader has come. @returns what to call once it has left. */
  join(): () => void {
    this.readers++;
    this.cancelStop();
    this.sources ??= new Sources(this.parts, this.setTimer, (name, data, hosts) => this.append(name, data, hosts));
    let hasLeft = false;
    return () => {
      if (hasLeft) return;
      hasLeft = true;
      if (--this.readers === 0) this.cancelStop = this.setTimer(lingerMs, () => this.stop());
    };
  }

  /**
   * Follows the records of the store from now on, once it resolves.
   * @param onChange gets the collection and its names. @param onReset changes may be lost. @returns what ends it; null for a store that
   *   reports no changes, or cannot be watched now.
   */
  async follow(onChange: RecordFollower['onChange'], onReset: () => void): Promise<(() => void) | null> {
    const follower = { onChange, onReset };
    const leave = this.join();
    this.followers.add(follower);
    await this.ready;
    const end = (): void => {
      this.followers.delete(follower);
      leave();
    };
    if (this.sources?.reports === true) return end;
    end();
    return null;
  }

  /** Somebody has made a change, or tried to. */
  audit(event: Omit<z.output<typeof eventSchemas.audit>, 'at'>): void {
    if (this.sources !== null) this.append('audit', event, event.host === null ? null : [event.host]);
  }

  /** Ends all streams. */
  close(): void {
    this.log.close();
    this.cancelStop();
    this.sources?.close();
  }

  private append(name: EventName, data: object, hosts: readonly string[] | null): void {
    for (const { onChange, onReset } of this.followers) {
      if (name === 'reset') onReset();
      else if (name === 'change') onChange((data as { readonly collection: CollectionName }).collection, hosts ?? []);
    }
    this.log.append(name, { at: new Date(this.parts.now()).toISOString(), ...data }, hosts);
  }

  private stop(): void {
    this.sources?.close();
    this.sources = null;
    this.log.restart();
  }
}

/** The store, and the load of the fleet. */
class Sources implements ChangeListener {
  private readonly parts: EventParts;
  private readonly setTimer: SetTimer;
  private readonly append: (name: EventName, data: object, hosts: readonly string[] | null) => void;
  readonly ready: Promise<void>;
  private store: Store | null = null;
  private watch: StoreWatch | null = null;
  private isClosed = false;
  private isLost = false;
  private isWatched = false;
  /** Whether readers have begun. */
  private isReady = false;
  private cancelRetry: () => void = () => {};
  private loadedUntil: string;
  private cancelLoad: () => void = () => {};

  constructor(parts: EventParts, setTimer: SetTimer, append: Sources['append']) {
    this.parts = parts;
    this.setTimer = setTimer;
    this.append = append;
    this.loadedUntil = new Date(parts.now()).toISOString();
    this.ready = this.attempt();
    this.lookLater();
  }

  changed(collection: CollectionName, names: readonly string[]): void {
    for (let from = 0; from < names.length; from += namesMax) {
      const some = names.slice(from, from + namesMax);
      this.append('change', { collection, names: some }, some);
    }
  }

  expired(): void {
    // A store that reports no changes says this all the time.
    if (this.store?.capabilities.changes !== 'expiry') this.append('reset', { why: 'store' }, null);
  }

  lost(error: Error): void {
    this.isLost = true;
    this.append('store', { state: 'lost', error: error.message }, null);
  }

  restored(): void {
    const isFirst = !this.isWatched;
    this.isWatched = true;
    if (this.isLost) this.append('store', { state: 'restored', error: null }, null);
    // Readers that have not begun yet have missed nothing.
    if (this.isLost || !isFirst || this.isReady) this.append('reset', { why: 'store' }, null);
    this.isLost = false;
  }

  close(): void {
    this.isClosed = true;
    this.cancelLoad();
    this.cancelRetry();
    this.watch?.close();
    void this.store?.close();
  }

  /** Whether the store reports changes. */
  get reports(): boolean {
    return this.isWatched && this.store !== null && this.store.capabilities.changes !== 'expiry';
  }

  /** Tries until the store can be opened. */
  private async attempt(): Promise<void> {
    try {
      await this.open();
    } catch (error) {
      const { message } = error as Error;
      if (!this.isLost) {
        this.parts.log.warn(`the store cannot be watched for the events of the admin API: ${message}`);
        this.append('store', { state: 'lost', error: message }, null);
      }
      this.isLost = true;
      if (!this.isClosed) this.cancelRetry = this.setTimer(retryMs, () => void this.attempt());
    }
    this.isReady = true;
  }

  private async open(): Promise<void> {
    const store = await this.parts.openWatched();
    if (this.isClosed) {
      await store.close();
      return;
    }
    this.store = store;
    this.watch = new StoreWatch({ store });
    this.watch.add(this);
    await this.watch.start();
  }

  private lookLater(): void {
    if (!this.isClosed) this.cancelLoad = this.setTimer(loadEveryMs, () => void this.look());
  }

  private async look(): Promise<void> {
    try {
      const { windows } = await this.parts.performer.perform('showLoad', { after: this.loadedUntil });
      for (const { at, ...load } of windows) {
        this.loadedUntil = at;
        if (!this.isClosed) this.append('load', { ...load, at }, null);
      }
    } catch {
      // An instance that is stopping does not answer.
    } finally {
      this.lookLater();
    }
  }
}

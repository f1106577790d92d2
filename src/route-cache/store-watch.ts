import { BackOff } from '../base/back-off.ts';
import { type Clock, systemClock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { RateLimitedLog } from '../base/rate-limited-log.ts';
import { type SetTimer, setRealTimer } from '../base/timer.ts';
import type { ChangeListener, CollectionName, Store } from '../stores/contract.ts';

/** Pauses before a store that cannot be watched is asked again. */
const pauses = { firstMs: 100, longestMs: 5000 };

export interface StoreWatchOptions {
  readonly store: Pick<Store, 'watch'>;
  readonly clock?: Clock;
  readonly setTimer?: SetTimer;
  readonly log?: Pick<Log, 'info' | 'warn'>;
}

/**
 * The one listener of a store, for the caches of this process: asks to be told, for as long as it takes, and passes on
 * what it hears to all of them. Listeners begin as if the store were lost; the first they hear is `restored`.
 */
export class StoreWatch implements ChangeListener {
  readonly #store: Pick<Store, 'watch'>;
  readonly #setTimer: SetTimer;
  readonly #log: Pick<Log, 'info' | 'warn'>;
  readonly #rare: RateLimitedLog;
  readonly #listeners: Partial<ChangeListener>[] = [];
  #state: 'starting' | 'connected' | 'lost' = 'starting';
  #closed = false;
  readonly #pauses = new BackOff(pauses);
  #cancel: (() => void) | null = null;

  constructor(options: StoreWatchOptions) {
    this.#store = options.store;
    this.#setTimer = options.setTimer ?? setRealTimer;
    this.#log = options.log ?? silent;
    this.#rare = new RateLimitedLog((what, fields) => this.#log.warn(what, fields), options.clock ?? systemClock);
  }

  /** Whether the store tells of changes at present. */
  get connected(): boolean {
    return this.#state === 'connected';
  }

  /** From now on `listener` hears what the store tells, as far as it has methods for it. */
  add(listener: Partial<ChangeListener>): void {
    this.#listeners.push(listener);
    if (this.connected) listener.restored?.();
  }

  /** Begins to listen. Resolves after the first attempt; one that fails is made again, with growing waits. */
  async start(): Promise<void> {
    await this.#attempt();
  }

  /** Nothing is passed on any more. The store is its owner's to close. */
  close(): void {
    this.#closed = true;
    this.#cancel?.();
  }

  changed(collection: CollectionName, keys: readonly string[]): void {
    if (!this.#closed) for (const listener of this.#listeners) listener.changed?.(collection, keys);
  }

  expired(): void {
    if (!this.#closed) for (const listener of this.#listeners) listener.expired?.();
  }

  revised(): void {
    if (!this.#closed) for (const listener of this.#listeners) listener.revised?.();
  }

  lost(error: Error): void {
    if (this.#closed) return;
    this.#log.warn(
      this.#state === 'starting'
        ? 'the store is not there yet: it is waited for, and until then requests get 503'
        : 'the store is lost; what is known goes on being served',
      { error },
    );
    this.#state = 'lost';
    for (const listener of this.#listeners) listener.lost?.(error);
  }

  restored(): void {
    if (this.#closed) return;
    if (this.#state === 'lost') this.#log.info('the store is there; what is known is verified as it is used');
    this.#state = 'connected';
    for (const listener of this.#listeners) listener.restored?.();
  }

  async #attempt(): Promise<void> {
    this.#cancel = null;
    if (this.#closed) return;
    try {
      await this.#store.watch(this);
      // A store that was not there has said so, and will tell when it is.
      if (this.#state === 'starting') this.restored();
    } catch (error) {
      this.#rare.report('the store does not tell of changes; trying again', { error });
      this.#cancel = this.#setTimer(this.#pauses.next(), () => void this.#attempt());
    }
  }
}

function ignore(): void {}

const silent: Pick<Log, 'info' | 'warn'> = { info: ignore, warn: ignore };

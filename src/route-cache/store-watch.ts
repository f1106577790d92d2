import { BackOff } from '../base/back-off.ts';
import { type Clock, systemClock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { RateLimitedLog } from '../base/rate-limited-log.ts';
import { type SetTimer, setRealTimer } from '../base/timer.ts';
import type { ChangeListener, CollectionName, Store, StoreCapabilities } from '../stores/contract.ts';
import { type OnInternalError, throwInternalError } from './route-cache-options.ts';

/** Pauses between attempts to watch the store. */
const pauses = { firstMs: 100, longestMs: 5000 };

type WatchedStore = Pick<Store, 'watch'> & { readonly capabilities: Pick<StoreCapabilities, 'changes'> };

export interface StoreWatchOptions {
  readonly store: WatchedStore;
  readonly clock?: Clock;
  readonly setTimer?: SetTimer;
  readonly log?: Pick<Log, 'info' | 'warn'>;
  readonly onInternalError?: OnInternalError;
}

/**
 * The one listener of a store, for all caches of this process. It keeps trying until it watches the store, and passes
 * every call on. To its listeners the store is lost until they get `restored`.
 */
export class StoreWatch implements ChangeListener {
  private readonly store: WatchedStore;
  private readonly setTimer: SetTimer;
  private readonly log: Pick<Log, 'info' | 'warn'>;
  private readonly problemLog: RateLimitedLog;
  private readonly onInternalError: OnInternalError;
  private readonly listeners: Partial<ChangeListener>[] = [];
  private state: 'starting' | 'connected' | 'lost' = 'starting';
  private closed = false;
  private readonly pauses = new BackOff(pauses);
  private cancel: (() => void) | null = null;

  constructor(options: StoreWatchOptions) {
    this.store = options.store;
    this.setTimer = options.setTimer ?? setRealTimer;
    this.log = options.log ?? silent;
    this.onInternalError = options.onInternalError ?? throwInternalError;
    this.problemLog = new RateLimitedLog((what, fields) => this.log.warn(what, fields), options.clock ?? systemClock);
  }

  /** Whether the store reports changes at present. */
  get connected(): boolean {
    return this.state === 'connected';
  }

  /** Passes calls on to `listener` from now on, as far as it has methods for them. */
  add(listener: Partial<ChangeListener>): void {
    this.listeners.push(listener);
    if (this.connected) listener.restored?.();
  }

  /** Starts to watch. Resolves after the first attempt; failed attempts are repeated with growing pauses. */
  async start(): Promise<void> {
    await this.attempt();
  }

  /** Passes nothing on any more. The owner of the store closes it. */
  close(): void {
    this.closed = true;
    this.cancel?.();
  }

  changed(collection: CollectionName, keys: readonly string[]): void {
    if (!this.closed) this.pass((listener) => listener.changed?.(collection, keys));
  }

  expired(): void {
    if (!this.closed) this.pass((listener) => listener.expired?.());
  }

  revised(): void {
    if (!this.closed) this.pass((listener) => listener.revised?.());
  }

  lost(error: Error): void {
    if (this.closed) return;
    this.log.warn(
      this.state === 'starting'
        ? 'cannot connect to the store; requests get 503 until it is there'
        : 'the connection to the store is lost; known routes are still served',
      { error },
    );
    this.state = 'lost';
    this.pass((listener) => listener.lost?.(error));
  }

  restored(): void {
    if (this.closed) return;
    if (this.state === 'lost') {
      const { changes } = this.store.capabilities;
      this.log.info('connected to the store; known routes are verified as they are used', { changes });
    }
    this.state = 'connected';
    this.pass((listener) => listener.restored?.());
  }

  /** A listener that throws may be inconsistent, so everything it holds expires. The others are not affected. */
  private pass(call: (listener: Partial<ChangeListener>) => void): void {
    for (const listener of this.listeners) {
      try {
        call(listener);
      } catch (error) {
        this.onInternalError('a listener of the store', error as Error);
        this.expire(listener);
      }
    }
  }

  private expire(listener: Partial<ChangeListener>): void {
    try {
      listener.expired?.();
    } catch (error) {
      this.onInternalError('a listener of the store', error as Error);
    }
  }

  private async attempt(): Promise<void> {
    this.cancel = null;
    if (this.closed) return;
    try {
      await this.store.watch(this);
      // A store that is not there yet has called `lost`, and will call `restored`.
      if (this.state === 'starting') this.restored();
    } catch (error) {
      this.problemLog.report('the store does not report changes; trying again', { error });
      this.cancel = this.setTimer(this.pauses.next(), () => void this.attempt());
    }
  }
}

function ignore(): void {}

const silent: Pick<Log, 'info' | 'warn'> = { info: ignore, warn: ignore };

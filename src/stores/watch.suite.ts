import type { ChangeListener, CollectionName } from './contract.ts';

type EventName = 'lost' | 'restored' | 'expired';

interface Waiting {
  readonly collection: CollectionName;
  readonly key: string;
  resolve(): void;
}

/** A listener that can be waited for. */
export class Watch implements ChangeListener {
  losses = 0;
  restorations = 0;
  expirations = 0;
  /** Every reported pattern of a route. */
  readonly routes: string[] = [];
  private readonly waiting: Waiting[] = [];
  private readonly events: { name: EventName; resolve: () => void }[] = [];

  /** Resolves with the next reported change of this record. */
  next(collection: CollectionName, key: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.waiting.push({ collection, key, resolve });
    return promise;
  }

  /** Resolves with the next call of this method. */
  event(name: EventName): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.events.push({ name, resolve });
    return promise;
  }

  changed(collection: CollectionName, keys: readonly string[]): void {
    if (collection === 'routes') this.routes.push(...keys);
    for (const waiting of this.waiting.splice(0)) {
      if (waiting.collection === collection && keys.includes(waiting.key)) waiting.resolve();
      else this.waiting.push(waiting);
    }
  }

  expired(): void {
    this.expirations++;
    this.call('expired');
  }

  lost(_error?: Error): void {
    this.losses++;
    this.call('lost');
  }

  restored(): void {
    this.restorations++;
    this.call('restored');
  }

  private call(name: EventName): void {
    for (const event of this.events.splice(0)) {
      if (event.name === name) event.resolve();
      else this.events.push(event);
    }
  }
}

import { randomUUID } from 'node:crypto';
import { Lease } from '../stores/lease.ts';
import type { OrderMeansOfFleet, OrderOutcome } from './order-means.ts';
import { PatternOrder } from './pattern-order.ts';

/**
 * Orders and renews the certificate of one pattern at a time, under a lease, so that the fleet orders once. Everything that it
 * knows is in the store: another process goes on with an order whose holder has ended, with the same key.
 */
export class NameOrders {
  private readonly means: OrderMeansOfFleet;

  constructor(means: OrderMeansOfFleet) {
    this.means = means;
  }

  /** Does what is due for a pattern. @throws errors of the store. */
  async look(pattern: string): Promise<OrderOutcome> {
    const { instance, store } = this.means;
    let lost: Error | null = null;
    const lease = await Lease.acquire({
      notes: store.notes,
      name: `order:${pattern}`,
      holder: `${instance} ${randomUUID()}`,
      onLost: (error) => {
        lost = error;
      },
    });
    if (typeof lease === 'string') return { kind: 'busy', holder: lease.split(' ')[0] ?? lease };
    const order = new PatternOrder(this.means, pattern, () => {
      if (lost !== null) throw lost;
    });
    try {
      return await order.look();
    } finally {
      // If the store is away, it ends by itself.
      await lease.release().catch(() => {});
    }
  }
}

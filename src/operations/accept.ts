import { randomUUID } from 'node:crypto';
import type { Store } from '../stores/contract.ts';
import { type FleetInstance, listFleet } from './fleet.ts';

/** The outcome of `route accept`. */
export interface AcceptedRoutes {
  /** ISO 8601, UTC. */
  readonly accepted: string;
  /** The instances that held routes before; null if the store cannot tell. */
  readonly holding: readonly Pick<FleetInstance, 'instance' | 'heldRoutes'>[] | null;
}

/** Accepts that the store does not have routes that it had: instances whose wipe guard holds them drop them. */
export async function acceptRoutes(
  store: Pick<Store, 'acceptance' | 'instances'>,
  nowMs: number,
): Promise<AcceptedRoutes> {
  const fleet = store.instances === null ? null : await listFleet(store, nowMs);
  const accepted = new Date(nowMs).toISOString();
  // Two acceptances in one millisecond differ as well.
  await store.acceptance.write(`${accepted} ${randomUUID()}`);
  const holding = fleet?.instances
    .filter(({ heldRoutes }) => heldRoutes > 0)
    .map(({ instance, heldRoutes }) => ({ instance, heldRoutes }));
  return { accepted, holding: holding ?? null };
}

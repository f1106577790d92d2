import { networkOf } from '../base/client-network.ts';
import type { OrderAllowance } from './order-budget.ts';
import type { PlannedOrder } from './order-means.ts';
import { registeredDomain } from './registered-domain.ts';

/** `acme` of the configuration, as far as it bounds orders. */
export interface OrderBounds {
  readonly ordersPerHourMax: number;
  readonly ordersPerDomainMax: number;
  readonly ordersPerAddressMax: number;
}

/** The part of all orders that is left to hosts with a route of their own. Clients can make up the others. */
const reservedPart = 1 / 2;

/** The allowances that an order is counted by. Renewals are not bounded: they come as often as there are certificates. */
export function allowancesOf({ isRenewal, pattern, wish }: PlannedOrder, bounds: OrderBounds): OrderAllowance[] {
  if (isRenewal) return [];
  const { ordersPerDomainMax, ordersPerHourMax } = bounds;
  const domain = registeredDomain(pattern);
  const ofMadeUp = Math.max(1, Math.floor(ordersPerHourMax * (1 - reservedPart)));
  const ofDomain = {
    of: `domain ${domain}`,
    perHourMax: ordersPerDomainMax,
    why: `the ${ordersPerDomainMax} orders of this hour for ${domain} are used up (acme.ordersPerDomainMax)`,
  };
  const ofMadeUpInDomain = Math.max(1, Math.floor(ordersPerDomainMax * (1 - reservedPart)));
  const ofWildcardsInDomain = {
    of: `wildcards of ${domain}`,
    perHourMax: ofMadeUpInDomain,
    why: `the ${ofMadeUpInDomain} orders of this hour for hosts of ${domain} without a route of their own are used up (half of acme.ordersPerDomainMax)`,
  };
  const ofWildcards = {
    of: 'wildcards',
    perHourMax: ofMadeUp,
    why: `the ${ofMadeUp} orders of this hour for hosts without a route of their own are used up (half of acme.ordersPerHourMax)`,
  };
  const ofAll = {
    of: '',
    perHourMax: ordersPerHourMax,
    why: `the ${ordersPerHourMax} orders of this hour are used up (acme.ordersPerHourMax)`,
  };
  return [...(wish === 'inherited' ? [ofWildcardsInDomain, ofWildcards] : []), ofDomain, ofAll];
}

/** The allowances by which the looks are counted that clients cause at hosts that a wildcard covers: each asks the DNS and a server. @param address of the client. */
export function allowancesOfClient(
  address: string,
  { ordersPerAddressMax, ordersPerHourMax }: OrderBounds,
): OrderAllowance[] {
  const network = networkOf(address);
  const why = `the ${ordersPerAddressMax} orders of this hour that clients of ${network} may cause are used up (acme.ordersPerAddressMax)`;
  const ofAll = {
    of: 'clients',
    perHourMax: ordersPerHourMax,
    why: `the ${ordersPerHourMax} looks of this hour for hosts without a route of their own are used up (acme.ordersPerHourMax)`,
  };
  return [{ of: `address ${network}`, perHourMax: ordersPerAddressMax, why }, ofAll];
}

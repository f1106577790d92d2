import { type Network, Networks } from '../base/networks.ts';
import type { AdmissionRule, AskedRequest, Refusal } from './admission.ts';

/**
 * Which clients may see a host, by address. A denied one may not, also where it is allowed as well. With a list of allowed
 * ones, nobody else may: a list whose items are all wrong allows nobody, rather than everybody.
 */
export class AccessList implements AdmissionRule {
  private readonly allowed: Networks | null;
  private readonly denied: Networks;

  /** @param allowed null: all. */
  constructor(allowed: readonly Network[] | null, denied: readonly Network[]) {
    this.allowed = allowed === null ? null : Networks.of(allowed);
    this.denied = Networks.of(denied);
  }

  refuse({ clientAddress }: AskedRequest): Refusal | null {
    const isAllowed = this.allowed === null || this.allowed.has(clientAddress);
    if (isAllowed && !this.denied.has(clientAddress)) return null;
    return { code: 'ACCESS_DENIED', status: 403, detail: `client ${clientAddress}`, fields: null };
  }
}

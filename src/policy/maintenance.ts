import { type Network, Networks } from '../base/networks.ts';
import { FieldLines } from '../http/field-lines.ts';
import type { AdmissionRule, AskedRequest, Refusal } from './admission.ts';

/** Value of the option `retryAfter` where nobody sets it. */
export const retryAfterDefault = '5m';

/** Responds with 503 in place of the backends, except to those who are allowed to look. */
export class Maintenance implements AdmissionRule {
  private readonly allowed: Networks;
  private readonly fields = new FieldLines();

  /** @param retryAfterMs value of `Retry-After`; 0: it is not sent. */
  constructor(allowed: readonly Network[], retryAfterMs: number) {
    this.allowed = Networks.of(allowed);
    if (retryAfterMs > 0) this.fields.add('retry-after', String(Math.ceil(retryAfterMs / 1000)));
  }

  refuse({ clientAddress }: AskedRequest): Refusal | null {
    if (this.allowed.has(clientAddress)) return null;
    return { code: 'MAINTENANCE', status: 503, detail: '', fields: this.fields };
  }
}

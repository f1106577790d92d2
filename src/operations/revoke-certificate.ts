import { randomUUID, X509Certificate } from 'node:crypto';
import { Accounts } from '../acme/accounts.ts';
import { AcmeError } from '../acme/acme-error.ts';
import { fingerprintOf, orderNoteName, readOrderState, requestOrder } from '../acme/order-state.ts';
import { HipacheError } from '../base/errors.ts';
import type { Config } from '../config/config.ts';
import { parsePattern } from '../routing/host.ts';
import type { Store } from '../stores/contract.ts';
import { authoritiesOf } from './authorities.ts';
import type { Operation } from './operation.ts';

/** Reasons of a revocation that a customer may give (RFC 5280 section 5.3.1). */
export const revocationReasons: Readonly<Record<string, number>> = {
  unspecified: 0,
  keyCompromise: 1,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
};

export interface RevokedCertificate {
  readonly pattern: string;
  /** Hexadecimal. */
  readonly serial: string;
  readonly authority: string;
  readonly reason: string;
  /** Whether the instances have been asked for a new one. */
  readonly isReplaced: boolean;
}

/**
 * Revokes the certificate that was ordered for a host, and has another one ordered.
 * @param acme of the configuration; null if there is none.
 * @throws HipacheError COMMAND_INVALID; NOT_FOUND; CERTIFICATE_ORDER_FAILED with the reason of the authority.
 */
export function revokeCertificate(
  host: string,
  reason: string,
  acme: Config['acme'] | null,
  now: () => number,
): Operation<Pick<Store, 'certificates' | 'notes'>, RevokedCertificate> {
  const pattern = parsePattern(host);
  const code = revocationReasons[reason];
  if (code === undefined) {
    const allowed = Object.keys(revocationReasons).join(', ');
    throw new HipacheError('COMMAND_INVALID', `--reason: found ${JSON.stringify(reason)}, allowed ${allowed}`);
  }
  return async ({ certificates, notes }) => {
    const [found = null] = await certificates.read([pattern]);
    const { issued } = readOrderState(await notes.read(orderNoteName(pattern)));
    if (found === null || issued === null || issued.fingerprint !== fingerprintOf(found.certificate)) {
      throw new HipacheError('NOT_FOUND', `${pattern} has no certificate that Hipache has ordered`);
    }
    const { raw, serialNumber } = new X509Certificate(found.certificate);
    const authority = (acme === null ? [] : await authoritiesOf(acme)).find(
      (one) => one.directory === issued.authority,
    );
    if (acme === null || authority === undefined) {
      throw new HipacheError(
        'COMMAND_INVALID',
        `${pattern} has its certificate from ${issued.authority}, which acme.directory of this configuration does not name`,
      );
    }
    const accounts = new Accounts({ notes, instance: `command-${randomUUID()}`, passphrase: acme.passphrase });
    try {
      await (await accounts.client(authority)).revoke(raw, code);
    } catch (error) {
      if (!(error instanceof AcmeError)) throw error;
      // It may have been revoked by somebody else, and is to be replaced all the same.
      if (error.type !== 'alreadyRevoked') {
        throw new HipacheError('CERTIFICATE_ORDER_FAILED', `${pattern}: ${issued.authority}: ${error.message}`);
      }
    }
    const isReplaced = await requestOrder(notes, pattern, now());
    return { pattern, serial: serialNumber, authority: issued.authority, reason, isReplaced };
  };
}

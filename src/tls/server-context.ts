import { constants } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import { HipacheError } from '../base/errors.ts';
import type { TlsSettings } from './bind-options.ts';

/** A certificate with its key and the rest of what it needs, as texts. */
export interface ContextMaterial {
  readonly certificate: string;
  readonly key: string;
  readonly passphrase?: string | undefined;
  /** Certificates that complete the chain. */
  readonly ca?: readonly string[];
}

/** The same for every context, so that every worker and every certificate's context accepts the session of another. */
const sessionIdContext = 'hipache';

/**
 * Creates OpenSSL's context for one certificate. `material` is null for a listener without a certificate of its own.
 * @param ticketKeys 48 bytes, see `TlsState`.
 * @throws HipacheError CERTIFICATE_INVALID.
 */
export function serverContext(
  material: ContextMaterial | null,
  settings: TlsSettings,
  ticketKeys: Uint8Array,
): SecureContext {
  try {
    return createSecureContext({
      ...settings,
      honorCipherOrder: settings.honorCipherOrder ?? true,
      // Nobody needs renegotiation any more, except to keep the server busy with handshakes (CVE-2011-1473).
      secureOptions: (settings.secureOptions ?? 0) | constants.SSL_OP_NO_RENEGOTIATION,
      ...(material === null ? {} : { cert: material.certificate, key: material.key }),
      ...(material?.passphrase === undefined ? {} : { passphrase: material.passphrase }),
      // Never undefined: Node's own authorities are of no use here, and take long to load.
      ca: [...(material?.ca ?? [])],
      ticketKeys: Buffer.from(ticketKeys),
      sessionIdContext,
    });
  } catch (cause) {
    throw new HipacheError('CERTIFICATE_INVALID', `OpenSSL refuses it: ${(cause as Error).message}`, { cause });
  }
}

/** The non-public method that changes a context's ticket keys in place. */
interface ContextHandle {
  setTicketKeys(keys: Uint8Array): void;
}

/** Seals sessions with these keys from now on. Tickets sealed with other keys lead to a full handshake. */
export function changeTicketKeys(context: SecureContext, keys: Uint8Array): void {
  (context.context as ContextHandle).setTicketKeys(Buffer.from(keys));
}

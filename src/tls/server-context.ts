import { constants } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import { HipacheError } from '../base/errors.ts';
import type { TlsSettings } from './bind-options.ts';

/** A certificate with its key and all that goes with it, as texts. */
export interface ContextMaterial {
  readonly certificate: string;
  readonly key: string;
  readonly passphrase?: string | undefined;
  /** Certificates that complete the chain. */
  readonly ca?: readonly string[];
}

/** Of every context: a session of one worker, or of one certificate's context, is known to all others. */
const sessionIdContext = 'hipache';

/**
 * Makes what OpenSSL needs for one certificate; null material for a listener that has none of its own.
 * @param ticketKeys 48 bytes, see `TicketKeys`.
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
      // Of use to nobody any more but to who wants to keep the server busy with handshakes (CVE-2011-1473).
      secureOptions: (settings.secureOptions ?? 0) | constants.SSL_OP_NO_RENEGOTIATION,
      ...(material === null ? {} : { cert: material.certificate, key: material.key }),
      ...(material?.passphrase === undefined ? {} : { passphrase: material.passphrase }),
      // Never undefined: the authorities that Node comes with have no use here, and take long to load.
      ca: [...(material?.ca ?? [])],
      ticketKeys: Buffer.from(ticketKeys),
      sessionIdContext,
    });
  } catch (cause) {
    throw new HipacheError('CERTIFICATE_INVALID', `OpenSSL refuses it: ${(cause as Error).message}`, { cause });
  }
}

/** What of a context's handle is used besides the public interface: its ticket keys can be changed in place. */
interface ContextHandle {
  setTicketKeys(keys: Uint8Array): void;
}

/** Sessions are sealed with these keys from now on; tickets sealed with others lead to a whole handshake. */
export function changeTicketKeys(context: SecureContext, keys: Uint8Array): void {
  (context.context as ContextHandle).setTicketKeys(Buffer.from(keys));
}

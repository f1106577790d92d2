import { constants } from 'node:crypto';
import { createSecureContext, DEFAULT_CIPHERS, type SecureContext } from 'node:tls';
import { HipacheError } from '../base/errors.ts';
import type { TlsSettings } from './bind-options.ts';
import { type TicketKeys, useTicketKeys } from './ticket-keys.ts';

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
 * @throws HipacheError CERTIFICATE_INVALID.
 */
export function serverContext(
  material: ContextMaterial | null,
  settings: TlsSettings,
  ticketKeys: TicketKeys,
): SecureContext {
  try {
    const context = createSecureContext({
      ...settings,
      honorCipherOrder: settings.honorCipherOrder ?? true,
      // Nobody needs renegotiation any more, except to keep the server busy with handshakes (CVE-2011-1473).
      secureOptions: (settings.secureOptions ?? 0) | constants.SSL_OP_NO_RENEGOTIATION,
      ...(material === null ? {} : { cert: material.certificate, key: material.key }),
      ...(material?.passphrase === undefined ? {} : { passphrase: material.passphrase }),
      // Never undefined: Node's own authorities are of no use here, and take long to load.
      ca: [...(material?.ca ?? [])],
      sessionIdContext,
    });
    useTicketKeys(context, ticketKeys);
    return context;
  } catch (cause) {
    throw refusal(cause);
  }
}

/** The non-public methods of a context that are used here. */
interface ContextHandle {
  /** Sets certificate and chain. */
  setCert(certificate: string): void;
  /** Frees it. It must not be used any more. */
  close(): void;
}

/**
 * Creates OpenSSL's context for a certificate chosen by SNI. Node only takes certificate, chain and key from it: the
 * settings, and what seals sessions, are those of the listener with whose context the handshake began. So it has no
 * settings, and one cipher: lists of ciphers take memory and time.
 * @param authorities of the certificates of clients, in PEM; each of them is trusted by itself, also if another authority has signed it.
 * @throws HipacheError CERTIFICATE_INVALID.
 */
export function certificateContext(material: ContextMaterial, authorities: readonly string[] = []): SecureContext {
  const { ca = [], certificate, key, passphrase } = material;
  try {
    const context = createSecureContext({
      cert: [certificate, ...ca].join('\n'),
      key,
      ...(passphrase === undefined ? {} : { passphrase }),
      ca: [...authorities],
      allowPartialTrustChain: authorities.length > 0,
      ciphers: oneCipher,
    });
    dropCopies(context);
    materials.set(context, material);
    return context;
  } catch (cause) {
    throw refusal(cause);
  }
}

/** The material of the contexts of certificates. */
const materials = new WeakMap<SecureContext, ContextMaterial>();

/** The material of the context of a certificate; undefined of another context. */
export function materialOf(context: SecureContext): ContextMaterial | undefined {
  return materials.get(context);
}

/** The level of security, where Node's command line sets one, decides which certificates are strong enough. */
const securityLevel = /@SECLEVEL=\d/.exec(DEFAULT_CIPHERS)?.[0];
const oneCipher =
  securityLevel === undefined
    ? 'TLS_AES_128_GCM_SHA256'
    : `TLS_AES_128_GCM_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256${securityLevel}`;

/**
 * Drops Node's own copies of certificate and issuer, some 11 KB, which only `getCertificate` and `getIssuer` return. Node
 * does so before it looks at a new certificate; as this one is none, OpenSSL keeps what it has.
 */
function dropCopies(context: SecureContext): void {
  try {
    (context.context as ContextHandle).setCert('');
  } catch {
    // "no start line"
  }
}

let closing: SecureContext[] = [];

/**
 * Frees a context that no handshake will choose any more: the garbage collector does not know how large it is, and comes
 * late. Connections that have chosen it have all that they need. Those that choose it at this moment do so before the next
 * turn of the event loop.
 */
export function closeSoon(context: SecureContext): void {
  closing.push(context);
  if (closing.length > 1) return;
  setImmediate(() => {
    const contexts = closing;
    closing = [];
    for (const one of contexts) (one.context as ContextHandle).close();
  });
}

/** What is kept of a certificate besides its texts, in bytes: entries of maps, the name, and what the heap has beside them. */
const entryBytes = 1000;
/** Measured with `npm run bench -- --only certificates-memory`: a context without certificate, a key, each certificate. */
const emptyContextBytes = 18_600;
const keyBytes = 1300;
const certificateBytes = 2000;
/** What OpenSSL makes of a character of a certificate: most with many names, less with keys of RSA. */
const bytesPerChar = 5;

/** Estimated memory of the texts of a certificate, in bytes. */
export function materialBytes({ certificate, key }: ContextMaterial): number {
  return entryBytes + certificate.length + (key === certificate ? 0 : key.length);
}

/** Estimated memory of the context of a certificate, in bytes. */
export function certificateContextBytes({ certificate }: ContextMaterial): number {
  const count = certificate.split('BEGIN CERTIFICATE').length - 1;
  return emptyContextBytes + keyBytes + count * certificateBytes + certificate.length * bytesPerChar;
}

function refusal(cause: unknown): HipacheError {
  return new HipacheError('CERTIFICATE_INVALID', `OpenSSL refuses it: ${(cause as Error).message}`, { cause });
}

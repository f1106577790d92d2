import { readFileSync } from 'node:fs';
import { createSecureContext, type SecureContext } from 'node:tls';
import { HipacheError } from '../base/errors.ts';

/** How connections to `https://` backends are made. */
export interface BackendTls {
  readonly context: SecureContext;
  /** Whether a backend has to show a certificate that is trusted and names it. */
  readonly verify: boolean;
}

/**
 * @param ca paths of PEM files with the authorities that are trusted, and no others; empty for those that Node comes
 *   with and those of NODE_EXTRA_CA_CERTS.
 * @throws HipacheError CERTIFICATE_INVALID.
 */
export function backendTls(ca: readonly string[], verify: boolean): BackendTls {
  const authorities = ca.map((path) => {
    try {
      const text = readFileSync(path, 'latin1');
      if (!text.includes('-----BEGIN CERTIFICATE-----')) throw new Error('it has no PEM certificate');
      return text;
    } catch (cause) {
      throw new HipacheError('CERTIFICATE_INVALID', `backendTls.ca: ${path}: ${(cause as Error).message}`, { cause });
    }
  });
  try {
    return { context: createSecureContext(authorities.length === 0 ? {} : { ca: authorities }), verify };
  } catch (cause) {
    throw new HipacheError('CERTIFICATE_INVALID', `backendTls.ca: ${(cause as Error).message}`, { cause });
  }
}

import { createSecureContext, type SecureContext } from 'node:tls';
import { HipacheError } from '../base/errors.ts';
import { readRegularFileSync } from '../base/regular-file.ts';

/** Largest file of authorities, in bytes; all public ones take about 250 KiB. */
const fileBytesMax = 16 * 1024 * 1024;

/** How to connect to `https://` backends. */
export interface BackendTls {
  readonly context: SecureContext;
  /** Whether a backend must present a trusted certificate for its name. */
  readonly verify: boolean;
  /** The protocols that are offered to `https://` backends, in order of preference: `h2` and `http/1.1`. */
  readonly alpn: readonly string[];
}

/**
 * @param ca paths of PEM files with the only trusted authorities; if empty, those of Node and of NODE_EXTRA_CA_CERTS
 * are trusted.
 * @param alpn protocols that `https://` backends may choose from.
 * @throws HipacheError CERTIFICATE_INVALID.
 */
export function backendTls(ca: readonly string[], verify: boolean, alpn: readonly string[] = ['http/1.1']): BackendTls {
  const authorities = ca.map((path) => {
    try {
      const text = readRegularFileSync(path, fileBytesMax).latin1Slice();
      if (!text.includes('-----BEGIN CERTIFICATE-----')) throw new Error('it contains no PEM certificate');
      return text;
    } catch (cause) {
      throw new HipacheError('CERTIFICATE_INVALID', `backendTls.ca: ${path}: ${(cause as Error).message}`, { cause });
    }
  });
  try {
    return { context: createSecureContext(authorities.length === 0 ? {} : { ca: authorities }), verify, alpn };
  } catch (cause) {
    throw new HipacheError('CERTIFICATE_INVALID', `backendTls.ca: ${(cause as Error).message}`, { cause });
  }
}

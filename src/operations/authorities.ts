import type { CertificateAuthority } from '../acme/accounts.ts';
import { acmeTransport } from '../acme/transport.ts';
import { readRegularFile } from '../base/regular-file.ts';
import { packageVersion } from '../base/version.ts';
import type { Config } from '../config/config.ts';

/** How long one response of an authority may take, in ms. */
const responseMs = 30_000;
/** Largest file of trusted authorities, in bytes. */
const caBytesMax = 16 * 1024 * 1024;

/** The configured authorities, in their order. @throws Error that says why the file of `acme.ca` cannot be used. */
export async function authoritiesOf(acme: Config['acme']): Promise<CertificateAuthority[]> {
  const { contact, externalAccount, preferredChain, profile } = acme;
  const ca = acme.ca === null ? null : (await readRegularFile(acme.ca, caBytesMax)).toString('latin1');
  const transport = acmeTransport({ ca, userAgent: `hipache/${packageVersion()}`, timeoutMs: responseMs });
  const mailto = contact.map((address) => `mailto:${address}`);
  return acme.directory.map((directory) => ({
    ...{ directory, contact: mailto, externalAccount, profile, preferredChain, transport },
  }));
}

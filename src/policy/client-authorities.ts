import { createHash, X509Certificate } from 'node:crypto';
import type { OptionType } from './option-type.ts';

const authoritiesMax = 50;

/** Authorities whose certificates the clients of a host may show. */
export class ClientAuthorities {
  /** The same for the same authorities. */
  readonly id: string;
  /** In PEM. */
  readonly texts: readonly string[];
  private readonly certificates: readonly X509Certificate[];

  constructor(certificates: readonly X509Certificate[]) {
    this.certificates = certificates;
    this.texts = certificates.map(String);
    this.id = createHash('sha256').update(this.texts.join('')).digest('base64');
  }

  /** Whether one of them has signed the certificate, without others between, and it is valid now. @param nowMs epoch ms. */
  hasSigned(certificate: X509Certificate, nowMs: number): boolean {
    if (nowMs < Date.parse(certificate.validFrom) || nowMs > Date.parse(certificate.validTo)) return false;
    return this.certificates.some((one) => certificate.checkIssued(one) && certificate.verify(one.publicKey));
  }
}

/** Certificates of authorities in PEM; null if none of them can be used: then no certificate is one of theirs. */
export const clientAuthorities: OptionType<ClientAuthorities | null> = {
  allowed: `up to ${authoritiesMax} certificates of authorities in PEM ("-----BEGIN CERTIFICATE-----" …)`,
  parse(text, problems) {
    if (text.includes('PRIVATE KEY-----')) {
      problems.push('it has a private key, which nobody else should have: no certificate of a client is right');
      return null;
    }
    const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
    if (blocks.length > authoritiesMax)
      problems.push(`${blocks.length} certificates; those after the first ${authoritiesMax} are skipped`);
    const certificates = blocks.slice(0, authoritiesMax).flatMap((block, index) => {
      const certificate = parsed(block);
      if (typeof certificate !== 'string') return [certificate];
      problems.push(`certificate ${index + 1} ${certificate}, and is skipped`);
      return [];
    });
    if (certificates.length > 0) return new ClientAuthorities(certificates);
    problems.push('it has no authority that can be used: no certificate of a client is one of theirs');
    return null;
  },
};

/** A certificate, or what is wrong with it. */
function parsed(pem: string): X509Certificate | string {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(pem);
  } catch {
    return 'cannot be read';
  }
  if (!certificate.ca) return `(${certificate.subject.replaceAll('\n', ', ')}) is not that of an authority`;
  return certificate;
}

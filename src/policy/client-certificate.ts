import type { X509Certificate } from 'node:crypto';
import { printable } from '../base/printable.ts';
import { type AdmissionRule, type AskedRequest, addBackendFields, type ClientTls, type Refusal } from './admission.ts';
import type { ClientAuthorities } from './client-authorities.ts';
import type { FieldChanges } from './field-changes.ts';
import type { OptionType } from './option-type.ts';

export type ClientCertificateMode = 'off' | 'optional' | 'required';

/** A text that cannot be used counts as `required`. */
export const clientCertificateMode: OptionType<ClientCertificateMode> = {
  allowed: 'off, optional or required',
  parse(text, problems) {
    if (text === 'off' || text === 'optional' || text === 'required') return text;
    if (text !== '') return undefined;
    problems.push('it has no value: it counts as required');
    return 'required';
  },
};

/** RFC 9440. Those of clients are dropped. */
const dropped: ReadonlySet<string> = new Set(['client-cert', 'client-cert-chain']);
const withoutCertificate: FieldChanges = { dropped, lines: '' };

interface AcceptedCertificate {
  /** Epoch ms. */
  readonly notAfterMs: number;
  readonly changes: FieldChanges;
}

/** Why a certificate does not count. */
interface Objection {
  /** Whether the client could show another one on another connection. */
  readonly isMisdirected: boolean;
  readonly detail: string;
}

/**
 * Lets clients in by the certificate that they have shown in the TLS handshake, and tells it to backends as `Client-Cert`
 * (RFC 9440).
 */
export class ClientCertificate implements AdmissionRule {
  private readonly isRequired: boolean;
  private readonly authorities: ClientAuthorities | null;
  private readonly epochMs: () => number;
  /** The fields of each certificate that was accepted: the same for all requests of its connection. */
  private readonly accepted = new WeakMap<X509Certificate, AcceptedCertificate>();

  /** @param authorities null: no certificate is one of theirs. */
  constructor(isRequired: boolean, authorities: ClientAuthorities | null, epochMs: () => number = Date.now) {
    this.isRequired = isRequired;
    this.authorities = authorities;
    this.epochMs = epochMs;
  }

  refuse({ clientTls, stream }: AskedRequest): Refusal | null {
    const objection = this.objectionTo(clientTls);
    const certificate = objection === null ? (clientTls?.certificate ?? null) : null;
    const known = certificate === null ? undefined : this.accepted.get(certificate);
    addBackendFields(stream, known?.changes ?? withoutCertificate);
    if (!this.isRequired || objection === null) return null;
    const { detail, isMisdirected } = objection;
    return isMisdirected
      ? { code: 'MISDIRECTED', status: 421, detail, fields: null }
      : { code: 'CLIENT_CERTIFICATE_REQUIRED', status: 403, detail, fields: null };
  }

  private objectionTo(tls: ClientTls | null): Objection | null {
    const { authorities } = this;
    if (authorities === null) return denied('the option clientCa has no authority that can be used');
    if (tls === null) return denied('the connection of the client has no TLS');
    const { certificate, problem } = tls;
    // The signature is looked at again: a session that is resumed says neither who signed nor who was trusted then.
    if (certificate !== null && problem === null) {
      if (this.accepts(certificate, authorities)) return null;
    }
    if (!tls.wasAsked(authorities.id)) {
      return { isMisdirected: true, detail: 'the client was not asked for a certificate of this host' };
    }
    if (certificate === null) return denied('the client has shown no certificate');
    if (problem !== null) return denied(`the certificate of the client is refused: ${problem}`);
    return denied(`it has ended, or clientCa does not have its authority: ${printable(certificate.issuer)}`);
  }

  private accepts(certificate: X509Certificate, authorities: ClientAuthorities): boolean {
    const nowMs = this.epochMs();
    const known = this.accepted.get(certificate);
    if (known !== undefined) return nowMs <= known.notAfterMs;
    if (!authorities.hasSigned(certificate, nowMs)) return false;
    // RFC 8941 section 3.3.5: a byte sequence.
    const changes = { dropped, lines: `Client-Cert: :${certificate.raw.toString('base64')}:\r\n` };
    this.accepted.set(certificate, { notAfterMs: Date.parse(certificate.validTo), changes });
    return true;
  }
}

function denied(detail: string): Objection {
  return { isMisdirected: false, detail };
}

import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  verify,
} from 'node:crypto';
import { CertificationRequest } from '@peculiar/asn1-csr';
import { AsnParser, AsnSerializer, OctetString } from '@peculiar/asn1-schema';
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  GeneralName,
  id_ce_authorityKeyIdentifier,
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_subjectAltName,
  id_ce_subjectKeyIdentifier,
  id_kp_serverAuth,
  KeyIdentifier,
  KeyUsage,
  KeyUsageFlags,
  Name,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectKeyIdentifier,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from '@peculiar/asn1-x509';
import { bytesOfBase64url, violation } from './strict-checks.ts';

const ecdsaWithSha256 = '1.2.840.10045.4.3.2';
const extensionRequest = '1.2.840.113549.1.9.14';
const commonName = '2.5.4.3';
const day = 24 * 3600_000;

/** From when to when, in epoch ms. */
export interface StrictValidity {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

interface Signer {
  readonly name: Name;
  readonly key: KeyObject;
  readonly identifier: Buffer;
}

interface Wanted extends StrictValidity {
  readonly names: readonly string[];
  /** DER, SubjectPublicKeyInfo. */
  readonly publicKey: Buffer;
}

/** Signs certificates: with an intermediate, as public authorities do. */
export class StrictSigner {
  /** Of the intermediate, PEM. */
  private readonly intermediate: string;
  private readonly signer: Signer;

  constructor(nowMs: number) {
    const root = newSigner('Strict root');
    this.signer = newSigner('Strict intermediate');
    const life = { notBeforeMs: nowMs - 365 * day, notAfterMs: nowMs + 3650 * day };
    const extensions = [
      extension(id_ce_basicConstraints, new BasicConstraints({ cA: true }), true),
      extension(id_ce_keyUsage, new KeyUsage(KeyUsageFlags.keyCertSign), true),
      extension(id_ce_subjectKeyIdentifier, new SubjectKeyIdentifier(bytesOf(this.signer.identifier))),
    ];
    const publicKey = createPublicKey(this.signer.key).export({ type: 'spki', format: 'der' });
    const subject = this.signer.name;
    this.intermediate = pem(signed(root, { subject, publicKey, extensions, serial: newSerial(), ...life }));
  }

  /** @returns the chain, PEM, and its identifier (RFC 9773 section 4.1). */
  issue({ names, publicKey, ...life }: Wanted): { readonly chain: string; readonly identifier: string } {
    const serial = newSerial();
    const usage = new ExtendedKeyUsage([id_kp_serverAuth]);
    const extensions = [
      extension(id_ce_keyUsage, new KeyUsage(KeyUsageFlags.digitalSignature), true),
      extension(id_ce_extKeyUsage, usage),
      // Critical, as the subject is empty (RFC 5280 section 4.2.1.6).
      extension(
        id_ce_subjectAltName,
        new SubjectAlternativeName(names.map((dNSName) => new GeneralName({ dNSName }))),
        true,
      ),
    ];
    const leaf = signed(this.signer, { subject: new Name(), publicKey, extensions, serial, ...life });
    const identifier = [this.signer.identifier, serial].map((bytes) => bytes.toString('base64url')).join('.');
    return { chain: pem(leaf) + this.intermediate, identifier };
  }
}

/**
 * Checks a request for a certificate (RFC 2986, RFC 8555 section 7.4).
 * @param request base64url. @param names of the order. @param accountKey must not be its key (RFC 8555 section 11.1).
 * @returns DER of its public key. @throws StrictProblem `badCSR`.
 */
export function checkRequest(request: string, names: readonly string[], accountKey: KeyObject): Buffer {
  const der = bytesOfBase64url(request);
  let parsed: CertificationRequest;
  let publicKey: KeyObject;
  try {
    parsed = AsnParser.parse(bytesOf(der), CertificationRequest);
    const info = AsnSerializer.serialize(parsed.certificationRequestInfo.subjectPKInfo);
    publicKey = createPublicKey({ key: Buffer.from(info), type: 'spki', format: 'der' });
  } catch (error) {
    throw badRequest(`it does not parse: ${(error as Error).message}`);
  }
  const { certificationRequestInfo, signature, signatureAlgorithm } = parsed;
  if (signatureAlgorithm.algorithm !== ecdsaWithSha256)
    throw badRequest(`it is signed by ${signatureAlgorithm.algorithm}`);
  if (publicKey.asymmetricKeyDetails?.namedCurve !== 'prime256v1') throw badRequest('its key is not of P-256');
  if (!verify('sha256', firstPartOf(der), publicKey, Buffer.from(signature)))
    throw badRequest('its signature is wrong');
  if (publicKey.equals(accountKey)) throw badRequest('its key is that of the account');
  const called = certificationRequestInfo.subject.flat().map(({ type, value }) => ({ type, value: value.toString() }));
  const asked = alternativeNames(certificationRequestInfo.attributes);
  if (called.some(({ type, value }) => type !== commonName || !asked.includes(value)))
    throw badRequest('it has a subject');
  if (JSON.stringify(asked.toSorted()) !== JSON.stringify(names.toSorted())) {
    throw badRequest(`it is for ${asked.join(', ')}, and the order is for ${names.join(', ')}`);
  }
  return publicKey.export({ type: 'spki', format: 'der' });
}

/** Of another key than any that was asked for. */
export function foreignPublicKey(): Buffer {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'der' });
}

function alternativeNames(attributes: CertificationRequest['certificationRequestInfo']['attributes']): string[] {
  const all = attributes.filter(({ type }) => type === extensionRequest).flatMap(({ values }) => values);
  const [extensions] = all;
  if (all.length !== 1 || extensions === undefined) throw badRequest('it asks for no extensions');
  const found = AsnParser.parse(extensions, Extensions).filter(({ extnID }) => extnID === id_ce_subjectAltName);
  const [names] = found;
  if (found.length !== 1 || names === undefined) throw badRequest('it has no names');
  return AsnParser.parse(names.extnValue.buffer, SubjectAlternativeName).map(({ dNSName }) => {
    if (dNSName === undefined) throw badRequest('it has a name that is none of DNS');
    return dNSName;
  });
}

function badRequest(what: string): Error {
  return violation(`the request for a certificate: ${what}`, 'badCSR');
}

/** The bytes of the first part of a sequence, DER: what the rest of it signs. */
function firstPartOf(der: Buffer): Buffer {
  const start = contentAt(der, 0).start;
  return der.subarray(start, contentAt(der, start).end);
}

function contentAt(der: Buffer, at: number): { readonly start: number; readonly end: number } {
  const first = der.readUInt8(at + 1);
  if (first < 0x80) return { start: at + 2, end: at + 2 + first };
  const start = at + 2 + (first & 0x7f);
  return { start, end: start + der.readUIntBE(at + 2, first & 0x7f) };
}

function newSigner(called: string): Signer {
  const { privateKey: key, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const value = new AttributeValue({ utf8String: called });
  const name = new Name([new RelativeDistinguishedName([new AttributeTypeAndValue({ type: commonName, value })])]);
  const der = publicKey.export({ type: 'spki', format: 'der' });
  return { name, key, identifier: createHash('sha1').update(der).digest() };
}

/** Its first bit would make it negative: a zero stands before it, which belongs to its identifier (RFC 9773 section 4.1). */
function newSerial(): Buffer {
  return Buffer.concat([Buffer.from([0, 0x87]), randomBytes(14)]);
}

interface Contents extends StrictValidity {
  readonly subject: Name;
  readonly publicKey: Buffer;
  readonly extensions: readonly Extension[];
  readonly serial: Buffer;
}

function signed(signer: Signer, { extensions, notAfterMs, notBeforeMs, publicKey, serial, subject }: Contents): Buffer {
  const algorithm = new AlgorithmIdentifier({ algorithm: ecdsaWithSha256 });
  const by = new AuthorityKeyIdentifier({ keyIdentifier: new KeyIdentifier(bytesOf(signer.identifier)) });
  const tbsCertificate = new TBSCertificate({
    version: Version.v3,
    serialNumber: bytesOf(serial),
    signature: algorithm,
    issuer: signer.name,
    validity: new Validity({ notBefore: new Date(notBeforeMs), notAfter: new Date(notAfterMs) }),
    subject,
    subjectPublicKeyInfo: AsnParser.parse(bytesOf(publicKey), SubjectPublicKeyInfo),
    extensions: new Extensions([...extensions, extension(id_ce_authorityKeyIdentifier, by)]),
  });
  const signature = sign('sha256', Buffer.from(AsnSerializer.serialize(tbsCertificate)), signer.key);
  const certificate = new Certificate({
    tbsCertificate,
    signatureAlgorithm: algorithm,
    signatureValue: bytesOf(signature),
  });
  return Buffer.from(AsnSerializer.serialize(certificate));
}

function extension(extnID: string, value: unknown, critical = false): Extension {
  return new Extension({ extnID, critical, extnValue: new OctetString(AsnSerializer.serialize(value)) });
}

function pem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

function bytesOf(buffer: Buffer): ArrayBuffer {
  return new Uint8Array(buffer).buffer;
}

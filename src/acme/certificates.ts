import { createHash, createPublicKey, type KeyObject, randomBytes, sign, X509Certificate } from 'node:crypto';
import { Attributes, CertificationRequest, CertificationRequestInfo } from '@peculiar/asn1-csr';
import { AsnParser, AsnSerializer, OctetString } from '@peculiar/asn1-schema';
import {
  AlgorithmIdentifier,
  Attribute,
  AttributeTypeAndValue,
  AttributeValue,
  AuthorityKeyIdentifier,
  Certificate,
  Extension,
  Extensions,
  GeneralName,
  id_ce_authorityKeyIdentifier,
  id_ce_subjectAltName,
  Name,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from '@peculiar/asn1-x509';

/** RFC 5758 section 3.2. */
const ecdsaWithSha256 = '1.2.840.10045.4.3.2';
/** RFC 2985 section 5.4.2. */
const extensionRequest = '1.2.840.113549.1.9.14';
/** RFC 8737 section 6.1. */
const acmeIdentifier = '1.3.6.1.5.5.7.1.31';
const commonName = '2.5.4.3';
/** How long a certificate for a challenge is valid, in ms: clocks of authorities may differ. */
const challengeLifeMs = 7 * 24 * 3600 * 1000;

/**
 * A request for a certificate (PKCS #10, RFC 2986), DER. Names stand in its subject alternative name only: a common name
 * may have 64 characters at most, and nobody reads it any more.
 * @param key ECDSA P-256. @param names DNS names.
 */
export function certificateRequest(key: KeyObject, names: readonly string[]): Buffer {
  const wanted = new Extensions([alternativeNames(names, false)]);
  const certificationRequestInfo = new CertificationRequestInfo({
    subject: new Name(),
    subjectPKInfo: publicHalf(key),
    attributes: new Attributes([new Attribute({ type: extensionRequest, values: [AsnSerializer.serialize(wanted)] })]),
  });
  const request = new CertificationRequest({
    certificationRequestInfo,
    signatureAlgorithm: new AlgorithmIdentifier({ algorithm: ecdsaWithSha256 }),
    signature: signatureOf(certificationRequestInfo, key),
  });
  return Buffer.from(AsnSerializer.serialize(request));
}

/**
 * The certificate with which a server proves that it controls a name, PEM: self-signed, with the digest of the key
 * authorization (RFC 8737 section 3).
 * @param key ECDSA P-256.
 */
export function challengeCertificate(key: KeyObject, name: string, keyAuthorization: string, nowMs: number): string {
  const called = new Name([
    new RelativeDistinguishedName([
      new AttributeTypeAndValue({ type: commonName, value: new AttributeValue({ utf8String: 'ACME challenge' }) }),
    ]),
  ]);
  const signature = new AlgorithmIdentifier({ algorithm: ecdsaWithSha256 });
  // A serial number is positive (RFC 5280 section 4.1.2.2): the first byte is not 0, and its first bit is.
  const serialNumber = Buffer.concat([Buffer.from([0x41]), randomBytes(15)]);
  const tbsCertificate = new TBSCertificate({
    version: Version.v3,
    serialNumber: bytesOf(serialNumber),
    signature,
    issuer: called,
    validity: new Validity({
      notBefore: new Date(nowMs - challengeLifeMs),
      notAfter: new Date(nowMs + challengeLifeMs),
    }),
    subject: called,
    subjectPublicKeyInfo: publicHalf(key),
    extensions: new Extensions([
      alternativeNames([name], false),
      new Extension({
        extnID: acmeIdentifier,
        critical: true,
        extnValue: new OctetString(bytesOf(proofOf(keyAuthorization))),
      }),
    ]),
  });
  const certificate = new Certificate({
    tbsCertificate,
    signatureAlgorithm: signature,
    signatureValue: signatureOf(tbsCertificate, key),
  });
  return new X509Certificate(Buffer.from(AsnSerializer.serialize(certificate))).toString();
}

/** Whether a certificate proves a name, as `challengeCertificate` makes it. */
export function provesName(certificate: X509Certificate, name: string, keyAuthorization: string): boolean {
  if (certificate.subjectAltName !== `DNS:${name}`) return false;
  const { tbsCertificate } = AsnParser.parse(bytesOf(certificate.raw), Certificate);
  const extension = tbsCertificate.extensions?.find(({ extnID }) => extnID === acmeIdentifier);
  return extension !== undefined && proofOf(keyAuthorization).equals(Buffer.from(extension.extnValue.buffer));
}

/**
 * By what an authority knows a certificate of its own (RFC 9773 section 4.1); null if the certificate does not name its
 * authority's key, or not in a way that can be read.
 * @param certificate PEM, the leaf first.
 */
export function certificateIdentifier(certificate: string): string | null {
  try {
    const { tbsCertificate } = AsnParser.parse(bytesOf(new X509Certificate(certificate).raw), Certificate);
    const extension = tbsCertificate.extensions?.find(({ extnID }) => extnID === id_ce_authorityKeyIdentifier);
    if (extension === undefined) return null;
    const { keyIdentifier } = AsnParser.parse(extension.extnValue.buffer, AuthorityKeyIdentifier);
    if (keyIdentifier === undefined) return null;
    const parts = [keyIdentifier.buffer, tbsCertificate.serialNumber];
    return parts.map((bytes) => Buffer.from(bytes).toString('base64url')).join('.');
  } catch {
    return null;
  }
}

/** The value of the extension that has the digest of a key authorization, DER. */
function proofOf(keyAuthorization: string): Buffer {
  const digest = createHash('sha256').update(keyAuthorization).digest();
  return Buffer.from(AsnSerializer.serialize(new OctetString(bytesOf(digest))));
}

function alternativeNames(names: readonly string[], critical: boolean): Extension {
  const all = new SubjectAlternativeName(names.map((dNSName) => new GeneralName({ dNSName })));
  return new Extension({
    extnID: id_ce_subjectAltName,
    critical,
    extnValue: new OctetString(AsnSerializer.serialize(all)),
  });
}

function publicHalf(key: KeyObject): SubjectPublicKeyInfo {
  return AsnParser.parse(bytesOf(createPublicKey(key).export({ type: 'spki', format: 'der' })), SubjectPublicKeyInfo);
}

function signatureOf(signed: object, key: KeyObject): ArrayBuffer {
  return bytesOf(sign('sha256', Buffer.from(AsnSerializer.serialize(signed)), key));
}

function bytesOf(buffer: Buffer): ArrayBuffer {
  return new Uint8Array(buffer).buffer;
}

import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

/** A certificate with its chain, and its key: PEM. */
export interface HostCertificate {
  readonly certificate: string;
  readonly key: string;
}

const dayMs = 24 * 3600 * 1000;
const oids = {
  ecdsaSha256: '2a8648ce3d040302',
  commonName: '550403',
  organization: '55040a',
  keyUsage: '551d0f',
  extendedKeyUsage: '551d25',
  basicConstraints: '551d13',
  subjectKeyIdentifier: '551d0e',
  authorityKeyIdentifier: '551d23',
  authorityInfo: '2b06010505070101',
  caIssuers: '2b06010505073002',
  subjectAltName: '551d11',
  policies: '551d20',
  domainValidated: '67810c010201',
  crlPoints: '551d1f',
  signedTimestamps: '2b06010401d679020402',
  serverAuth: '2b06010505070301',
} as const;

/** Keys that certificates take in turn: making one takes longer than the rest. */
const keyCount = 64;

interface Level {
  readonly name: string;
  readonly keyId: Buffer;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

/**
 * An authority that issues certificates as public ones do today: ECDSA P-256, one intermediate, the same extensions. It is
 * fast, so that a store with 100,000 of them is soon filled.
 */
export class HostAuthority {
  private readonly root = levelOf('Bench Root X1');
  private readonly intermediate = levelOf('Bench Intermediate E1');
  private readonly keys = Array.from({ length: keyCount }, () => newKey());
  private readonly chain = signed(this.root, this.intermediate, [
    extension('basicConstraints', sequence(boolean(true), integer(Buffer.of(0))), true),
    extension('keyUsage', der(0x03, Buffer.of(1, 0x86)), true),
    ...commonExtensions(this.root, this.intermediate.keyId, 'http://x1.c.bench.example/'),
  ]);
  private issued = 0;

  issue(host: string): HostCertificate {
    const { publicKey, pem } = this.keys[this.issued++ % keyCount] as ReturnType<typeof newKey>;
    const leaf = signed(this.intermediate, { name: host, publicKey }, [
      extension('keyUsage', der(0x03, Buffer.of(7, 0x80)), true),
      extension('extendedKeyUsage', sequence(oid(oids.serverAuth))),
      extension('basicConstraints', sequence(), true),
      extension('subjectAltName', sequence(der(0x82, Buffer.from(host, 'latin1')))),
      ...commonExtensions(this.intermediate, randomBytes(20), 'http://e1.c.bench.example/53.crl'),
      // What two logs of certificates sign.
      extension('signedTimestamps', der(0x04, randomBytes(240))),
    ]);
    return { certificate: leaf + this.chain, key: pem };
  }
}

function levelOf(ownName: string): Level {
  return { name: ownName, keyId: randomBytes(20), ...newKey() };
}

function newKey() {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  return { publicKey, privateKey, pem: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string };
}

function commonExtensions(issuer: Level, keyId: Buffer, crl: string): Buffer[] {
  const url = (text: string) => der(0x86, Buffer.from(text, 'latin1'));
  return [
    extension('subjectKeyIdentifier', der(0x04, keyId)),
    extension('authorityKeyIdentifier', sequence(der(0x80, issuer.keyId))),
    extension('authorityInfo', sequence(sequence(oid(oids.caIssuers), url('http://e1.i.bench.example/')))),
    extension('policies', sequence(sequence(oid(oids.domainValidated)))),
    extension('crlPoints', sequence(sequence(der(0xa0, der(0xa0, url(crl)))))),
  ];
}

function signed(issuer: Level, subject: Pick<Level, 'name' | 'publicKey'>, extensions: readonly Buffer[]): string {
  const algorithm = sequence(oid(oids.ecdsaSha256));
  const body = sequence(
    der(0xa0, integer(Buffer.of(2))),
    integer(Buffer.concat([Buffer.of(3), randomBytes(17)])),
    algorithm,
    distinguishedName(issuer.name),
    sequence(time(Date.now() - dayMs), time(Date.now() + 60 * dayMs)),
    distinguishedName(subject.name),
    subject.publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions)),
  );
  const signature = sign('sha256', body, issuer.privateKey);
  const certificate = sequence(body, algorithm, der(0x03, Buffer.concat([Buffer.of(0), signature])));
  const lines = certificate.toString('base64').replace(/.{64}/g, '$&\n');
  return `-----BEGIN CERTIFICATE-----\n${lines.trimEnd()}\n-----END CERTIFICATE-----\n`;
}

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const { length } = body;
  const head =
    length < 128 ? [tag, length] : length < 256 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from(head), body]);
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(0x30, ...parts);
}

function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, 'hex'));
}

function integer(bytes: Buffer): Buffer {
  return der(0x02, bytes);
}

function boolean(value: boolean): Buffer {
  return der(0x01, Buffer.of(value ? 0xff : 0));
}

function distinguishedName(commonName: string): Buffer {
  const part = (kind: string, text: string) => der(0x31, sequence(oid(kind), der(0x0c, Buffer.from(text, 'utf8'))));
  return sequence(part(oids.organization, 'Bench'), part(oids.commonName, commonName));
}

function time(epochMs: number): Buffer {
  const text = new Date(epochMs).toISOString().replace(/[-:T]/g, '').slice(2, 14);
  return der(0x17, Buffer.from(`${text}Z`, 'latin1'));
}

function extension(kind: keyof typeof oids, value: Buffer, isCritical = false): Buffer {
  return sequence(oid(oids[kind]), ...(isCritical ? [boolean(true)] : []), der(0x04, value));
}

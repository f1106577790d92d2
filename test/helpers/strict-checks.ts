import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { get } from 'node:http';
import { connect } from 'node:tls';
import { AsnParser, OctetString } from '@peculiar/asn1-schema';
import { Certificate, id_ce_subjectAltName, SubjectAlternativeName } from '@peculiar/asn1-x509';
import { z } from 'zod';

/* What a strict authority checks: messages, which are signed as RFC 8555 section 6 wants it, nonces, and proofs. */

export interface ProblemOptions {
  readonly status?: number;
  /** Whether the client has broken the protocol; otherwise an authority may refuse what is right. */
  readonly isViolation?: boolean;
}

/** Why the authority refuses a request (RFC 8555 section 6.7). */
export class StrictProblem extends Error {
  readonly type: string;
  readonly status: number;
  readonly isViolation: boolean;

  constructor(type: string, detail: string, { status = 400, isViolation = false }: ProblemOptions = {}) {
    super(detail);
    this.type = type;
    this.status = status;
    this.isViolation = isViolation;
  }
}

/** The client has broken the protocol. */
export function violation(detail: string, type = 'malformed', status = 400): StrictProblem {
  return new StrictProblem(type, detail, { status, isViolation: true });
}

export function problemOf({ message, status, type }: StrictProblem): Readonly<Record<string, unknown>> {
  return { type: `urn:ietf:params:acme:error:${type}`, detail: message, status };
}

export interface SignedMessage {
  /** Empty for a POST-as-GET. */
  readonly payload: string;
  readonly nonce: string;
  /** Of the account; null if the key stands in the message. */
  readonly kid: string | null;
  readonly key: StrictKey;
  /** Different for each message that was signed. */
  readonly signature: string;
}

/** The public key of an account. */
export interface StrictKey {
  readonly publicKey: KeyObject;
  /** RFC 7638. */
  readonly thumbprint: string;
}

const base64url = z.string().regex(/^[\w-]*$/);
/** RFC 8555 section 6.2: flattened, without an unprotected header. */
const jwsSchema = z.strictObject({ protected: base64url.min(1), payload: base64url, signature: base64url.length(86) });
/** With nothing of the private half in it. */
const jwkSchema = z.strictObject({
  crv: z.literal('P-256'),
  kty: z.literal('EC'),
  x: base64url.length(43),
  y: base64url.length(43),
});
const headerSchema = z.strictObject({
  alg: z.string(),
  nonce: base64url.min(1),
  url: z.string(),
  kid: z.string().optional(),
  jwk: jwkSchema.optional(),
});

/**
 * Reads the body of a POST (RFC 8555 sections 6.2 to 6.4). The nonce is checked by the caller.
 * @param keyOf the key of an account, by its URL. @throws StrictProblem.
 */
export function readSigned(
  body: string,
  { contentType, keyOf, url }: { contentType: string | undefined; url: string; keyOf: (kid: string) => StrictKey },
): SignedMessage {
  if (contentType !== 'application/jose+json') throw violation(`the content type is ${contentType}`, 'malformed', 415);
  const jws = read(jwsSchema, body, 'the message');
  const header = read(headerSchema, decoded(jws.protected), 'the protected header');
  if (header.alg !== 'ES256') throw violation(`the algorithm is ${header.alg}`, 'badSignatureAlgorithm');
  if (header.url !== url)
    throw violation(`the header has ${header.url}, and it was sent to ${url}`, 'unauthorized', 401);
  const { jwk, kid } = header;
  if ((jwk === undefined) === (kid === undefined)) throw violation('it has to have either "jwk" or "kid"');
  const key = kid === undefined ? strictKey(jwk ?? {}) : keyOf(kid);
  const isRight = verify(
    'sha256',
    Buffer.from(`${jws.protected}.${jws.payload}`),
    { key: key.publicKey, dsaEncoding: 'ieee-p1363' },
    Buffer.from(jws.signature, 'base64url'),
  );
  if (!isRight) throw violation('the signature is wrong', 'unauthorized', 401);
  return { payload: decoded(jws.payload), nonce: header.nonce, kid: kid ?? null, key, signature: jws.signature };
}

/** @throws StrictProblem if it is not as it has to be. */
export function read<Schema extends z.ZodType>(schema: Schema, text: string, what: string): z.infer<Schema> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw violation(`${what} is not JSON: ${text.slice(0, 100)}`);
  }
  const { data, error } = schema.safeParse(json);
  if (error !== undefined) throw violation(`${what}: ${z.prettifyError(error)}`);
  return data as z.infer<Schema>;
}

/** @throws StrictProblem if the text is not the shortest form of its bytes. */
export function bytesOfBase64url(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.toString('base64url') !== text) throw violation('this is not base64url without padding');
  return bytes;
}

function decoded(text: string): string {
  return bytesOfBase64url(text).toString();
}

function strictKey(jwk: Readonly<Record<string, string>>): StrictKey {
  const { crv, kty, x, y } = jwk;
  try {
    const publicKey = createPublicKey({ key: { ...jwk }, format: 'jwk' });
    return { publicKey, thumbprint: sha256(JSON.stringify({ crv, kty, x, y })).toString('base64url') };
  } catch {
    throw violation('the key is none', 'badPublicKey');
  }
}

function sha256(input: string): Buffer {
  return createHash('sha256').update(input).digest();
}

/** The nonces of an authority (RFC 8555 section 6.5): each is good for one message. */
export class StrictNonces {
  /** Whether it was used: by the message with this signature. */
  private readonly given = new Map<string, string | null>();
  private wereForgotten = false;
  private count = 0;

  next(): string {
    const nonce = Buffer.from(`nonce ${++this.count} ${Math.random()}`).toString('base64url');
    this.given.set(nonce, null);
    return nonce;
  }

  /** As when an authority starts again. */
  forget(): void {
    this.given.clear();
    this.wereForgotten = true;
  }

  /** @throws StrictProblem `badNonce`. */
  use({ nonce, signature }: Pick<SignedMessage, 'nonce' | 'signature'>): void {
    const usedBy = this.given.get(nonce);
    this.given.set(nonce, signature);
    if (usedBy === null) return;
    // A message that is sent again on another connection, unchanged, does no harm: the nonce protects from that.
    const isHarmless = usedBy === undefined ? this.wereForgotten : usedBy === signature;
    const detail = usedBy === undefined ? 'the nonce is not known' : 'the nonce was used before';
    throw new StrictProblem('badNonce', detail, { isViolation: !isHarmless });
  }
}

/** Where the authority looks for proofs. */
export interface ProofPlaces {
  /** Of 127.0.0.1, in place of 80. */
  readonly httpPort?: number;
  /** Of 127.0.0.1, in place of 443. */
  readonly tlsPort?: number;
  /** The records of a name, each in its parts, as `resolveTxt` of node:dns has them. */
  readonly resolveTxt?: (name: string) => Promise<readonly (readonly string[])[]>;
}

/** What the authority looks for. */
export interface WantedProof {
  readonly kind: string;
  readonly name: string;
  readonly isWildcard: boolean;
  readonly token: string;
  readonly keyAuthorization: string;
  readonly account: string;
  readonly issuerDomainNames: readonly string[];
  readonly nowMs: number;
}

/** @throws StrictProblem that says why there is no proof. */
export async function checkProof(wanted: WantedProof, places: ProofPlaces): Promise<void> {
  try {
    if (wanted.kind === 'http-01') await checkHttp(wanted, places);
    else if (wanted.kind === 'tls-alpn-01') await checkTls(wanted, places);
    else if (wanted.kind === 'dns-01') await checkDns(wanted, places);
    else await checkPersistentDns(wanted, places);
  } catch (error) {
    throw error instanceof StrictProblem ? error : new StrictProblem('connection', (error as Error).message);
  }
}

/** RFC 8555 section 8.3. */
async function checkHttp({ keyAuthorization, name, token }: WantedProof, { httpPort }: ProofPlaces): Promise<void> {
  const { promise, reject, resolve } = Promise.withResolvers<string>();
  const path = `/.well-known/acme-challenge/${token}`;
  const request = get({ host: '127.0.0.1', port: httpPort ?? 0, path, headers: { host: name }, agent: false });
  request.on('error', reject);
  request.on('response', (response) => {
    let body = '';
    response.setEncoding('utf8');
    response.on('data', (part: string) => {
      body += part;
    });
    response.on('error', reject);
    response.on('end', () => resolve(`${response.statusCode} ${body.trimEnd()}`));
  });
  const found = await promise;
  if (found !== `200 ${keyAuthorization}`) throw wrongProof(`${name}${path}: ${found}`);
}

/** RFC 8737 section 3. */
async function checkTls({ keyAuthorization, name }: WantedProof, { tlsPort }: ProofPlaces): Promise<void> {
  const { promise, reject, resolve } = Promise.withResolvers<Buffer>();
  const place = { host: '127.0.0.1', port: tlsPort ?? 0, servername: name, rejectUnauthorized: false };
  const socket = connect({ ...place, ALPNProtocols: ['acme-tls/1'] });
  socket.on('error', reject);
  socket.on('secureConnect', () => {
    if (socket.alpnProtocol === 'acme-tls/1') resolve(socket.getPeerCertificate().raw);
    else reject(wrongProof(`the protocol is ${socket.alpnProtocol}`));
    socket.destroy();
  });
  const { extensions = [] } = AsnParser.parse(new Uint8Array(await promise), Certificate).tbsCertificate;
  const proof = extensions.find(({ extnID }) => extnID === '1.3.6.1.5.5.7.1.31');
  const names = extensions.find(({ extnID }) => extnID === id_ce_subjectAltName);
  if (proof?.critical !== true || names === undefined) throw wrongProof('the certificate has no proof');
  const all = AsnParser.parse(names.extnValue.buffer, SubjectAlternativeName).map(({ dNSName }) => dNSName);
  if (all.length !== 1 || all[0] !== name) throw wrongProof(`the certificate is for ${all.join(', ')}`);
  const digest = Buffer.from(AsnParser.parse(proof.extnValue.buffer, OctetString).buffer);
  if (!digest.equals(sha256(keyAuthorization))) throw wrongProof('the certificate has another proof');
}

/** RFC 8555 section 8.4. */
async function checkDns({ keyAuthorization, name }: WantedProof, places: ProofPlaces): Promise<void> {
  const records = await recordsOf(`_acme-challenge.${name}`, places);
  if (!records.includes(sha256(keyAuthorization).toString('base64url'))) throw wrongProof(`${records.length} records`);
}

/** draft-ietf-acme-dns-persist: records as those of CAA (RFC 8659 section 4.2). */
async function checkPersistentDns(wanted: WantedProof, places: ProofPlaces): Promise<void> {
  const { account, isWildcard, issuerDomainNames, name, nowMs } = wanted;
  const records = await recordsOf(`_validation-persist.${name}`, places);
  const isGood = records.some((record) => {
    const [issuer = '', ...pairs] = record.split(';').map((part) => part.trim());
    const parameters = new Map(pairs.map((pair) => parameterOf(pair)));
    // RFC 8659 section 4.2: each is well-formed, and stands once.
    if (parameters.size < pairs.length || parameters.has('')) return false;
    const until = parameters.get('persistuntil');
    return (
      issuerDomainNames.includes(issuer.toLowerCase()) &&
      parameters.get('accounturi') === account &&
      (!isWildcard || parameters.get('policy')?.toLowerCase() === 'wildcard') &&
      (until === undefined || (/^\d+$/.test(until) && Number(until) * 1000 >= nowMs))
    );
  });
  if (!isGood) throw wrongProof(`no record of _validation-persist.${name} is for this account`);
}

function parameterOf(pair: string): readonly [tag: string, value: string] {
  const [, tag = '', value = ''] = /^([a-z0-9]+(?:-+[a-z0-9]+)*)\s*=\s*([!-:<-~]*)$/i.exec(pair) ?? [];
  return [tag.toLowerCase(), value];
}

async function recordsOf(name: string, { resolveTxt }: ProofPlaces): Promise<string[]> {
  const records = (await resolveTxt?.(name)) ?? [];
  return records.map((parts) => parts.join(''));
}

function wrongProof(found: string): StrictProblem {
  return new StrictProblem('unauthorized', found.slice(0, 300), { status: 403 });
}

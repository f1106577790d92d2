import {
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  sign,
} from 'node:crypto';
import { promisify } from 'node:util';

/** A signed message, flattened JSON (RFC 7515 section 7.2.2). */
interface Jws {
  readonly protected: string;
  readonly payload: string;
  readonly signature: string;
}

/** The key that an authority has given a customer, for accounts to be tied to (RFC 8555 section 7.3.4). */
export interface ExternalAccount {
  readonly keyId: string;
  /** Base64url. */
  readonly hmacKey: string;
}

const generate = promisify(generateKeyPair);

/** The key of an account: ECDSA P-256, with which every request to the authority is signed. */
export class AccountKey {
  /** JSON Web Key of the public half, its members in the order of RFC 7638 section 3.3. */
  readonly jwk: Readonly<Record<string, string>>;
  /** SHA-256 of `jwk`, base64url (RFC 7638). */
  readonly thumbprint: string;
  private readonly key: KeyObject;

  private constructor(key: KeyObject) {
    this.key = key;
    const { crv, x, y } = createPublicKey(key).export({ format: 'jwk' });
    this.jwk = { crv: String(crv), kty: 'EC', x: String(x), y: String(y) };
    this.thumbprint = createHash('sha256').update(JSON.stringify(this.jwk)).digest('base64url');
  }

  static async generate(): Promise<AccountKey> {
    const { privateKey } = await generate('ec', { namedCurve: 'P-256' });
    return new AccountKey(privateKey);
  }

  /** @param pem as `toPem` gives it. @throws if it is no key of this kind. */
  static fromPem(pem: string, passphrase?: string): AccountKey {
    const key = createPrivateKey({ key: pem, ...(passphrase === undefined ? {} : { passphrase }) });
    if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') throw new Error('the account key is not ECDSA P-256');
    return new AccountKey(key);
  }

  /** PKCS#8, encrypted if there is a passphrase. Must never be shown. */
  toPem(passphrase?: string): string {
    const encryption = passphrase === undefined ? {} : { cipher: 'aes-256-cbc', passphrase };
    return this.key.export({ type: 'pkcs8', format: 'pem', ...encryption }).toString();
  }

  /** The text that proves control of a name to an authority (RFC 8555 section 8.1). */
  keyAuthorization(token: string): string {
    return `${token}.${this.thumbprint}`;
  }

  /** Signs a message with ES256 (RFC 7518 section 3.4). @param payload an empty text for a POST-as-GET. */
  sign(header: Readonly<Record<string, unknown>>, payload: string): Jws {
    return jwsOf({ alg: 'ES256', ...header }, payload, (input) =>
      sign('sha256', Buffer.from(input), { key: this.key, dsaEncoding: 'ieee-p1363' }),
    );
  }

  /** The `externalAccountBinding` of a new account. @param url of the authority's newAccount. */
  bindTo({ hmacKey, keyId }: ExternalAccount, url: string): Jws {
    const key = Buffer.from(hmacKey, 'base64url');
    return jwsOf({ alg: 'HS256', kid: keyId, url }, JSON.stringify(this.jwk), (input) =>
      createHmac('sha256', key).update(input).digest(),
    );
  }
}

function jwsOf(header: object, payload: string, signatureOf: (input: string) => Buffer): Jws {
  const head = base64url(JSON.stringify(header));
  const body = base64url(payload);
  return { protected: head, payload: body, signature: signatureOf(`${head}.${body}`).toString('base64url') };
}

function base64url(text: string): string {
  return Buffer.from(text).toString('base64url');
}

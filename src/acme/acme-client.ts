import { X509Certificate } from 'node:crypto';
import { AcmeError, malformed, problemError } from './acme-error.ts';
import type { AccountKey, ExternalAccount } from './jws.ts';
import {
  type Account,
  type Authorization,
  type Challenge,
  type Directory,
  jsonOf,
  type Order,
  type RenewalInfo,
  readAccount,
  readAuthorization,
  readChallenge,
  readDirectory,
  readOrder,
  readRenewalInfo,
} from './messages.ts';
import type { AcmeResponse, AcmeTransport } from './transport.ts';

export interface AcmeClientOptions {
  /** URL of the authority's directory. */
  readonly directoryUrl: string;
  readonly key: AccountKey;
  readonly transport: AcmeTransport;
  /** In epoch ms, for a Retry-After that is a date. Default: the present time. */
  readonly now?: () => number;
}

export interface NewAccount {
  /** URLs such as `mailto:admin@example.com`. */
  readonly contact: readonly string[];
  /** Used if the authority wants one. */
  readonly externalAccount: ExternalAccount | null;
}

export interface NewOrder {
  /** DNS names in lower case, `*.` before those of a wildcard. */
  readonly names: readonly string[];
  /** One of the authority's profiles (draft-ietf-acme-profiles); null for its default. */
  readonly profile: string | null;
  /** The identifier (RFC 9773 section 4.1) of the certificate that this one replaces; null for none. */
  readonly replaces: string | null;
}

/** Something as it is now, and in how many ms the authority wants to be asked again; null if it does not say. */
interface Polled<Of> {
  readonly of: Of;
  readonly retryAfterMs: number | null;
}

/** Nonces that are kept. */
const noncesMax = 20;
/** How often a request is sent again whose nonce the authority did not take. */
const badNoncesMax = 10;
/** Chains that an authority may offer besides the first. */
const alternatesMax = 10;
/** The longest pause that an authority can ask for, in ms: some 30 days. */
const retryAfterMsMax = 30 * 24 * 3600 * 1000;
const pemChain = 'application/pem-certificate-chain';

/**
 * Speaks ACME (RFC 8555) for one account with one authority. It decides nothing: what is ordered, when, and how challenges
 * are answered is the caller's. Every method throws AcmeErrors.
 */
export class AcmeClient {
  private readonly options: AcmeClientOptions;
  private readonly nonces: string[] = [];
  private directoryRead: Promise<Directory> | null = null;
  private accountUrl: string | null = null;

  constructor(options: AcmeClientOptions) {
    this.options = options;
  }

  get key(): AccountKey {
    return this.options.key;
  }

  /** Read once; after a failure, again. */
  directory(): Promise<Directory> {
    const { directoryUrl, transport } = this.options;
    this.directoryRead ??= transport({ method: 'GET', url: directoryUrl })
      .then((response) => readDirectory(this.checked(response).body))
      .catch((error: unknown) => {
        this.directoryRead = null;
        throw error;
      });
    return this.directoryRead;
  }

  /** The names of the authority in standing records (DNS-PERSIST-01), in lower case; none if it does not say. */
  async issuers(): Promise<string[]> {
    const { meta } = await this.directory();
    return (meta?.issuerDomainNames ?? meta?.caaIdentities ?? []).map((name) => name.toLowerCase());
  }

  /** URL of the account; null if there is none yet. */
  get account(): string | null {
    return this.accountUrl;
  }

  /** Uses an account that was registered before. */
  useAccount(url: string): void {
    this.accountUrl = url;
  }

  /**
   * Registers the key, or finds the account that it has (RFC 8555 section 7.3), and uses it from now on. The operator, who has
   * configured the authority, agrees to its terms of service.
   */
  async register({ contact, externalAccount }: NewAccount): Promise<Account> {
    const { meta, newAccount } = await this.directory();
    const isBound = meta?.externalAccountRequired === true;
    if (isBound && externalAccount === null) {
      throw new AcmeError('this authority takes only accounts of its customers: configure the key that it gave you', {
        type: 'externalAccountRequired',
      });
    }
    const account = {
      termsOfServiceAgreed: true,
      ...(contact.length === 0 ? {} : { contact }),
      ...(isBound && externalAccount !== null
        ? { externalAccountBinding: this.key.bindTo(externalAccount, newAccount) }
        : {}),
    };
    const response = await this.post(newAccount, JSON.stringify(account), { isByKey: true });
    const url = locationOf(response, newAccount);
    this.accountUrl = url;
    return readAccount(response.body, url);
  }

  /** The account as the authority has it. */
  async ownAccount(): Promise<Account> {
    const url = this.knownAccount();
    return readAccount((await this.post(url, '')).body, url);
  }

  async newOrder({ names, profile, replaces }: NewOrder): Promise<Order> {
    const { newOrder, renewalInfo } = await this.directory();
    const order = {
      identifiers: names.map((value) => ({ type: 'dns', value })),
      ...(profile === null ? {} : { profile }),
      // An authority without renewal information may refuse a field that it does not know (RFC 9773 section 5).
      ...(replaces === null || renewalInfo === undefined ? {} : { replaces }),
    };
    const response = await this.post(newOrder, JSON.stringify(order));
    return readOrder(response.body, locationOf(response, newOrder));
  }

  async order(url: string): Promise<Polled<Order>> {
    const response = await this.post(url, '');
    return { of: readOrder(response.body, url), retryAfterMs: this.retryAfterMs(response) };
  }

  async authorization(url: string): Promise<Polled<Authorization>> {
    const response = await this.post(url, '');
    return { of: readAuthorization(response.body, url), retryAfterMs: this.retryAfterMs(response) };
  }

  /** The challenge can be validated now (RFC 8555 section 7.5.1). */
  async answer(challengeUrl: string): Promise<Challenge> {
    return readChallenge((await this.post(challengeUrl, '{}')).body);
  }

  /** Gives up an authorization, so that it does not stay pending (RFC 8555 section 7.5.2). */
  async deactivate(authorizationUrl: string): Promise<void> {
    await this.post(authorizationUrl, JSON.stringify({ status: 'deactivated' }));
  }

  /** @param request DER of the PKCS#10 request. */
  async finalize(order: Order, request: Buffer): Promise<Polled<Order>> {
    const response = await this.post(order.finalize, JSON.stringify({ csr: request.toString('base64url') }));
    return { of: readOrder(response.body, order.url), retryAfterMs: this.retryAfterMs(response) };
  }

  /**
   * Downloads a certificate with its chain, PEM.
   * @param preferredChain common name of the issuer of the last certificate of the chain that is preferred, if the
   * authority offers several (RFC 8555 section 7.4.2); null for the authority's own choice.
   */
  async certificate(url: string, preferredChain: string | null): Promise<string> {
    const first = await this.post(url, '', { accept: pemChain });
    if (preferredChain === null || topIssuerOf(first.body) === preferredChain) return first.body;
    for (const alternate of linksOf(first, 'alternate', url).slice(0, alternatesMax)) {
      const { body } = await this.post(alternate, '', { accept: pemChain });
      if (topIssuerOf(body) === preferredChain) return body;
    }
    return first.body;
  }

  /**
   * Revokes a certificate of this account.
   * @param certificate DER. @param reason of RFC 5280 section 5.3.1, such as 1 for a key that others may have.
   */
  async revoke(certificate: Buffer, reason: number): Promise<void> {
    const { revokeCert } = await this.directory();
    if (revokeCert === undefined) throw malformed('the authority has no "revokeCert"');
    await this.post(revokeCert, JSON.stringify({ certificate: certificate.toString('base64url'), reason }));
  }

  /**
   * When a certificate is to be renewed; null if the authority does not say (RFC 9773).
   * @param identifier as `certificateIdentifier` makes it.
   */
  async renewalInfo(identifier: string): Promise<Polled<RenewalInfo> | null> {
    const { renewalInfo } = await this.directory();
    if (renewalInfo === undefined) return null;
    const url = `${renewalInfo.replace(/\/$/, '')}/${identifier}`;
    const response = this.checked(await this.options.transport({ method: 'GET', url }));
    return { of: readRenewalInfo(response.body), retryAfterMs: this.retryAfterMs(response) };
  }

  /** @param payload empty for a POST-as-GET. @param isByKey whether the key stands for its account, which has no URL yet. */
  private async post(
    url: string,
    payload: string,
    { accept, isByKey = false }: { readonly accept?: string; readonly isByKey?: boolean } = {},
  ): Promise<AcmeResponse> {
    const signer = isByKey ? { jwk: this.key.jwk } : { kid: this.knownAccount() };
    for (let attempt = 1; ; attempt++) {
      const nonce = this.nonces.pop() ?? (await this.newNonce());
      const body = JSON.stringify(this.key.sign({ ...signer, nonce, url }, payload));
      const response = await this.options.transport({
        ...{ method: 'POST', url, body },
        ...(accept === undefined ? {} : { accept }),
      });
      this.keepNonce(response);
      try {
        return this.checked(response);
      } catch (error) {
        // RFC 8555 section 6.5: the error itself has the next one.
        if (!(error instanceof AcmeError) || error.type !== 'badNonce' || attempt === badNoncesMax) throw error;
      }
    }
  }

  private knownAccount(): string {
    if (this.accountUrl === null) throw new AcmeError('there is no account yet', { type: 'accountDoesNotExist' });
    return this.accountUrl;
  }

  private async newNonce(): Promise<string> {
    const { newNonce } = await this.directory();
    const nonce = this.checked(await this.options.transport({ method: 'HEAD', url: newNonce })).field('replay-nonce');
    if (nonce === null || !isNonce(nonce)) throw malformed('a response to newNonce has no usable Replay-Nonce');
    return nonce;
  }

  private keepNonce(response: AcmeResponse): void {
    const nonce = response.field('replay-nonce');
    if (nonce !== null && isNonce(nonce) && this.nonces.length < noncesMax) this.nonces.push(nonce);
  }

  /** @throws AcmeError if it is not a response of success. */
  private checked(response: AcmeResponse): AcmeResponse {
    const { body, status } = response;
    if (status >= 200 && status < 300) return response;
    const retryAfterMs = this.retryAfterMs(response);
    const problem = jsonOf(body);
    if (problem !== undefined && status >= 400) throw problemError(problem, status, retryAfterMs);
    const type = status >= 500 ? 'unreachable' : 'malformed';
    throw new AcmeError(`status ${status} without a problem document`, { type, status, retryAfterMs });
  }

  private retryAfterMs(response: AcmeResponse): number | null {
    const text = response.field('retry-after');
    if (text === null) return null;
    const now = this.options.now ?? Date.now;
    const ms = /^\d{1,10}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now();
    return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), retryAfterMsMax) : null;
  }
}

/** RFC 8555 section 6.5.1. */
function isNonce(text: string): boolean {
  return /^[\w-]{1,1000}$/.test(text);
}

function locationOf(response: AcmeResponse, at: string): string {
  const location = response.field('location');
  if (location === null || !URL.canParse(location, at)) throw malformed(`a response of ${at} has no usable Location`);
  return new URL(location, at).href;
}

/** Targets of the links of a relation (RFC 8288). @param at what relative ones are relative to. */
function linksOf(response: AcmeResponse, relation: string, at: string): string[] {
  const field = response.field('link') ?? '';
  return [...field.matchAll(/<([^>]*)>\s*((?:;[^,<]*)*)/g)].flatMap(([, target = '', parameters = '']) => {
    const isWanted = new RegExp(`;\\s*rel="?${relation}"?\\s*(?:;|$)`, 'i').test(parameters.trimEnd());
    return isWanted && URL.canParse(target, at) ? [new URL(target, at).href] : [];
  });
}

/** The common name of the issuer of the last certificate of a chain; null if that cannot be read. */
function topIssuerOf(chain: string): string | null {
  const last = chain.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g)?.at(-1);
  if (last === undefined) return null;
  try {
    return /^CN=(.+)$/m.exec(new X509Certificate(last).issuer)?.[1] ?? null;
  } catch {
    return null;
  }
}

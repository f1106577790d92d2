import { randomBytes, X509Certificate } from 'node:crypto';
import { z } from 'zod';
import { checkRequest, foreignPublicKey, StrictSigner, type StrictValidity } from './strict-certificates.ts';
import {
  bytesOfBase64url,
  checkProof,
  type ProofPlaces,
  problemOf,
  read,
  type SignedMessage,
  type StrictKey,
  StrictProblem,
  violation,
} from './strict-checks.ts';

/** What a request is for; also the first part of its path. */
export type RequestKind = (typeof requestKinds)[number];
export const requestKinds = [
  ...(['directory', 'newNonce', 'newAccount', 'account', 'newOrder', 'order', 'authorization', 'challenge'] as const),
  ...(['finalize', 'certificate', 'renewalInfo', 'revokeCert'] as const),
];
type UrlOf = (kind: RequestKind, ...more: readonly (string | number)[]) => string;

export interface StrictReply {
  readonly status: number;
  /** A text as it is; anything else as JSON. */
  readonly body?: unknown;
  readonly fields?: Readonly<Record<string, string>>;
}

interface StrictAuthorization {
  readonly name: string;
  readonly isWildcard: boolean;
  readonly expiresMs: number;
  readonly challenges: StrictChallenge[];
  status: 'pending' | 'valid' | 'invalid' | 'deactivated';
  /** Under way. */
  validation: Promise<void> | null;
  /** Whether the client has seen that it is under way. */
  isSeen: boolean;
}

interface StrictChallenge {
  readonly kind: string;
  readonly token: string;
  status: 'pending' | 'processing' | 'valid' | 'invalid';
  error: StrictProblem | null;
}

export interface StrictOrder {
  readonly account: string;
  readonly names: readonly string[];
  readonly profile: string | null;
  readonly replaces: string | null;
  readonly authorizations: StrictAuthorization[];
  readonly expiresMs: number;
  status: 'pending' | 'ready' | 'processing' | 'valid' | 'invalid';
  error: StrictProblem | null;
  /** DER, of its request. */
  publicKey: Buffer;
  chain: string;
  isSeen: boolean;
}

export interface StrictIssued extends StrictValidity {
  readonly identifier: string;
  readonly order: StrictOrder;
  readonly chain: string;
  replacedBy: StrictOrder | null;
  isRevoked: boolean;
  /** When its renewal information may be asked for again, in epoch ms. */
  askAgainMs: number;
}

export interface StrictSettings {
  nowMs: () => number;
  places: ProofPlaces;
  challengeKinds: readonly string[];
  /** What becomes of an order that is finalized. */
  outcome: 'valid' | 'processing' | 'invalid';
  misissue: 'otherKey' | 'lacksName' | null;
  validity: (nowMs: number) => StrictValidity;
  /** Names and descriptions (draft-ietf-acme-profiles). */
  profiles: Readonly<Record<string, string>>;
  /** Whether there is a `renewalInfo` in the directory (RFC 9773). */
  hasRenewalInfo: boolean;
  window: (issued: StrictIssued) => { readonly startMs: number; readonly endMs: number };
  /** Retry-After of renewal information, in s; null for none, which RFC 9773 section 4.2 does not allow. */
  askAgain: number | null;
  /** Retry-After of orders and authorizations that are not decided. */
  retryAfter: string | null;
}

const day = 24 * 3600_000;
/** In records of proofs. */
export const issuerDomainNames = ['strict.example', 'authority.example'];
const dnsName = z.string().regex(/^(?:\*\.)?(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*$/);
const orderSchema = z.strictObject({
  identifiers: z.array(z.strictObject({ type: z.literal('dns'), value: dnsName })).min(1),
  profile: z.string().optional(),
  replaces: z.string().optional(),
});

export function defaultSettings(): StrictSettings {
  return {
    nowMs: Date.now,
    places: {},
    challengeKinds: ['http-01', 'tls-alpn-01', 'dns-01', 'dns-persist-01'],
    outcome: 'valid',
    misissue: null,
    validity: (nowMs) => ({ notBeforeMs: nowMs - 3600_000, notAfterMs: nowMs + 90 * day }),
    profiles: { classic: 'as ever', shortlived: 'six days' },
    hasRenewalInfo: true,
    window: ({ notAfterMs }) => ({ startMs: notAfterMs - 30 * day, endMs: notAfterMs - 28 * day }),
    askAgain: 21_600,
    retryAfter: null,
  };
}

/** The orders of a strict authority, with their authorizations and certificates. */
export class StrictOrders {
  readonly orders: StrictOrder[] = [];
  readonly issued: StrictIssued[] = [];
  private readonly settings: StrictSettings;
  private readonly url: UrlOf;
  private readonly signer = new StrictSigner(Date.now());

  constructor(settings: StrictSettings, url: UrlOf) {
    this.settings = settings;
    this.url = url;
  }

  /** What an account has posted. @param accept field of the request. */
  async answer(
    kind: RequestKind,
    kid: string,
    message: SignedMessage,
    [number = '', challenge = '']: readonly string[],
    accept: string | undefined,
  ): Promise<StrictReply> {
    const { payload } = message;
    if (kind === 'newOrder') return this.newOrder(kid, payload);
    if (kind === 'revokeCert') return this.revoke(kid, payload);
    const order = this.orders[Number.parseInt(number, 10)];
    if (order?.account !== kid) throw violation(`${kind}/${number} is none of this account`, 'unauthorized', 401);
    if (kind === 'finalize') return this.finalize(order, message);
    if (kind === 'challenge') return this.accept(order, number, challenge, message);
    if (kind === 'authorization' && payload !== '') {
      read(z.strictObject({ status: z.literal('deactivated') }), payload, 'the authorization');
      this.authorizationOf(order, number).status = 'deactivated';
    } else if (payload !== '') throw violation('it is asked for with a payload that is not empty');
    if (kind === 'authorization') return await this.authorization(order, number);
    if (kind === 'order') return this.order(order);
    if (order.status !== 'valid') throw violation('it has no certificate yet', 'malformed', 404);
    if (accept !== undefined && !/application\/pem-certificate-chain|\*\/\*/.test(accept))
      throw violation(`Accept: ${accept}`);
    return { status: 200, body: order.chain, fields: { 'content-type': 'application/pem-certificate-chain' } };
  }

  private newOrder(account: string, payload: string): StrictReply {
    const { identifiers, profile = null, replaces = null } = read(orderSchema, payload, 'the order');
    const { challengeKinds, nowMs, profiles } = this.settings;
    const names = identifiers.map(({ value }) => value);
    if (new Set(names).size < names.length) throw violation('it has a name twice');
    if (profile !== null && !Object.hasOwn(profiles, profile)) {
      throw new StrictProblem('invalidProfile', `there is no profile "${profile}"`);
    }
    const replaced = replaces === null ? null : this.replaceable(replaces, account, names);
    const expiresMs = nowMs() + 7 * day;
    const authorizations = names.map((name): StrictAuthorization => {
      const isWildcard = name.startsWith('*.');
      const offered = challengeKinds.filter((kind) => !isWildcard || kind.startsWith('dns-'));
      const challenges = offered.map((kind): StrictChallenge => {
        return { kind, token: randomBytes(32).toString('base64url'), status: 'pending', error: null };
      });
      const state = { status: 'pending', validation: null, isSeen: false } as const;
      return { name: name.replace('*.', ''), isWildcard, expiresMs, challenges, ...state };
    });
    const state = { status: 'pending', error: null, publicKey: Buffer.of(), chain: '', isSeen: false } as const;
    const order = { account, names, profile, replaces, authorizations, expiresMs, ...state };
    this.orders.push(order);
    if (replaced !== null) replaced.replacedBy = order;
    return { ...this.order(order), status: 201, fields: { location: this.url('order', this.orders.length - 1) } };
  }

  /** RFC 9773 section 5. */
  private replaceable(identifier: string, account: string, names: readonly string[]): StrictIssued {
    if (!this.settings.hasRenewalInfo) throw violation('"replaces", and there is no renewal information');
    const found = this.issued.find((one) => one.identifier === identifier);
    if (found === undefined) throw violation(`there is no certificate ${identifier}`, 'malformed', 404);
    const { order, replacedBy } = found;
    if (replacedBy !== null) this.advance(replacedBy);
    if (order.account !== account) throw new StrictProblem('unauthorized', 'another account has it', { status: 403 });
    if (!names.some((name) => order.names.includes(name))) throw violation('the certificate has none of these names');
    if (replacedBy !== null && replacedBy.status !== 'invalid') {
      throw new StrictProblem('alreadyReplaced', 'another order has replaced it', { status: 409 });
    }
    return found;
  }

  private order(order: StrictOrder): StrictReply {
    this.advance(order);
    const { authorizations, error, expiresMs, names, profile, replaces, status } = order;
    const number = this.orders.indexOf(order);
    const body = {
      ...{ status, expires: new Date(expiresMs).toISOString() },
      identifiers: names.map((value) => ({ type: 'dns', value })),
      authorizations: authorizations.map((_, i) => this.url('authorization', `${number}-${i}`)),
      finalize: this.url('finalize', number),
      ...(profile === null ? {} : { profile }),
      ...(replaces === null ? {} : { replaces }),
      ...(error === null ? {} : { error: problemOf(error) }),
      ...(status === 'valid' ? { certificate: this.url('certificate', number) } : {}),
    };
    return { status: 200, body, fields: this.laterFields(status === 'pending' || status === 'processing') };
  }

  private laterFields(isUnderWay: boolean): Readonly<Record<string, string>> {
    const { retryAfter } = this.settings;
    return isUnderWay && retryAfter !== null ? { 'retry-after': retryAfter } : {};
  }

  /** RFC 8555 section 7.1.6. */
  private advance(order: StrictOrder): void {
    const { authorizations, isSeen, status } = order;
    if (status === 'pending' && authorizations.every((one) => one.status === 'valid')) order.status = 'ready';
    if (status === 'pending' && authorizations.some((one) => one.status !== 'valid' && one.status !== 'pending')) {
      order.status = 'invalid';
      order.error = new StrictProblem('unauthorized', 'an authorization has failed', { status: 403 });
    }
    if (status !== 'processing') return;
    // The first look finds it under way.
    order.isSeen = true;
    if (!isSeen || this.settings.outcome === 'processing') return;
    order.status = this.settings.outcome;
    if (order.status === 'valid') this.issue(order);
    else order.error = new StrictProblem('caa', 'a record forbids it', { status: 403 });
  }

  private issue(order: StrictOrder): void {
    const { misissue, nowMs, validity } = this.settings;
    const publicKey = misissue === 'otherKey' ? foreignPublicKey() : order.publicKey;
    const names = misissue === 'lacksName' ? ['other.example', ...order.names.slice(1)] : order.names;
    const life = validity(nowMs());
    const { chain, identifier } = this.signer.issue({ names, publicKey, ...life });
    order.chain = chain;
    this.issued.push({ ...life, identifier, order, chain, replacedBy: null, isRevoked: false, askAgainMs: 0 });
  }

  private authorizationOf(order: StrictOrder, number: string): StrictAuthorization {
    const found = order.authorizations[Number(number.split('-')[1])];
    if (found === undefined) throw violation(`there is no authorization ${number}`, 'malformed', 404);
    return found;
  }

  private async authorization(order: StrictOrder, number: string): Promise<StrictReply> {
    const found = this.authorizationOf(order, number);
    // The first look finds it under way; how long it takes then is no matter of time.
    if (found.isSeen) await found.validation;
    if (found.validation !== null) found.isSeen = true;
    const { challenges, expiresMs, isWildcard, name, status } = found;
    const body = {
      ...{ status, expires: new Date(expiresMs).toISOString(), identifier: { type: 'dns', value: name } },
      challenges: challenges.map((one) => this.challenge(number, one)),
      ...(isWildcard ? { wildcard: true } : {}),
    };
    return { status: 200, body, fields: this.laterFields(status === 'pending') };
  }

  private challenge(number: string, { error, kind, status, token }: StrictChallenge): object {
    return {
      ...{ type: kind, url: this.url('challenge', number, kind), status },
      ...(kind === 'dns-persist-01' ? { 'issuer-domain-names': issuerDomainNames } : { token }),
      ...(error === null ? {} : { error: problemOf(error) }),
    };
  }

  /** RFC 8555 section 7.5.1. */
  private accept(order: StrictOrder, number: string, kind: string, { key, payload }: SignedMessage): StrictReply {
    const authorization = this.authorizationOf(order, number);
    const challenge = authorization.challenges.find((one) => one.kind === kind);
    if (challenge === undefined) throw violation(`there is no challenge ${kind}`, 'malformed', 404);
    read(z.strictObject({}), payload, 'the challenge');
    if (authorization.status === 'pending' && authorization.validation === null) {
      challenge.status = 'processing';
      authorization.validation = this.validate(order, authorization, challenge, key);
    } else if (challenge.status === 'pending') throw violation(`the authorization is ${authorization.status}`);
    const fields = { link: `<${this.url('authorization', number)}>;rel="up"` };
    return { status: 200, body: this.challenge(number, challenge), fields };
  }

  private async validate(
    { account }: StrictOrder,
    authorization: StrictAuthorization,
    challenge: StrictChallenge,
    { thumbprint }: StrictKey,
  ): Promise<void> {
    const { nowMs, places } = this.settings;
    const { isWildcard, name } = authorization;
    const { kind, token } = challenge;
    const keyAuthorization = `${token}.${thumbprint}`;
    const wanted = { kind, name, isWildcard, token, keyAuthorization, account, issuerDomainNames, nowMs: nowMs() };
    challenge.error = await checkProof(wanted, places).then(
      () => null,
      (error: StrictProblem) => error,
    );
    challenge.status = challenge.error === null ? 'valid' : 'invalid';
    authorization.status = challenge.status;
  }

  /** RFC 8555 section 7.4. */
  private finalize(order: StrictOrder, { key, payload }: SignedMessage): StrictReply {
    this.advance(order);
    const { csr } = read(z.strictObject({ csr: z.string() }), payload, 'what finalizes the order');
    if (order.status !== 'ready') {
      // It may have been ready when the response to a former request was lost.
      const isViolation = order.publicKey.length === 0;
      throw new StrictProblem('orderNotReady', `the order is ${order.status}`, { status: 403, isViolation });
    }
    order.publicKey = checkRequest(csr, order.names, key.publicKey);
    const isKnown = this.orders.some((other) => other !== order && other.publicKey.equals(order.publicKey));
    if (isKnown) throw violation('the key is that of another order', 'badPublicKey');
    order.status = 'processing';
    const { body } = this.order(order);
    return { status: 200, body, fields: this.laterFields(true) };
  }

  /** RFC 9773 sections 4.2 and 4.3. */
  renewalInfo(identifier: string): StrictReply {
    const { askAgain, nowMs, window } = this.settings;
    const found = this.issued.find((one) => one.identifier === identifier);
    if (found === undefined) throw violation(`there is no certificate ${identifier}`, 'malformed', 404);
    if (found.notAfterMs < nowMs()) throw violation('it has ended, and is asked for');
    if (found.replacedBy?.status === 'valid') throw violation('it is replaced, and is asked for');
    if (nowMs() < found.askAgainMs) throw violation('it is asked for before its time');
    found.askAgainMs = nowMs() + Math.min(askAgain ?? 0, 24 * 3600) * 1000;
    const { endMs, startMs } = found.isRevoked ? { startMs: nowMs() - 2 * day, endMs: nowMs() - day } : window(found);
    const [start, end] = [startMs, endMs].map((ms) => new Date(ms).toISOString());
    const fields = askAgain === null ? {} : { 'retry-after': String(askAgain) };
    return { status: 200, body: { suggestedWindow: { start, end } }, fields };
  }

  /** RFC 8555 section 7.6. */
  private revoke(account: string, payload: string): StrictReply {
    const schema = z.strictObject({ certificate: z.string(), reason: z.number().int().optional() });
    const raw = bytesOfBase64url(read(schema, payload, 'what revokes').certificate);
    const found = this.issued.find(({ chain }) => new X509Certificate(chain).raw.equals(raw));
    if (found?.order.account !== account) throw violation('it is none of this account', 'unauthorized', 403);
    if (found.isRevoked) throw new StrictProblem('alreadyRevoked', 'it is revoked');
    found.isRevoked = true;
    return { status: 200 };
  }
}

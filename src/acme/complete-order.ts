import type { KeyObject } from 'node:crypto';
import { checkCertificate } from '../tls/certificate.ts';
import type { AcmeClient } from './acme-client.ts';
import { AcmeError, malformed, problemText } from './acme-error.ts';
import { certificateRequest } from './certificates.ts';
import type { Authorization, Challenge, Order } from './messages.ts';

export type ChallengeKind = 'http-01' | 'tls-alpn-01' | 'dns-01' | 'dns-persist-01';

/** Proves to an authority that a name is ours. */
export interface Proof {
  readonly kind: ChallengeKind;
  /** The DNS name, without the `*.` of a wildcard. */
  readonly name: string;
  /** Empty for `dns-persist-01`. */
  readonly token: string;
  readonly keyAuthorization: string;
}

/** Shows proofs to authorities. */
export interface Prover {
  /** The kinds of challenges that can be met for a name, the best one first. */
  kindsFor(name: string, isWildcard: boolean): readonly ChallengeKind[];
  /** Resolves once an authority that asks anywhere gets the proof. */
  show(proof: Proof): Promise<void>;
  /** The proof is not needed any more. */
  withdraw(proof: Proof): Promise<void>;
}

export interface OrderMeans {
  readonly prover: Prover;
  /** Of the certificate: ECDSA P-256. It must be kept before this begins, so that another process can go on with it. */
  readonly key: KeyObject;
  readonly preferredChain: string | null;
  /** Waits so many ms. Default: does. */
  readonly pause?: (ms: number) => Promise<void>;
  /** How long the authority may take for one step, in ms. */
  readonly stepMsMax: number;
}

/** Between two looks at what the authority does, in ms: if it does not say, and at most if it does. */
const lookMs = { shortest: 1000, usual: 2000, longest: 30_000 };

/**
 * Brings an order to its end, whatever state another process has left it in.
 * @returns the certificate with its chain, PEM, checked: it is for `key` and for the names of the order.
 * @throws AcmeError; errors of the prover.
 */
export async function completeOrder(client: AcmeClient, begun: Order, means: OrderMeans): Promise<string> {
  let order = begun;
  if (order.status === 'pending') {
    // One after the other: an authority tells of the first one that fails, and the others are given back.
    for (const url of order.authorizations) await authorize(client, url, means);
    order = await awaitOrder(client, order, 'pending', means);
  }
  const names = order.identifiers.map(({ value }) => value);
  if (order.status === 'ready') {
    const { of } = await client.finalize(order, certificateRequest(means.key, names)).catch((error: unknown) => {
      // RFC 8555 section 7.4: its state says more. A request may have been sent again whose response was lost.
      if (!(error instanceof AcmeError) || error.type !== 'orderNotReady') throw error;
      return client.order(begun.url);
    });
    order = of.status === 'ready' ? { ...of, status: 'processing' } : of;
  }
  order = await awaitOrder(client, order, 'processing', means);
  if (order.status !== 'valid' || order.certificate === undefined) {
    throw new AcmeError(`the order has become ${order.status}: ${problemText(order.error) || 'no reason is given'}`, {
      type: 'orderInvalid',
    });
  }
  const certificate = await client.certificate(order.certificate, means.preferredChain);
  checkIssued(certificate, names, means.key);
  return certificate;
}

/** Looks at an order until it is no longer in this state. */
async function awaitOrder(
  client: AcmeClient,
  order: Order,
  whileStatus: Order['status'],
  means: OrderMeans,
): Promise<Order> {
  if (order.status !== whileStatus) return order;
  return await awaited(`the order stays ${whileStatus}`, means, async () => {
    const { of, retryAfterMs } = await client.order(order.url);
    return { found: of.status === whileStatus ? null : of, retryAfterMs };
  });
}

async function authorize(client: AcmeClient, url: string, means: OrderMeans): Promise<void> {
  const { of: authorization } = await client.authorization(url);
  const { identifier, status } = authorization;
  if (status === 'valid') return;
  if (status !== 'pending') throw failed(authorization);
  const challenge = chosenChallenge(authorization, means.prover);
  const token = challenge.token ?? '';
  const proof: Proof = {
    kind: challenge.type as ChallengeKind,
    name: identifier.value,
    token,
    keyAuthorization: client.key.keyAuthorization(token),
  };
  try {
    await show(proof, client, url, means.prover);
    if (challenge.status === 'pending') await client.answer(challenge.url);
    await awaited(`the authority does not decide about ${identifier.value}`, means, async () => {
      const { of, retryAfterMs } = await client.authorization(url);
      if (of.status !== 'pending' && of.status !== 'valid') throw failed(of);
      return { found: of.status === 'valid' ? of : null, retryAfterMs };
    });
  } finally {
    await means.prover.withdraw(proof);
  }
}

/** Shows a proof. If that fails, gives the authorization back: those that stay pending count against limits of authorities. */
async function show(proof: Proof, client: AcmeClient, authorizationUrl: string, prover: Prover): Promise<void> {
  try {
    await prover.show(proof);
  } catch (error) {
    await client.deactivate(authorizationUrl).catch(() => {});
    throw error;
  }
}

function chosenChallenge({ challenges, identifier, wildcard = false }: Authorization, prover: Prover): Challenge {
  const kinds = prover.kindsFor(identifier.value, wildcard);
  for (const kind of kinds) {
    const found = challenges.find(
      ({ type, token }) => type === kind && (token !== undefined || type === 'dns-persist-01'),
    );
    if (found !== undefined) return found;
  }
  const offered = challenges.map(({ type }) => type).join(', ') || 'none';
  const name = `${wildcard ? '*.' : ''}${identifier.value}`;
  throw new AcmeError(
    `no challenge for ${name} can be met: the authority offers ${offered}; possible here: ${kinds.join(', ') || 'none'}`,
    { type: 'noChallenge' },
  );
}

/** The error of an authorization that has failed, with what the authority says about its challenge. */
function failed({ challenges, identifier, status }: Authorization): AcmeError {
  const challenge = challenges.find(({ error }) => error !== undefined && error !== null);
  const why = challenge === undefined ? '' : `: ${challenge.type}: ${problemText(challenge.error)}`;
  return new AcmeError(`the authorization of ${identifier.value} is ${status}${why}`, { type: 'authorizationFailed' });
}

/** Looks again and again, as often as the authority wants it. @throws AcmeError `unreachable` if it takes too long. */
async function awaited<Found>(
  what: string,
  { pause = wait, stepMsMax }: OrderMeans,
  look: () => Promise<{ readonly found: Found | null; readonly retryAfterMs: number | null }>,
): Promise<Found> {
  const startMs = performance.now();
  for (let waitedMs = 0; ; ) {
    const { found, retryAfterMs } = await look();
    if (found !== null) return found;
    const ms = Math.min(Math.max(retryAfterMs ?? lookMs.usual, lookMs.shortest), lookMs.longest);
    if (Math.max(waitedMs + ms, performance.now() - startMs) > stepMsMax) {
      throw new AcmeError(`${what} for more than ${Math.round(stepMsMax / 1000)} s`, { type: 'unreachable' });
    }
    waitedMs += ms;
    await pause(ms);
  }
}

/** An authority may return the chain of another key, or fewer names. */
function checkIssued(certificate: string, names: readonly string[], key: KeyObject): void {
  const pem = key.export({ type: 'pkcs8', format: 'pem' }).toString();
  let issued: readonly string[];
  try {
    issued = checkCertificate(certificate, pem).names;
  } catch (error) {
    throw malformed(
      `the certificate that the authority has issued cannot be used: ${(error as Error).message}`,
      0,
      error,
    );
  }
  const missing = names.filter((name) => !issued.includes(name.toLowerCase()));
  if (missing.length > 0) throw malformed(`the certificate that the authority has issued lacks ${missing.join(', ')}`);
}

function wait(ms: number): Promise<void> {
  // The end of the program does not wait for an authority.
  return new Promise((resolve) => void setTimeout(resolve, ms).unref());
}

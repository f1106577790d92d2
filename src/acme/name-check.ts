import { randomBytes } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { AcmeError } from './acme-error.ts';
import type { ChallengeKind, Proof, Prover } from './complete-order.ts';
import { askOverHttp, askOverTls, type MissingProof, type ProofQuestion } from './proof-request.ts';

export interface NameCheckOptions {
  readonly prover: Prover;
  /** Addresses of a name, in the order in which authorities try them. @throws AcmeError `checkFailed`. */
  readonly addresses: (name: string) => Promise<readonly string[]>;
  /** Why no standing record lets the fleet order for a name; null if one does. @throws AcmeError. */
  readonly standing: (name: string, isWildcard: boolean) => Promise<string | null>;
  /** Where authorities ask. */
  readonly httpPort: number;
  readonly tlsPort: number;
  /** For one response, in ms. */
  readonly timeoutMs: number;
}

/** Redirects that are followed. */
const redirectsMax = 5;
/** Addresses of a name that are tried. */
const addressesMax = 4;

/**
 * Looks for a challenge of our own the way an authority would, so that no order is begun for a name that does not point here:
 * authorities bound the number of those.
 */
export class NameCheck {
  private readonly options: NameCheckOptions;

  constructor(options: NameCheckOptions) {
    this.options = options;
  }

  /**
   * The kinds of challenges that will be met, of those that are possible for a name: the first one whose proof came back, and
   * DNS-01, whose record is looked for when it is there.
   * @throws AcmeError `checkFailed` if there is none, with the reason for each.
   */
  async kindsFor(name: string, isWildcard: boolean): Promise<readonly ChallengeKind[]> {
    const kinds = this.options.prover.kindsFor(name, isWildcard);
    const problems: string[] = [];
    for (const kind of kinds) {
      const problem = await this.problemOf(kind, name, isWildcard);
      if (problem === null) return [kind, ...kinds.filter((other) => other === 'dns-01' && other !== kind)];
      problems.push(problem);
    }
    if (kinds.length === 0) return [];
    throw new AcmeError(`${name} cannot be proved: ${[...new Set(problems)].join('; ')}`, { type: 'checkFailed' });
  }

  /** Why a kind of challenge cannot be met; null if it can. */
  private async problemOf(kind: ChallengeKind, name: string, isWildcard: boolean): Promise<string | null> {
    if (kind === 'dns-01') return null;
    try {
      if (kind === 'dns-persist-01') return await this.options.standing(name, isWildcard);
      return await this.try(kind, name, (await this.options.addresses(name)).slice(0, addressesMax));
    } catch (error) {
      if (!(error instanceof AcmeError)) throw error;
      return error.message;
    }
  }

  /** Null if the proof came back. */
  private async try(
    kind: 'http-01' | 'tls-alpn-01',
    name: string,
    addresses: readonly string[],
  ): Promise<string | null> {
    const { prover } = this.options;
    const token = `hipache-check-${randomBytes(16).toString('base64url')}`;
    const proof: Proof = { kind, name, token, keyAuthorization: `${token}.${randomBytes(16).toString('base64url')}` };
    await prover.show(proof);
    try {
      let problem = '';
      for (const address of addresses) {
        const { port, where } = this.placeOf(kind, proof, address);
        const missing = await this.ask(proof, address, port);
        if (missing === null) return null;
        problem = `${where}: ${missing.why}`;
        // Authorities try another address only if they get no connection.
        if (!missing.isUnreachable) break;
      }
      return problem;
    } finally {
      await prover.withdraw(proof);
    }
  }

  private placeOf(
    kind: 'http-01' | 'tls-alpn-01',
    { name, token }: Proof,
    address: string,
  ): { readonly port: number; readonly where: string } {
    const { httpPort, tlsPort } = this.options;
    const port = kind === 'http-01' ? httpPort : tlsPort;
    const at = `${isIPv6(address) ? `[${address}]` : address}:${port}`;
    const what = kind === 'http-01' ? urlOf(name, token, httpPort).href : `handshake with ${name}`;
    return { port, where: `${kind}: ${what} at ${at}` };
  }

  private async ask(
    { kind, name, token, keyAuthorization }: Proof,
    first: string,
    port: number,
  ): Promise<MissingProof | null> {
    const { addresses, httpPort, timeoutMs, tlsPort } = this.options;
    const question: ProofQuestion = { name, address: first, port, keyAuthorization, timeoutMs };
    if (kind === 'tls-alpn-01') return await askOverTls(question);
    let url = urlOf(name, token, httpPort);
    let address = first;
    for (let redirects = 0; ; redirects++) {
      const found = await askOverHttp(url, { ...question, address, port: portOf(url) });
      if (!(found instanceof URL)) return found;
      // As Let's Encrypt does.
      if (redirects === redirectsMax) return { why: `more than ${redirectsMax} redirects`, isUnreachable: false };
      if (!isFollowed(found, httpPort, tlsPort)) return { why: `a redirect to ${found.origin}`, isUnreachable: false };
      if (found.hostname !== url.hostname) {
        const [other] = await addresses(found.hostname).catch(() => []);
        if (other === undefined)
          return { why: `a redirect to ${found.hostname}, which has no address`, isUnreachable: false };
        address = other;
      }
      url = found;
    }
  }
}

function urlOf(name: string, token: string, port: number): URL {
  return new URL(`http://${name}:${port}/.well-known/acme-challenge/${token}`);
}

function portOf({ port, protocol }: URL): number {
  return port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
}

/** Whether authorities follow a redirect: to their ports only. */
function isFollowed(url: URL, httpPort: number, tlsPort: number): boolean {
  if (url.protocol === 'http:') return portOf(url) === httpPort;
  return url.protocol === 'https:' && portOf(url) === tlsPort;
}

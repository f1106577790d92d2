import { randomBytes } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { within } from '../base/timer.ts';
import { AcmeError } from './acme-error.ts';
import type { ChallengeKind, Proof, Prover } from './complete-order.ts';
import { isPrivateAddress } from './private-addresses.ts';
import { askOverHttp, askOverTls, type MissingProof, type ProofQuestion } from './proof-request.ts';
import type { StandingRecord } from './standing-records.ts';

export interface NameCheckOptions {
  readonly prover: Prover;
  /** Addresses of a name, in the order in which authorities try them. @throws AcmeError `checkFailed`. */
  readonly addresses: (name: string) => Promise<readonly string[]>;
  /** Looks for the standing record of a name. @throws AcmeError. */
  readonly standing: (name: string, isWildcard: boolean) => Promise<StandingRecord>;
  /** Where authorities ask. */
  readonly httpPort: number;
  readonly tlsPort: number;
  /** For one response, and for the whole check, in ms. */
  readonly timeoutMs: number;
  readonly checkMs: number;
}

/** How a name can be proved. */
export interface ProvableName {
  /** The preferred one first. */
  readonly kinds: readonly ChallengeKind[];
  /** Directories of the authorities that find the standing record, if that is the preferred kind; null: any. */
  readonly authorities: readonly string[] | null;
}

type AskedKind = 'http-01' | 'tls-alpn-01';

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
   * How a name can be proved: by those of the possible kinds of challenges whose proof came back, and by DNS-01, whose record is
   * looked for when it is there.
   * @throws AcmeError `checkFailed` if there is none, with the reason for each.
   */
  async find(name: string, isWildcard: boolean): Promise<ProvableName> {
    const { addresses, checkMs, prover } = this.options;
    const possible = prover.kindsFor(name, isWildcard);
    const isAsked = possible.some((kind) => kind === 'http-01' || kind === 'tls-alpn-01');
    const found = isAsked ? settled(addresses(name)) : null;
    const looks = possible.map((kind) =>
      within(this.look(kind, name, isWildcard, found), checkMs, tooLong).catch(asProblem),
    );
    const results = await Promise.all(looks);
    const kinds = possible.filter((_, i) => results[i]?.problem === null);
    if (kinds.length > 0 || possible.length === 0) {
      const first = results[possible.indexOf(kinds[0] as ChallengeKind)];
      return { kinds, authorities: first?.authorities ?? null };
    }
    const problems = new Set(results.map(({ problem }) => problem));
    throw new AcmeError(`${name} cannot be proved: ${[...problems].join('; ')}`, { type: 'checkFailed' });
  }

  private async look(
    kind: ChallengeKind,
    name: string,
    isWildcard: boolean,
    addresses: Promise<readonly string[] | AcmeError> | null,
  ): Promise<Looked> {
    if (kind === 'dns-01') return { problem: null, authorities: null };
    if (kind === 'dns-persist-01') {
      const { authorities, missing } = await this.options.standing(name, isWildcard);
      return { problem: authorities.length > 0 ? null : missing, authorities };
    }
    const found = (await addresses) ?? [];
    if (found instanceof AcmeError) throw found;
    return { problem: await this.try(kind, name, found.slice(0, addressesMax)), authorities: null };
  }

  /** Null if the proof came back. */
  private async try(kind: AskedKind, name: string, addresses: readonly string[]): Promise<string | null> {
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
    kind: AskedKind,
    { name, token }: Proof,
    address: string,
  ): { readonly port: number; readonly where: string } {
    const { httpPort, tlsPort } = this.options;
    const port = kind === 'http-01' ? httpPort : tlsPort;
    const at = `${isIPv6(address) ? `[${address}]` : address}:${port}`;
    const what = kind === 'http-01' ? urlOf(name, token, httpPort).href : `handshake with ${name}`;
    return { port, where: `${kind}: ${what} at ${at}` };
  }

  private async ask(proof: Proof, first: string, port: number): Promise<MissingProof | null> {
    const { httpPort, timeoutMs } = this.options;
    const { keyAuthorization, kind, name, token } = proof;
    const question: ProofQuestion = { name, address: first, port, keyAuthorization, timeoutMs };
    if (kind === 'tls-alpn-01') return await askOverTls(question);
    let url = urlOf(name, token, httpPort);
    let address = first;
    for (let redirects = 0; ; redirects++) {
      const found = await askOverHttp(url, { ...question, address, port: portOf(url) });
      if (!(found instanceof URL)) {
        // The response of another host is nobody's business here.
        return found === null || url.hostname === name ? found : { why: elsewhere(url), isUnreachable: false };
      }
      if (redirects === redirectsMax) return { why: `more than ${redirectsMax} redirects`, isUnreachable: false };
      const next = await this.follow(url, found, first);
      if (typeof next === 'string') return { why: next, isUnreachable: false };
      address = next.address ?? address;
      url = found;
    }
  }

  /** The address of the target of a redirect, null for the same one; a text: why it is not followed. */
  private async follow(from: URL, to: URL, first: string): Promise<{ readonly address: string | null } | string> {
    const { addresses, httpPort, tlsPort } = this.options;
    // As Let's Encrypt does.
    if (!isFollowed(to, httpPort, tlsPort)) return `a redirect to ${to.origin}`;
    if (to.hostname === from.hostname) return { address: null };
    const [address] = await addresses(to.hostname).catch(() => []);
    if (address === undefined) return `a redirect to ${to.hostname}, which has no address`;
    // Strangers choose the target: they must not make this program ask what only it can reach.
    if (isPrivateAddress(address) && !isPrivateAddress(first))
      return `a redirect to ${to.hostname}, which is not public`;
    return { address };
  }
}

interface Looked {
  /** Null: the name can be proved in this way. */
  readonly problem: string | null;
  readonly authorities: readonly string[] | null;
}

function asProblem(error: unknown): Looked {
  if (error instanceof AcmeError) return { problem: error.message, authorities: null };
  throw error;
}

function tooLong(waitMs: number): AcmeError {
  return new AcmeError(`the check took longer than ${waitMs / 1000} s`, { type: 'checkFailed' });
}

async function settled(addresses: Promise<readonly string[]>): Promise<readonly string[] | AcmeError> {
  try {
    return await addresses;
  } catch (error) {
    if (error instanceof AcmeError) return error;
    throw error;
  }
}

function elsewhere({ origin }: URL): string {
  return `redirected to ${origin}, where the proof is not`;
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

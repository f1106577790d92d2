import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { z } from 'zod';
import { type AcmeTransport, acmeTransport } from '../../src/acme/transport.ts';
import { Authority } from './authority.ts';
import {
  problemOf,
  read,
  readSigned,
  type SignedMessage,
  type StrictKey,
  StrictNonces,
  StrictProblem,
  violation,
} from './strict-checks.ts';
import {
  defaultSettings,
  issuerDomainNames,
  requestKinds as kinds,
  type RequestKind,
  type StrictIssued,
  type StrictOrder,
  StrictOrders,
  type StrictReply,
  type StrictSettings,
} from './strict-orders.ts';

interface Fault {
  /** `hang`: there is never a response; `reset`: the connection ends without one. */
  readonly how: 'hang' | 'reset' | 'badNonce' | StrictReply;
  /** Requests that it meets. Default: all until `mend`. */
  readonly times?: number;
  /** Whether the request is done before, so that only its response is lost. */
  readonly isDone?: boolean;
}

const accountSchema = z.strictObject({
  termsOfServiceAgreed: z.literal(true),
  contact: z.array(z.string().regex(/^mailto:[^,?]+@[^,?]+$/)).optional(),
});

/** Of the ports of all, PEM. Made once: it takes a while. */
function ownCertificate(): { readonly ca: string; readonly cert: string; readonly key: string } {
  if (own === null) {
    const authority = new Authority('Strict authority');
    const { certificate: cert, key } = authority.issue(['127.0.0.1']);
    own = { ca: authority.certificate, cert, key };
    authority.dispose();
  }
  return own;
}
let own: ReturnType<typeof ownCertificate> | null = null;

/**
 * An authority (RFC 8555, RFC 9773, draft-ietf-acme-profiles, draft-ietf-acme-dns-persist) that allows nothing, writes down
 * everything, and has the faults that a test wants.
 */
export class StrictAuthority {
  /** What clients have done against the protocol. */
  readonly violations: string[] = [];
  readonly settings = defaultSettings();
  private readonly book = new StrictOrders(this.settings, (kind, ...more) => this.url(kind, ...more));
  private readonly counts = new Map<RequestKind, number>();
  private readonly faults = new Map<RequestKind | 'all', Fault & { met: number }>();
  private readonly accounts = new Map<
    string,
    { readonly key: StrictKey; status: 'valid' | 'deactivated' | 'forgotten' }
  >();
  private readonly nonces = new StrictNonces();
  private readonly server: Server;

  private constructor() {
    const { cert, key } = ownCertificate();
    this.server = createServer({ cert, key }, (request, response) => void this.serve(request, response));
  }

  static async start(settings: Partial<StrictSettings> = {}): Promise<StrictAuthority> {
    const authority = new StrictAuthority();
    Object.assign(authority.settings, settings);
    await new Promise<void>((resolve) => void authority.server.listen(0, '127.0.0.1', resolve));
    return authority;
  }

  get orders(): readonly StrictOrder[] {
    return this.book.orders;
  }

  get issued(): readonly StrictIssued[] {
    return this.book.issued;
  }

  get directoryUrl(): string {
    return this.url('directory');
  }

  /** What signs the certificate of its own port, PEM. */
  get ca(): string {
    return ownCertificate().ca;
  }

  transport(timeoutMs = 20_000): AcmeTransport {
    return acmeTransport({ ca: this.ca, userAgent: 'hipache/test', timeoutMs });
  }

  /** Requests of a kind, also those that have met a fault. */
  count(kind: RequestKind): number {
    return this.counts.get(kind) ?? 0;
  }

  /** Requests of all kinds. */
  get total(): number {
    return kinds.reduce((sum, kind) => sum + this.count(kind), 0);
  }

  /** Has requests go wrong, until `mend`. */
  fail(kind: RequestKind | 'all', how: Fault['how'], more: Omit<Fault, 'how'> = {}): void {
    this.faults.set(kind, { how, ...more, met: 0 });
  }

  mend(): void {
    this.faults.clear();
  }

  /** RFC 8555 section 7.3.6. `forgotten`: as if there had never been any. */
  endAccounts(status: 'deactivated' | 'forgotten'): void {
    for (const account of this.accounts.values()) account.status = status;
  }

  forgetNonces(): void {
    this.nonces.forget();
  }

  async remove(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise<void>((resolve) => void this.server.close(() => resolve()));
  }

  private url(kind: RequestKind, ...more: readonly (string | number)[]): string {
    const { port } = this.server.address() as AddressInfo;
    return [`https://127.0.0.1:${port}`, kind, ...more].join('/');
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await text(request).catch(() => '');
    const [, first, ...parts] = (request.url ?? '').split('/');
    const kind = kinds.find((one) => one === first);
    if (kind !== undefined) this.counts.set(kind, this.count(kind) + 1);
    const fault = this.faultOf(kind);
    let reply: Exclude<Fault['how'], 'badNonce'>;
    if (fault !== undefined && fault.how !== 'badNonce' && fault.isDone !== true) reply = fault.how;
    else {
      const done = await this.answer(kind, parts, request, body, fault).catch((error: unknown) =>
        this.refuse(kind, error),
      );
      reply = fault === undefined || fault.how === 'badNonce' ? done : fault.how;
    }
    if (reply === 'hang') return;
    if (reply === 'reset') return void request.socket.destroy();
    response.statusCode = reply.status;
    response.setHeader('cache-control', 'no-store');
    if (request.method === 'POST' || kind === 'newNonce') response.setHeader('replay-nonce', this.nonces.next());
    if (kind !== 'directory') response.setHeader('link', `<${this.directoryUrl}>;rel="index"`);
    for (const [name, value] of Object.entries(reply.fields ?? {})) response.appendHeader(name, value);
    const isText = reply.body === undefined || typeof reply.body === 'string';
    response.end(isText ? reply.body : JSON.stringify(reply.body));
  }

  private faultOf(kind: RequestKind | undefined): Fault | undefined {
    const fault = this.faults.get(kind ?? 'all') ?? this.faults.get('all');
    return fault !== undefined && fault.met++ < (fault.times ?? Number.POSITIVE_INFINITY) ? fault : undefined;
  }

  private refuse(kind: RequestKind | undefined, error: unknown): StrictReply {
    const problem = error instanceof StrictProblem ? error : violation(String(error), 'serverInternal', 500);
    if (problem.isViolation) this.violations.push(`${kind}: ${problem.type}: ${problem.message}`);
    return { status: problem.status, body: problemOf(problem), fields: { 'content-type': 'application/problem+json' } };
  }

  private async answer(
    kind: RequestKind | undefined,
    parts: readonly string[],
    request: IncomingMessage,
    body: string,
    fault: Fault | undefined,
  ): Promise<StrictReply> {
    const { headers, method } = request;
    if (kind === undefined) throw violation(`nothing is at ${request.url}`, 'malformed', 404);
    // RFC 8555 section 6.1.
    if (headers['user-agent'] === undefined) throw violation('there is no User-Agent');
    const allowed = { directory: 'GET', renewalInfo: 'GET', newNonce: 'HEAD' }[kind as string] ?? 'POST';
    if (method !== allowed) throw violation(`${method} is not allowed`, 'malformed', 405);
    if (kind === 'directory') return { status: 200, body: this.directory() };
    if (kind === 'newNonce') return { status: 200 };
    if (kind === 'renewalInfo') return this.book.renewalInfo(parts.join('/'));
    const message = readSigned(body, {
      ...{ contentType: headers['content-type'], url: this.url(kind, ...parts), keyOf: (kid) => this.keyOf(kid) },
    });
    this.nonces.use(message);
    if (fault?.how === 'badNonce') throw new StrictProblem('badNonce', 'a nonce is refused although it is good');
    if (kind === 'newAccount') return this.newAccount(message);
    // RFC 8555 section 6.2. A certificate is revoked for its account here.
    if (message.kid === null) throw violation('the key stands in the message, not its account');
    if (kind === 'account') return this.account(message.kid, this.url(kind, ...parts), message.payload);
    return await this.book.answer(kind, message.kid, message, parts, headers.accept);
  }

  private directory(): object {
    const { hasRenewalInfo, profiles } = this.settings;
    return {
      ...{ newNonce: this.url('newNonce'), newAccount: this.url('newAccount'), newOrder: this.url('newOrder') },
      revokeCert: this.url('revokeCert'),
      keyChange: this.url('account', 'key'),
      ...(hasRenewalInfo ? { renewalInfo: this.url('renewalInfo') } : {}),
      meta: { termsOfService: 'https://strict.example/terms', profiles, caaIdentities: issuerDomainNames },
    };
  }

  private keyOf(kid: string): StrictKey {
    const account = this.accounts.get(kid);
    if (account === undefined) throw violation(`there is no account ${kid}`, 'accountDoesNotExist');
    if (account.status === 'forgotten') throw new StrictProblem('accountDoesNotExist', 'there is no such account');
    if (account.status === 'deactivated') throw deactivated();
    return account.key;
  }

  private account(kid: string, url: string, payload: string): StrictReply {
    if (kid !== url) throw violation('it is another account', 'unauthorized', 401);
    if (payload !== '') throw violation('accounts are not changed here');
    return { status: 200, body: { status: 'valid' } };
  }

  private newAccount({ key, kid, payload }: SignedMessage): StrictReply {
    if (kid !== null) throw violation('a new account is made by a key');
    read(accountSchema, payload, 'the account');
    const known = [...this.accounts].find(
      ([, account]) => account.status !== 'forgotten' && account.key.thumbprint === key.thumbprint,
    );
    if (known?.[1].status === 'deactivated') throw deactivated();
    const url = known?.[0] ?? this.url('account', this.accounts.size);
    if (known === undefined) this.accounts.set(url, { key, status: 'valid' });
    const body = { status: 'valid', orders: `${url}/orders` };
    return { status: known === undefined ? 201 : 200, body, fields: { location: url } };
  }
}

function deactivated(): StrictProblem {
  return new StrictProblem('unauthorized', 'the account is deactivated', { status: 401 });
}

/** A refusal, for `fail`. @param type without its namespace. */
export function refusal(status: number, type: string, fields: Readonly<Record<string, string>> = {}): StrictReply {
  const problem = new StrictProblem(type, `the authority says ${type}`, { status });
  return { status, body: problemOf(problem), fields: { 'content-type': 'application/problem+json', ...fields } };
}

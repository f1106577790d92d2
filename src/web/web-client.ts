import type { ClientRequest, IncomingMessage } from 'node:http';
import { Agent as AgentTls, request as requestHttps } from 'node:https';
import { isIP, type LookupFunction, type Socket } from 'node:net';
import { HipacheError } from '../base/errors.ts';
import { Agent, request as requestHttp } from '../base/node-http.ts';
import type { NameResolver } from '../dns/name-resolver.ts';
import { resolveOnce } from '../dns/resolve-once.ts';
import type { WebRequest, WebResponse } from '../policy/web-fetch.ts';
import type { BackendTls } from '../tls/backend-tls.ts';

export interface WebClientParts {
  readonly resolver: Pick<NameResolver, 'watch'>;
  readonly tls: BackendTls;
  /** Whether one more connection can be opened: see `ConnectionBudget`. */
  readonly makeRoom: () => boolean;
  /** The number of open connections has changed. */
  readonly onConnections: (open: number) => void;
}

/** Largest head of a response, in bytes. */
const headBytesMax = 65_536;
/** How long an unused connection is kept, in ms. A server that announces less gets less. */
const idleMs = 30_000;
/** Unused connections that are kept to one server. */
const idlePerServerMax = 64;
/** Open connections above which unused ones are closed. */
const connectionsMax = 2000;

/**
 * The client of the requests that the proxy sends on its own behalf. It keeps connections, resolves names as those of
 * backends, and trusts the certificates that `https://` backends may have. It follows no redirects.
 */
export class WebClient {
  private readonly parts: WebClientParts;
  private readonly lookup: LookupFunction;
  private readonly kept = agentsOf({ keepAlive: true, maxFreeSockets: idlePerServerMax, timeout: idleMs });
  private readonly single = agentsOf({ keepAlive: false });
  private readonly sockets = new Set<Socket>();

  constructor(parts: WebClientParts) {
    this.parts = parts;
    this.lookup = lookupBy(parts.resolver);
  }

  /** See `WebFetch`. @throws Error that says why there is no whole response. @throws HipacheError OVERLOADED. */
  async get(request: WebRequest): Promise<WebResponse> {
    const endMs = performance.now() + request.timeoutMs;
    try {
      return await this.send(request, endMs, request.isAlone === true);
    } catch (error) {
      if (!(error instanceof StaleConnection)) throw error;
      return await this.send(request, endMs, true);
    }
  }

  get connectionsOpen(): number {
    return this.sockets.size;
  }

  /** Ends all connections. */
  close(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  private send(request: WebRequest, endMs: number, isAlone: boolean): Promise<WebResponse> {
    if (this.sockets.size >= connectionsMax) this.closeIdle();
    if (!this.parts.makeRoom()) throw new HipacheError('OVERLOADED', 'this process has no descriptor left');
    const sent = this.begin(request, isAlone);
    sent.on('socket', (socket) => this.count(socket));
    return responseTo(sent, request, endMs);
  }

  private begin({ fields, signal, url }: WebRequest, isAlone: boolean): ClientRequest {
    const { host, hostname, pathname, port, protocol, search } = new URL(url);
    const isSecure = protocol === 'https:';
    const name = hostname.replace(/^\[|\]$/g, '');
    const agents = isAlone ? this.single : this.kept;
    const options = {
      host: name,
      port: port === '' ? (isSecure ? 443 : 80) : Number(port),
      path: pathname + search,
      headers: ['Host', host, ...fields],
      maxHeaderSize: headBytesMax,
      lookup: this.lookup,
      ...(signal === undefined ? {} : { signal }),
    };
    if (!isSecure) return requestHttp({ ...options, agent: agents.plain }).end();
    const { context, verify } = this.parts.tls;
    const servername = isIP(name) === 0 ? name : '';
    const trust = { secureContext: context, rejectUnauthorized: verify, servername };
    return requestHttps({ ...options, ...trust, agent: agents.tls }).end();
  }

  private count(socket: Socket): void {
    if (this.sockets.has(socket)) return;
    this.sockets.add(socket);
    this.parts.onConnections(this.sockets.size);
    socket.once('close', () => {
      this.sockets.delete(socket);
      this.parts.onConnections(this.sockets.size);
    });
  }

  private closeIdle(): void {
    for (const agent of [this.kept.plain, this.kept.tls]) {
      for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
    }
  }
}

/** The server had closed the kept connection: the request is to be sent again on a new one. */
class StaleConnection extends Error {}

function agentsOf(options: ConstructorParameters<typeof Agent>[0]) {
  return { plain: new Agent(options), tls: new AgentTls(options) };
}

/** The whole response. @param endMs monotonic ms. */
function responseTo(sent: ClientRequest, { bodyBytesMax }: WebRequest, endMs: number): Promise<WebResponse> {
  return new Promise((resolve, reject) => {
    let hasResponse = false;
    let isOver = false;
    const timer = setTimeout(
      () => fail(new Error('no whole response in time')),
      Math.max(0, endMs - performance.now()),
    );
    const fail = (error: NodeJS.ErrnoException): void => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      const isStale = sent.reusedSocket && !hasResponse && /^(?:ECONNRESET|EPIPE)$/.test(error.code ?? '');
      reject(isStale ? new StaleConnection(error.message) : error);
      sent.destroy();
    };
    // Node would leave out those beyond 2,000 without a word; the bytes of the head are limited all the same.
    sent.maxHeadersCount = 0;
    sent.on('error', fail);
    // Also after a 101, to which nobody listens.
    sent.on('close', () => fail(new Error('closed without a whole response')));
    sent.on('response', (response: IncomingMessage) => {
      hasResponse = true;
      const parts: Buffer[] = [];
      let bytes = 0;
      response.on('data', (part: Buffer) => {
        bytes += part.length;
        if (bytes > bodyBytesMax) fail(new Error(`the body of its response is longer than ${bodyBytesMax} bytes`));
        else parts.push(part);
      });
      response.on('error', fail);
      response.on('end', () => {
        if (isOver || !response.complete) return;
        isOver = true;
        clearTimeout(timer);
        const body = Buffer.concat(parts).latin1Slice();
        resolve({ status: response.statusCode ?? 0, fields: response.rawHeaders, body });
      });
    });
  });
}

/** Looks up names where those of backends are looked up. */
function lookupBy(resolver: Pick<NameResolver, 'watch'>): LookupFunction {
  return (name, options, callback) => {
    resolveOnce(resolver, name).then(
      (addresses) => {
        const found = addresses.map((address) => ({ address, family: isIP(address) }));
        const [first = { address: '', family: 0 }] = found;
        if (options.all === true) callback(null, found);
        else callback(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, '', 0),
    );
  };
}

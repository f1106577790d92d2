import { once } from 'node:events';
import { connect, isIP, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as connectTls, TLSSocket } from 'node:tls';
import { isHostName, isSocketPath } from '../base/host-port.ts';
import { within } from '../base/timer.ts';
import type { NameResolver } from '../dns/name-resolver.ts';
import { resolveOnce } from '../dns/resolve-once.ts';
import { BodyReader } from '../http1/body.ts';
import { NEED_MORE, REFUSED } from '../http1/head.ts';
import { ResponseHead } from '../http1/response-head.ts';
import { hostFieldOf } from '../routing/backend.ts';
import type { BackendTarget } from '../routing/backend-url.ts';
import { hostPatternOf } from '../routing/patterns.ts';
import type { BackendTls } from '../tls/backend-tls.ts';
import { probeHttp2 } from './probe-http2.ts';

/** What a backend showed: the status of its response, or 0 with why there was none. */
export interface ProbeResult {
  readonly status: number;
  readonly problem: string;
  /** The value of `Location`; empty if the response has none. */
  readonly location?: string;
  /** The beginning of the body as latin1 text, if it was asked for. */
  readonly body?: string;
}

export interface ProbeOptions {
  readonly target: BackendTarget;
  /** Value of the Host field. */
  readonly host: string;
  readonly tls: BackendTls;
  readonly resolver: Pick<NameResolver, 'watch'>;
  /** From the beginning to the end of the response, with all addresses of a name, in ms. */
  readonly timeoutMs: number;
  /** Of Hipache, for the User-Agent field. */
  readonly version: string;
  /** Path and query, or `grpc:` with the name of a service. Default `/`. */
  readonly path?: string;
  /** Bytes of the body that are read. Default 0. */
  readonly bodyBytesMax?: number;
}

const fullBacklogPauseMs = 50;
/** Addresses of a name that are tried. */
const addressesMax = 4;
const trailerBytesMax = 16_384;
const limits = { headBytesMax: 262_144, headFieldsMax: 1000, targetBytesMax: 0 };

/**
 * Asks a backend for a path on a connection of its own, as a client would, and reads the head of its response. If its name
 * has several addresses, the next one is tried until one accepts.
 */
export async function probe(options: ProbeOptions): Promise<ProbeResult> {
  const { hostname } = options.target;
  let result: ProbeResult = { status: 0, problem: 'no address' };
  const endMs = performance.now() + options.timeoutMs;
  try {
    const addresses = (isHostName(hostname) ? await addressesOf(options) : [hostname]).slice(0, addressesMax);
    for (const [index, address] of addresses.entries()) {
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) break;
      // An address that drops packets leaves time for the others.
      const connectMs = leftMs / (addresses.length - index);
      result = await probeAt(address, { ...options, timeoutMs: leftMs }, connectMs);
      // The backlog of a Unix socket is full, where TCP would wait.
      while (result.problem === 'EAGAIN' && performance.now() < endMs) {
        await delay(fullBacklogPauseMs);
        const timeoutMs = Math.max(1, endMs - performance.now());
        result = await probeAt(address, { ...options, timeoutMs }, timeoutMs);
      }
      if (result.status > 0) break;
    }
  } catch (error) {
    result = { status: 0, problem: (error as NodeJS.ErrnoException).code ?? (error as Error).message };
  }
  return result;
}

/** A host that the backends of a pattern know: that of the pattern, of a wildcard its domain. */
export function probedHost(pattern: string, target: BackendTarget): string {
  const host = hostPatternOf(pattern);
  if (host === '*') return hostFieldOf(target);
  return host.startsWith('*.') ? host.slice(2) : host;
}

function addressesOf({ resolver, target, timeoutMs }: ProbeOptions): Promise<readonly string[]> {
  return within(
    resolveOnce(resolver, target.hostname),
    timeoutMs,
    () => new Error('its name was not resolved in time'),
  );
}

/** @param connectMs how long the connection, and its TLS handshake, may take. */
async function probeAt(address: string, options: ProbeOptions, connectMs: number): Promise<ProbeResult> {
  const { target, host, tls, version, path = '/', bodyBytesMax = 0 } = options;
  const userAgent = `hipache-probe/${version}`;
  const isGrpc = path.startsWith('grpc:');
  const { isHttp2, secure } = target;
  if (isGrpc && !isHttp2 && !secure) {
    return { status: 0, problem: 'gRPC needs a backend h2c://, h2:// or https://' };
  }
  const endMs = performance.now() + options.timeoutMs;
  // Those of requests.
  const protocols = isHttp2 || isGrpc ? ['h2'] : secure ? tls.alpn : ['http/1.1'];
  const socket = connectTo(address, target, tls, protocols);
  const isOpen = protocols.length > 1;
  const chosen = isOpen ? await chosenProtocol(socket as TLSSocket, connectMs) : protocols[0];
  if (chosen instanceof Error) return { status: 0, problem: (chosen as NodeJS.ErrnoException).code ?? chosen.message };
  const timeoutMs = endMs - performance.now();
  if (chosen === 'h2') {
    return probeHttp2(socket, { host, secure, path, userAgent, timeoutMs, connectMs, bodyBytesMax });
  }
  return probeHttp1(socket, { path, host, userAgent, bodyBytesMax, timeoutMs, connectMs, isOpen });
}

/** The protocol by ALPN, empty if the backend chose none; or why there is no connection. */
async function chosenProtocol(socket: TLSSocket, connectMs: number): Promise<string | Error> {
  const timer = setTimeout(() => socket.destroy(new Error('no connection in time')), connectMs);
  socket.on('error', () => {});
  try {
    await once(socket, 'secureConnect');
    return socket.alpnProtocol || '';
  } catch (error) {
    socket.destroy();
    return error as Error;
  } finally {
    clearTimeout(timer);
  }
}

interface Http1ProbeOptions {
  readonly path: string;
  readonly host: string;
  readonly userAgent: string;
  readonly bodyBytesMax: number;
  readonly timeoutMs: number;
  readonly connectMs: number;
  /** Whether the connection is established. */
  readonly isOpen: boolean;
}

function probeHttp1(socket: Socket, options: Http1ProbeOptions): Promise<ProbeResult> {
  const { path, host, userAgent, bodyBytesMax, timeoutMs, connectMs, isOpen } = options;
  return new Promise((resolve) => {
    let buffered: Buffer = Buffer.alloc(0);
    let body: ProbedBody | null = null;
    const head = new ResponseHead();
    const connectTimer = setTimeout(() => finish(0, 'no connection in time'), connectMs);
    const timer = setTimeout(() => finish(0, 'no response in time'), timeoutMs);
    const finish = (status: number, problem: string): void => {
      clearTimeout(timer);
      clearTimeout(connectTimer);
      socket.destroy();
      const location = status > 0 ? fieldOf(head, 'location') : '';
      resolve({
        status,
        problem,
        ...(location === '' ? {} : { location }),
        ...(body === null ? {} : { body: body.text }),
      });
    };
    const begin = (): void => {
      clearTimeout(connectTimer);
      socket.write(
        `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: ${userAgent}\r\nAccept: */*\r\nConnection: close\r\n\r\n`,
        'latin1',
      );
    };
    if (isOpen) begin();
    else socket.once(socket instanceof TLSSocket ? 'secureConnect' : 'connect', begin);
    socket.on('data', (bytes: Buffer) => {
      if (body !== null) {
        if (body.add(bytes, 0)) finish(head.status, '');
        return;
      }
      buffered = Buffer.concat([buffered, bytes]);
      for (;;) {
        const length = head.read(buffered, 0, buffered.length, limits);
        if (length === NEED_MORE) return;
        if (length === REFUSED) {
          finish(0, `the response is no HTTP: ${head.refusal}`);
          return;
        }
        if (!head.isInformational || head.status === 101) {
          body = bodyBytesMax === 0 ? null : new ProbedBody(head, bodyBytesMax);
          if (body === null || body.add(buffered, length)) finish(head.status, '');
          return;
        }
        buffered = buffered.subarray(length);
        head.reset();
      }
    });
    socket.on('error', (error: NodeJS.ErrnoException) => finish(0, error.code ?? error.message));
    socket.on('close', () => {
      if (body === null) finish(0, 'closed without a response');
      else finish(head.status, '');
    });
  });
}

/** The value of the last field with this name; empty if there is none. @param name in lower case. */
function fieldOf(head: ResponseHead, name: string): string {
  for (let field = head.fieldCount - 1; field >= 0; field--) {
    if (head.fieldName(field).toLowerCase() === name) return head.fieldValue(field);
  }
  return '';
}

/** The beginning of a body. */
class ProbedBody {
  text = '';
  private readonly reader = new BodyReader(trailerBytesMax);
  private readonly bytesMax: number;

  constructor(head: ResponseHead, bytesMax: number) {
    this.bytesMax = bytesMax;
    this.reader.start(head.framing, head.contentLength);
  }

  /** @returns whether the body has ended, or as much as is wanted has come. */
  add(bytes: Buffer, start: number): boolean {
    this.reader.read(bytes, start, bytes.length, this);
    return this.reader.done || this.reader.refusal !== '' || this.text.length >= this.bytesMax;
  }

  onBodyData(bytes: Buffer, start: number, end: number): void {
    this.text += bytes.latin1Slice(start, Math.min(end, start + this.bytesMax - this.text.length));
  }
}

function connectTo(
  address: string,
  { port, secure, serverName }: BackendTarget,
  { context, verify }: BackendTls,
  alpn: readonly string[],
): Socket {
  if (isSocketPath(address)) return connect({ path: address });
  if (!secure) return connect({ host: address, port, noDelay: true });
  return connectTls({
    host: address,
    port,
    secureContext: context,
    rejectUnauthorized: verify,
    servername: isIP(serverName) === 0 ? serverName : '',
    ALPNProtocols: [...alpn],
  });
}

import { Agent, request } from 'node:https';
import { AcmeError } from './acme-error.ts';

export interface AcmeRequest {
  readonly method: 'GET' | 'HEAD' | 'POST';
  /** Absolute, https. */
  readonly url: string;
  /** JSON of a JWS. */
  readonly body?: string;
  readonly accept?: string;
}

export interface AcmeResponse {
  readonly status: number;
  /** The value of a field, by its name in lower case; several values are joined by a comma. Null without it. */
  field(name: string): string | null;
  readonly body: string;
}

/** Sends a request to an authority. @throws AcmeError `unreachable`. */
export type AcmeTransport = (request: AcmeRequest) => Promise<AcmeResponse>;

export interface TransportOptions {
  /** PEM of the authorities that are trusted in place of the public ones; null for those. */
  readonly ca: string | null;
  readonly userAgent: string;
  /** How long a response may take, in ms. */
  readonly timeoutMs: number;
}

/** Largest body of a response, in bytes. A chain of certificates has some thousand. */
const bodyBytesMax = 1024 * 1024;

/** Talks to authorities over https, and keeps connections. It follows no redirects: RFC 8555 has none. */
export function acmeTransport(options: TransportOptions): AcmeTransport {
  const { ca, timeoutMs } = options;
  const trust = ca === null ? {} : { ca };
  const agent = new Agent({ keepAlive: true, timeout: timeoutMs, ...trust });
  return (request) =>
    send(request, options, agent).catch((error: unknown) => {
      if (!(error instanceof ClosedEarlier)) throw error;
      return send(request, options, new Agent(trust));
    });
}

/** The authority had closed the kept connection: the request is to be sent again on a new one. */
class ClosedEarlier extends Error {}

function send(
  { accept, body, method, url }: AcmeRequest,
  { timeoutMs, userAgent }: TransportOptions,
  agent: Agent,
): Promise<AcmeResponse> {
  const { promise, resolve, reject } = Promise.withResolvers<AcmeResponse>();
  const fail = (why: string, cause?: unknown): void =>
    reject(new AcmeError(`${url}: ${why}`, { type: 'unreachable', cause }));
  if (!URL.canParse(url) || !url.startsWith('https://')) {
    fail('not an https URL');
    return promise;
  }
  const signal = AbortSignal.timeout(timeoutMs);
  const headers = {
    'user-agent': userAgent,
    ...(accept === undefined ? {} : { accept }),
    ...(body === undefined
      ? {}
      : { 'content-type': 'application/jose+json', 'content-length': Buffer.byteLength(body) }),
  };
  const sent = request(url, { agent, method, headers, signal });
  const onError = (error: NodeJS.ErrnoException): void => {
    const { code = error.message } = error;
    if (signal.aborted) fail(`no whole response within ${timeoutMs / 1000} s`, error);
    else if (sent.reusedSocket && /^(?:ECONNRESET|EPIPE)$/.test(code)) reject(new ClosedEarlier(code));
    else fail(code, error);
  };
  sent.on('error', onError);
  sent.on('response', (response) => {
    const parts: Buffer[] = [];
    let bytes = 0;
    response.on('data', (part: Buffer) => {
      bytes += part.length;
      if (bytes > bodyBytesMax) response.destroy(new Error(`a response of more than ${bodyBytesMax} bytes`));
      else parts.push(part);
    });
    response.on('error', (error: NodeJS.ErrnoException) => onError(new Error(error.message)));
    response.on('end', () =>
      resolve({
        status: response.statusCode ?? 0,
        field: (name) => [response.headers[name] ?? []].flat().join(', ') || null,
        body: Buffer.concat(parts).toString(),
      }),
    );
  });
  sent.end(body);
  return promise;
}

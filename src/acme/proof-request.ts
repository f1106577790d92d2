import { X509Certificate } from 'node:crypto';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:tls';
import { request as httpRequest } from '../base/node-http.ts';
import { challengeProtocol } from '../tls/tls-listener.ts';
import { provesName } from './certificates.ts';

/** A server that is asked for a proof, as an authority would ask it. */
export interface ProofQuestion {
  readonly name: string;
  /** Of the name. */
  readonly address: string;
  readonly port: number;
  readonly keyAuthorization: string;
  readonly timeoutMs: number;
}

/** Why the proof did not come back; null if it did. `isUnreachable`: no connection, so that another address may do. */
export interface MissingProof {
  readonly why: string;
  readonly isUnreachable: boolean;
}

/** A proof is some hundred bytes long. */
const bodyBytesMax = 4096;

/** The response to the request for a proof by HTTP-01; where it is a redirect, the URL of its target. */
export async function askOverHttp(
  url: URL,
  { address, keyAuthorization, port, timeoutMs }: ProofQuestion,
): Promise<MissingProof | URL | null> {
  const isSecure = url.protocol === 'https:';
  const options = {
    ...{ host: address, port, path: url.pathname + url.search, agent: false, signal: AbortSignal.timeout(timeoutMs) },
    headers: { host: url.host, 'user-agent': 'hipache (checks that a challenge of its own comes back)' },
  };
  // Authorities follow redirects to https whatever the certificate is: the one that is missing may be this.
  const sent = isSecure
    ? httpsRequest({ ...options, servername: url.hostname, rejectUnauthorized: false })
    : httpRequest(options);
  let isConnected = false;
  try {
    sent.once('socket', (socket) => {
      socket.once('connect', () => {
        isConnected = true;
      });
    });
    const response = await responseOf(sent);
    const { statusCode = 0 } = response;
    const { location } = response.headers;
    if (statusCode >= 300 && statusCode < 400 && location !== undefined && URL.canParse(location, url)) {
      return new URL(location, url);
    }
    const body = await bodyOf(response);
    if (statusCode === 200 && body.trim() === keyAuthorization) return null;
    const server =
      response.headers['server'] === undefined ? '' : ` of the server "${response.headers['server'].slice(0, 50)}"`;
    return { why: `status ${statusCode}${server}, without the proof`, isUnreachable: false };
  } catch (error) {
    return { why: reasonOf(error, timeoutMs), isUnreachable: !isConnected };
  } finally {
    sent.destroy();
  }
}

/** Makes the handshake of a proof by TLS-ALPN-01 (RFC 8737 section 3). */
export async function askOverTls({
  address,
  keyAuthorization,
  name,
  port,
  timeoutMs,
}: ProofQuestion): Promise<MissingProof | null> {
  const socket = connect({
    ...{ host: address, port, servername: name, rejectUnauthorized: false },
    ALPNProtocols: [challengeProtocol],
  });
  const { promise, resolve, reject } = Promise.withResolvers<MissingProof | null>();
  let isConnected = false;
  socket.setTimeout(timeoutMs, () => reject(new DOMException('', 'TimeoutError')));
  socket.once('connect', () => {
    isConnected = true;
  });
  socket.once('error', reject);
  socket.once('close', () => reject(new Error('the connection was closed')));
  socket.once('secureConnect', () => {
    const certificate = socket.getPeerX509Certificate();
    const isProof =
      socket.alpnProtocol === challengeProtocol &&
      certificate !== undefined &&
      provesName(new X509Certificate(certificate.raw), name, keyAuthorization);
    resolve(isProof ? null : { why: 'a certificate that is not the proof', isUnreachable: false });
  });
  try {
    return await promise;
  } catch (error) {
    return { why: reasonOf(error, timeoutMs), isUnreachable: !isConnected };
  } finally {
    socket.destroy();
  }
}

function responseOf(sent: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    sent.once('response', resolve);
    sent.once('error', reject);
    sent.end();
  });
}

async function bodyOf(response: IncomingMessage): Promise<string> {
  let body = '';
  for await (const part of response.setEncoding('latin1')) {
    body += part;
    if (body.length > bodyBytesMax) break;
  }
  return body;
}

function reasonOf(error: unknown, timeoutMs: number): string {
  const { code, message, name } = error as NodeJS.ErrnoException;
  if (name === 'TimeoutError' || name === 'AbortError') return `no response within ${timeoutMs / 1000} s`;
  return code ?? message;
}

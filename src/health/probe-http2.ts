import {
  type ClientHttp2Session,
  connect,
  constants,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
} from 'node:http2';
import type { Socket } from 'node:net';
import { grpcProbe, grpcProblem } from './grpc-check.ts';
import type { ProbeResult } from './probe.ts';

export interface Http2ProbeOptions {
  /** Value of `:authority`. */
  readonly host: string;
  readonly secure: boolean;
  /** Path and query, or `grpc:` with the name of a service (`grpc.health.v1`). */
  readonly path: string;
  readonly userAgent: string;
  readonly timeoutMs: number;
  readonly connectMs: number;
  readonly bodyBytesMax: number;
}

/** Bytes of the response to a gRPC check that are read; it has a dozen. */
const grpcBytesMax = 1024;

/** Asks a backend over HTTP/2 on a connection of its own. @param socket that is about to connect. */
export function probeHttp2(socket: Socket, options: Http2ProbeOptions): Promise<ProbeResult> {
  const { bodyBytesMax, connectMs, host, path, secure, timeoutMs, userAgent } = options;
  const grpc = path.startsWith('grpc:') ? grpcProbe(path) : null;
  const bytesMax = grpc === null ? bodyBytesMax : grpcBytesMax;
  return new Promise((resolve) => {
    let head: IncomingHttpHeaders & IncomingHttpStatusHeader = {};
    let trailers: IncomingHttpHeaders = {};
    let body = '';
    const session: ClientHttp2Session = connect(`${secure ? 'https' : 'http'}://probe`, {
      createConnection: () => socket,
    });
    const connectTimer = setTimeout(() => finish('no connection in time'), connectMs);
    const timer = setTimeout(() => finish('no response in time'), timeoutMs);
    const finish = (problem: string): void => {
      clearTimeout(timer);
      clearTimeout(connectTimer);
      session.destroy();
      socket.destroy();
      const status = head[':status'] ?? 0;
      const fault = grpc === null || status === 0 ? '' : grpcProblem(status, { ...head, ...trailers }, body);
      if (status === 0 || fault !== '') {
        resolve({ status: 0, problem: fault || problem });
        return;
      }
      const { location } = head;
      resolve({
        status,
        problem: '',
        ...(location === undefined ? {} : { location }),
        ...(bodyBytesMax === 0 ? {} : { body }),
      });
    };
    session.once('connect', () => clearTimeout(connectTimer));
    session.on('error', (error: NodeJS.ErrnoException) => finish(error.code ?? error.message));
    session.on('close', () => finish('closed without a response'));
    const stream = session.request(
      { ':authority': host, ':method': 'GET', ':path': path, 'user-agent': userAgent, accept: '*/*', ...grpc?.headers },
      { endStream: grpc === null },
    );
    let streamError = '';
    stream.on('error', ({ message }) => {
      streamError = message;
    });
    stream.on('response', (headers) => {
      head = headers;
      if (bytesMax === 0) finish('');
    });
    stream.on('trailers', (fields) => {
      trailers = fields;
    });
    stream.on('data', (bytes: Buffer) => {
      body += bytes.latin1Slice(0, Math.min(bytes.length, bytesMax - body.length));
      if (body.length >= bytesMax) finish('');
    });
    stream.on('close', () => {
      const { rstCode } = stream;
      finish(streamError || (rstCode === constants.NGHTTP2_NO_ERROR ? 'no response' : `reset with code ${rstCode}`));
    });
    if (grpc !== null) stream.end(grpc.body, 'latin1');
  });
}

import type { ErrorCode } from '../../base/errors.ts';
import type { ByteSocket, SocketHandler } from '../../sockets/byte-socket.ts';
import { PlainSocket } from '../../sockets/plain-socket.ts';
import { StreamSocket } from '../../sockets/stream-socket.ts';
import type { ProxyContext } from '../context.ts';

/** Protocols offered to backends, in order of preference (RFC 7301). */
const alpnProtocols = ['http/1.1'];

/** An address to connect to. */
export interface DialTarget {
  readonly hostname: string;
  readonly port: number;
  /** The server name for TLS; null for a plain connection. */
  readonly tlsName: string | null;
  /** The latest TLS session from the backend, for resumption; null for none. */
  tlsSession: Buffer | null;
}

/** Connects to a backend. The handler's `onConnected` or `onClosed` follows. */
export function dial(target: DialTarget, handler: SocketHandler, { backendTls, settings }: ProxyContext): ByteSocket {
  const { hostname, port, tlsName: serverName } = target;
  const { writeBufferBytesMax } = settings;
  if (serverName === null) return PlainSocket.connecting(hostname, port, handler, writeBufferBytesMax);
  const peer = { hostname, port, serverName, alpnProtocols };
  return StreamSocket.connectingTls(peer, handler, writeBufferBytesMax, backendTls, target.tlsSession, (session) => {
    target.tlsSession = session;
  });
}

/** The code for a failed dial: the backend, its certificate or this machine may be the cause. */
export function dialErrorCode(detail: string, isTls: boolean): ErrorCode {
  switch (detail) {
    case 'EMFILE':
    case 'ENFILE':
    case 'ENOBUFS':
    case 'ENOMEM':
    case 'EADDRNOTAVAIL':
      return 'OVERLOADED';
    case 'ETIMEDOUT':
      return 'BACKEND_CONNECT_TIMEOUT';
    case 'ECONNREFUSED':
    case 'ECONNRESET':
    case 'EPIPE':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'closed':
      return 'BACKEND_CONNECT_REFUSED';
    default:
      // TLS and certificate errors are too many to list.
      return isTls ? 'BACKEND_TLS' : 'BACKEND_CONNECT_REFUSED';
  }
}

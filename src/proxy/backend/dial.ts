import type { ErrorCode } from '../../base/errors.ts';
import type { ByteSocket, SocketHandler } from '../../sockets/byte-socket.ts';
import { PlainSocket } from '../../sockets/plain-socket.ts';
import { StreamSocket } from '../../sockets/stream-socket.ts';
import type { ProxyContext } from '../context.ts';

/** Protocols offered to backends, in the order of preference (RFC 7301). */
const alpnProtocols = ['http/1.1'];

/** An address to connect to. */
export interface DialTarget {
  readonly hostname: string;
  readonly port: number;
  /** The name for TLS; null for a plain connection. */
  readonly tlsName: string | null;
  /** The last TLS session that the backend gave, to be resumed; null for none. */
  tlsSession: Buffer | null;
}

/** Connects to a backend; `onConnected` or `onClosed` of the handler follows. */
export function dial(target: DialTarget, handler: SocketHandler, { backendTls, settings }: ProxyContext): ByteSocket {
  const { hostname, port, tlsName: serverName } = target;
  const { writeBufferBytesMax } = settings;
  if (serverName === null) return PlainSocket.connecting(hostname, port, handler, writeBufferBytesMax);
  const peer = { hostname, port, serverName, alpnProtocols };
  return StreamSocket.connectingTls(peer, handler, writeBufferBytesMax, backendTls, target.tlsSession, (session) => {
    target.tlsSession = session;
  });
}

/** What stands in the way of a connection: the backend, its certificate, or this machine. */
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
      // Of TLS and of certificates there are too many to name.
      return isTls ? 'BACKEND_TLS' : 'BACKEND_CONNECT_REFUSED';
  }
}

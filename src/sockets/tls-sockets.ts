import { isIP, Socket } from 'node:net';
import { type ConnectionOptions, connect, type SecureContext, TLSSocket, type TLSSocketOptions } from 'node:tls';
import type { BackendTls } from '../tls/backend-tls.ts';
import type { TlsListener } from '../tls/tls-listener.ts';
import { socketOn, type TcpHandle } from './tcp-handle.ts';

/** As of `net`: reads go into one buffer instead of one each. */
interface ReadInto {
  readonly buffer: Buffer;
  readonly callback: (this: Socket, length: number, bytes: Uint8Array) => boolean;
}

/** The parts of Node's handles and sockets that are used besides the public interface. */
interface TlsInternals {
  _wrapHandle(wrap: unknown, handle: unknown, isWriting: boolean): unknown;
  _releaseControl?(): boolean;
  _handle: { _parent?: Pick<TcpHandle, 'close' | 'reset'> } | null;
}

type AcceptedOptions = TLSSocketOptions & { acceptedHandle: unknown; onread: ReadInto; allowHalfOpen: boolean };

/** The peer of a TLS connection that we make. */
export interface TlsTarget {
  readonly hostname: string;
  readonly port: number;
  /** For SNI, and the name that its certificate has to have. */
  readonly serverName: string;
  /** Offered in this order (RFC 7301). */
  readonly alpnProtocols: readonly string[];
}

/**
 * The server's side of a TLS connection, directly on the handle of an accepted one. Node makes such a socket only on
 * top of the accepted one, which reads into a new buffer each time and keeps two sockets for each connection.
 */
class AcceptedTlsSocket extends TLSSocket {
  constructor(options: AcceptedOptions) {
    super(undefined as unknown as Socket, options);
    // It is not of `connect`, which is what Node takes a socket without another one below it for.
    (this as { connecting: boolean }).connecting = false;
  }

  /** Called by the constructor, before there are any fields. */
  _wrapHandle(wrap: unknown, _handle: unknown, isWriting: boolean): unknown {
    const { acceptedHandle } = (this as unknown as { _tlsOptions: AcceptedOptions })._tlsOptions;
    return (TLSSocket.prototype as unknown as TlsInternals)._wrapHandle.call(this, wrap, acceptedHandle, isWriting);
  }
}

/** Whether this Node has what `AcceptedTlsSocket` stands on; else accepted sockets are wrapped as Node does it. */
const canUseHandle = typeof (TLSSocket.prototype as unknown as TlsInternals)._wrapHandle === 'function';

/**
 * Begins the server's handshake on an accepted connection. `secure` is emitted when it is done.
 * @param alpnProtocols in the order of preference (RFC 7301); a client that offers none of them is served without.
 * @param accepted a socket where bytes of it have been read, which only Node's own way can hand on.
 * @returns the socket, and whether it reads through `onread`; else it emits `data`.
 */
export function acceptTls(
  accepted: TcpHandle | Socket,
  listener: TlsListener,
  alpnProtocols: readonly string[],
  onread: ReadInto,
  writeBufferBytesMax: number,
): { readonly socket: Socket; readonly readsItself: boolean } {
  const options: TLSSocketOptions = {
    isServer: true,
    secureContext: listener.context,
    SNICallback: listener.chooseContext as NonNullable<TLSSocketOptions['SNICallback']>,
    ALPNProtocols: [...alpnProtocols],
  };
  let socket: TLSSocket;
  let readsItself = false;
  if (accepted instanceof Socket) {
    socket = new TLSSocket(accepted, options);
  } else if (canUseHandle) {
    readsItself = true;
    socket = new AcceptedTlsSocket({
      ...options,
      acceptedHandle: accepted,
      onread,
      allowHalfOpen: true,
      highWaterMark: writeBufferBytesMax,
    } as AcceptedOptions);
  } else {
    socket = new TLSSocket(socketOn(accepted), options);
  }
  // Until then Node takes an error for one of the handshake, and keeps it from us.
  socket.once('secure', () => void (socket as unknown as TlsInternals)._releaseControl?.());
  return { socket, readsItself };
}

/** Connects to a backend and begins the handshake; `secureConnect` is emitted when it is done and verified. */
export function connectTls(
  { hostname, port, serverName, alpnProtocols }: TlsTarget,
  { context, verify }: BackendTls,
  session: Buffer | null,
  onread: ReadInto,
  writeBufferBytesMax: number,
): Socket {
  const options = {
    host: hostname,
    port,
    secureContext: context as SecureContext,
    rejectUnauthorized: verify,
    // RFC 6066 section 3: no address as a server name.
    servername: isIP(serverName) === 0 ? serverName : '',
    ALPNProtocols: [...alpnProtocols],
    allowHalfOpen: true,
    noDelay: true,
    writableHighWaterMark: writeBufferBytesMax,
    onread,
    ...(session === null ? {} : { session }),
  };
  return connect(options as ConnectionOptions);
}

/**
 * Has a TLS socket's connection closed with a reset when it is destroyed, which Node offers for plain ones only. Not
 * while it is being shut down: the reset would be refused, and the handle could not be closed any more.
 */
export function resetOnDestroy(socket: Socket): void {
  const tcp = (socket as unknown as TlsInternals)._handle?._parent;
  if (tcp === undefined || typeof tcp.reset !== 'function' || isShuttingDown(socket)) return;
  tcp.close = (done) => void tcp.reset?.(done);
}

/** Whether all that was written before its end has been given to the system, and the end not yet. */
export function isShuttingDown(socket: Socket): boolean {
  return socket.writableEnded && !socket.writableFinished && socket.writableLength === 0;
}

import type { X509Certificate } from 'node:crypto';
import { isIP, Socket } from 'node:net';
import { type ConnectionOptions, connect, type SecureContext, TLSSocket, type TLSSocketOptions } from 'node:tls';
import type { BackendTls } from '../tls/backend-tls.ts';
import type { ServerHandshake, TlsListener } from '../tls/tls-listener.ts';
import type { ShownByClient } from './byte-socket.ts';
import { resetStatus, socketOn, type TcpHandle, writePlain } from './tcp-handle.ts';

/** Of OpenSSL, for a client that begins with an HTTP request. */
const isPlainHttp = 'ERR_SSL_HTTP_REQUEST';

/** `onread` of `net`: all reads go into one buffer, instead of a new one for each. */
interface ReadInto {
  readonly buffer: Buffer;
  readonly callback: (this: Socket, length: number, bytes: Uint8Array) => boolean;
}

/** The non-public parts of Node's handles and sockets that are used here. */
interface TlsInternals {
  _wrapHandle(wrap: unknown, handle: unknown, isWriting: boolean): unknown;
  _releaseControl?(): boolean;
  _handle: {
    _parent?: Pick<TcpHandle, 'close' | 'reset' | 'writeLatin1String'>;
    /** False if there is none. */
    getALPNNegotiatedProtocol?(): string | false;
    setVerifyMode?(asksCertificate: boolean, endsOthers: boolean): void;
    /** Undefined or null if the peer's certificate is valid. */
    verifyError?(): NodeJS.ErrnoException | null | undefined;
  } | null;
}

type AcceptedOptions = TLSSocketOptions & { acceptedHandle: unknown; onread: ReadInto; allowHalfOpen: boolean };

/** The peer of an outgoing TLS connection. */
export interface TlsTarget {
  /** An IP address. */
  readonly address: string;
  readonly port: number;
  /** For SNI. The peer's certificate must be valid for it. */
  readonly serverName: string;
  /** Offered in this order (RFC 7301). */
  readonly alpnProtocols: readonly string[];
}

/**
 * The server side of a TLS connection, directly on an accepted handle. Node itself puts such a socket on top of the
 * accepted one, which allocates a buffer for each read and keeps two sockets per connection.
 */
class AcceptedTlsSocket extends TLSSocket {
  constructor(options: AcceptedOptions) {
    super(undefined as unknown as Socket, options);
    // Without a socket below, Node assumes that this one comes from `connect`.
    (this as { connecting: boolean }).connecting = false;
  }

  /** Called by the constructor, before any field exists. */
  _wrapHandle(wrap: unknown, _handle: unknown, isWriting: boolean): unknown {
    const { acceptedHandle } = (this as unknown as { _tlsOptions: AcceptedOptions })._tlsOptions;
    return (TLSSocket.prototype as unknown as TlsInternals)._wrapHandle.call(this, wrap, acceptedHandle, isWriting);
  }
}

/** Whether this Node has what `AcceptedTlsSocket` needs; otherwise accepted sockets are wrapped in Node's own way. */
const canUseHandle = typeof (TLSSocket.prototype as unknown as TlsInternals)._wrapHandle === 'function';

/**
 * Starts the server's handshake on an accepted connection. The socket emits `secure` when it is complete.
 * @param alpn of `alpnWireForm`; a client that offers none of them is served without ALPN.
 * @param address of the client.
 * @param accepted a socket if bytes of it have been read: only Node's own way can pass those on.
 * @param plainReply gives the text that is sent without TLS to a client that speaks HTTP without TLS. Latin1.
 * @returns the socket, and whether it reads through `onread`; otherwise it emits `data`.
 */
export function acceptTls(
  accepted: TcpHandle | Socket,
  address: string,
  listener: TlsListener,
  alpn: Uint8Array,
  onread: ReadInto,
  writeBufferBytesMax: number,
  plainReply: () => string,
): { readonly socket: TLSSocket; readonly readsItself: boolean } {
  let socket: TLSSocket;
  const handshake: ServerHandshake = {
    address,
    alpnProtocol: () => (socket as unknown as TlsInternals)._handle?.getALPNNegotiatedProtocol?.() || '',
    askCertificate: ({ id }) => {
      (socket as unknown as TlsInternals)._handle?.setVerifyMode?.(true, false);
      asked.set(socket, id);
    },
  };
  const options: TLSSocketOptions = {
    isServer: true,
    secureContext: listener.context,
    SNICallback: (serverName, callBack) =>
      listener.chooseContext(serverName, handshake, callBack as Parameters<TlsListener['chooseContext']>[2]),
    ALPNProtocols: alpn,
  };
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
  socket.once('_tlsError', ({ code }: NodeJS.ErrnoException) => {
    const tcp = (socket as unknown as TlsInternals)._handle?._parent;
    if (code === isPlainHttp && tcp !== undefined) writePlain(tcp, plainReply());
  });
  // Until this call, Node takes every error for one of the handshake and hides it.
  socket.once('secure', () => void (socket as unknown as TlsInternals)._releaseControl?.());
  return { socket, readsItself };
}

/** Protocols in order of preference, in the form of the extension (RFC 7301 section 3.1), which Node need not make each time. */
export function alpnWireForm(protocols: readonly string[]): Uint8Array {
  return Buffer.concat(protocols.map((name) => Buffer.from(`${String.fromCharCode(name.length)}${name}`, 'latin1')));
}

/** Whose certificates the clients of these sockets were asked for. */
const asked = new WeakMap<TLSSocket, string>();
const nothingShown: ShownByClient = { wasAsked: () => false, certificate: null, problem: null };

/** The client as its complete handshake has shown it. Most clients show nothing, and cost nothing. */
export function shownByClient(socket: TLSSocket): ShownByClient {
  const askedId = asked.get(socket) ?? null;
  return askedId === null && !socket.isSessionReused() ? nothingShown : new Shown(socket, askedId);
}

/** Reads a certificate once it matters. */
class Shown implements ShownByClient {
  private readonly askedId: string | null;
  private readonly socket: TLSSocket;
  private found: X509Certificate | null | undefined;

  constructor(socket: TLSSocket, askedId: string | null) {
    this.socket = socket;
    this.askedId = askedId;
  }

  wasAsked(authoritiesId: string): boolean {
    return this.askedId === authoritiesId;
  }

  get certificate(): X509Certificate | null {
    if (this.found === undefined) this.found = this.socket.getPeerX509Certificate() ?? null;
    return this.found;
  }

  get problem(): string | null {
    const { _handle } = this.socket as unknown as TlsInternals;
    if (_handle?.verifyError === undefined) return 'the connection has ended';
    const error = _handle.verifyError() ?? null;
    return error === null ? null : (error.code ?? error.message);
  }
}

/** Connects to a backend and starts the handshake. `secureConnect` is emitted once it is complete and verified. */
export function connectTls(
  { address, port, serverName, alpnProtocols }: TlsTarget,
  { context, verify }: BackendTls,
  session: Buffer | null,
  onread: ReadInto,
  writeBufferBytesMax: number,
): Socket {
  const options = {
    host: address,
    port,
    secureContext: context as SecureContext,
    rejectUnauthorized: verify,
    // RFC 6066 section 3: an address is not a valid server name.
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
 * Makes `destroy` close a TLS connection with a reset, which Node offers only for plain ones. Does nothing while the
 * connection is shutting down: the reset would be refused, and the handle could then not be closed any more.
 */
export function resetOnDestroy(socket: Socket): void {
  const tcp = (socket as unknown as TlsInternals)._handle?._parent;
  if (tcp === undefined || typeof tcp.reset !== 'function' || isShuttingDown(socket)) return;
  tcp.close = (done) => void tcp.reset?.(done);
}

/** `resetStatus` of a plain connection, or of the one below TLS. */
export function peerStatus(socket: Socket): number {
  const { _handle } = socket as unknown as TlsInternals;
  const tcp = _handle?._parent ?? (_handle as Partial<TcpHandle> | null);
  return typeof tcp?.writeLatin1String === 'function' ? resetStatus(tcp as TcpHandle) : 0;
}

/** Whether all data written before the end has reached the kernel, but the end itself has not. */
export function isShuttingDown(socket: Socket): boolean {
  return socket.writableEnded && !socket.writableFinished && socket.writableLength === 0;
}

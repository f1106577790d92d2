import { type NetConnectOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { TLSSocket } from 'node:tls';
import { isSocketPath } from '../base/host-port.ts';
import type { BackendTls } from '../tls/backend-tls.ts';
import type { TlsListener } from '../tls/tls-listener.ts';
import { blockBytes, giveBlock } from './blocks.ts';
import type { ByteSocket, ShownByClient, SocketHandler } from './byte-socket.ts';
import { socketOn, systemError, type TcpHandle } from './tcp-handle.ts';
import {
  acceptTls,
  connectTls,
  isShuttingDown,
  peerStatus,
  resetOnDestroy,
  shownByClient,
  type TlsTarget,
} from './tls-sockets.ts';
import { isPeerDone, writeFailureGraceMs } from './write-failure.ts';
import { WriteQueue } from './write-queue.ts';

/** Like the one of `TcpSocket`, for connections that are read through `net.Socket`. */
const sharedReadBuffer = Buffer.allocUnsafeSlow(blockBytes);

/**
 * A connection on Node's own sockets: every TLS connection, and plain ones if this Node's handles are not as
 * `TcpSocket` expects them. Reads go through `onread` into one shared buffer.
 */
export class StreamSocket extends WriteQueue implements ByteSocket {
  private readonly socket: HandledSocket;
  private handler: SocketHandler;
  /** The peer accepts no more data, but may have sent some: see `PatientSocket`. */
  private writeFailed = false;
  isResumed = false;
  alpnProtocol = '';
  private readonly isTls: boolean;
  /** Whether it is a TCP connection, which alone has resets. */
  private canReset = true;
  private closed = false;
  private error: NodeJS.ErrnoException | null = null;

  private constructor(socket: HandledSocket, handler: SocketHandler, readsItself: boolean, isTls = false) {
    super();
    this.socket = socket;
    this.handler = handler;
    this.isTls = isTls;
    socket.byteSocket = this;
    socket.on('error', onError);
    socket.on('close', onClose);
    socket.on('end', onEnd);
    socket.on('drain', onDrain);
    socket.on('finish', onFinish);
    if (!readsItself) socket.on('data', onData);
  }

  /** Wraps an accepted plain connection. Reading starts with `resume`. */
  static accepted(handle: TcpHandle, handler: SocketHandler, writeBufferBytesMax: number): StreamSocket {
    const onread = { buffer: sharedReadBuffer, callback: onRead };
    const socket = socketOn(handle, { writableHighWaterMark: writeBufferBytesMax, onread });
    return new StreamSocket(socket as HandledSocket, handler, true);
  }

  /** Like `accepted`, but starts the TLS handshake: see `acceptTls`. `onConnected` follows when it is complete. */
  static acceptedTls(
    accepted: TcpHandle | Socket,
    address: string,
    handler: SocketHandler,
    writeBufferBytesMax: number,
    listener: TlsListener,
    alpn: Uint8Array,
    plainReply: () => string,
  ): StreamSocket {
    const onread = { buffer: sharedReadBuffer, callback: onRead };
    const { socket, readsItself } = acceptTls(
      accepted,
      address,
      listener,
      alpn,
      onread,
      writeBufferBytesMax,
      plainReply,
    );
    const byteSocket = new StreamSocket(socket as Socket as HandledSocket, handler, readsItself, true);
    socket.once('secure', onConnect);
    return byteSocket;
  }

  /**
   * Like `connecting`, with a TLS handshake that offers `session` unless it is null.
   * @param onSession receives the sessions that later connections can resume.
   */
  static connectingTls(
    target: TlsTarget,
    handler: SocketHandler,
    writeBufferBytesMax: number,
    tls: BackendTls,
    session: Buffer | null,
    onSession: (session: Buffer) => void,
  ): StreamSocket {
    const onread = { buffer: sharedReadBuffer, callback: onRead };
    const socket = connectTls(target, tls, session, onread, writeBufferBytesMax);
    const byteSocket = new StreamSocket(socket as HandledSocket, handler, true, true);
    beTlsPatient(socket as HandledSocket);
    socket.once('secureConnect', onConnect);
    socket.on('session', onSession);
    return byteSocket;
  }

  /** Connects to an IP address or a Unix socket; `onConnected` or `onClosed` follows. Reading then starts automatically. */
  static connecting(address: string, port: number, handler: SocketHandler, writeBufferBytesMax: number): StreamSocket {
    const options = {
      ...(isSocketPath(address) ? { path: address } : { host: address, port }),
      noDelay: true,
      allowHalfOpen: true,
      writableHighWaterMark: writeBufferBytesMax,
      onread: { buffer: sharedReadBuffer, callback: onRead },
    };
    const socket = new PatientSocket(options as SocketConstructorOpts);
    const byteSocket = new StreamSocket(socket, handler, true);
    byteSocket.canReset = !isSocketPath(address);
    socket.once('connect', onConnect);
    socket.connect(options as NetConnectOpts);
    return byteSocket;
  }

  get isFlowing(): boolean {
    return !this.socket.writableNeedDrain;
  }

  get tlsVersion(): string | null {
    return this.socket instanceof TLSSocket ? this.socket.getProtocol() : null;
  }

  get shown(): ShownByClient | null {
    return this.socket instanceof TLSSocket ? shownByClient(this.socket) : null;
  }

  get isClosed(): boolean {
    return this.closed || this.socket.destroyed;
  }

  handTo(handler: SocketHandler): void {
    this.handler = handler;
  }

  keepAlive(afterMs: number): void {
    this.socket.setKeepAlive(true, afterMs);
  }

  override flush(): boolean {
    this.closeBlock();
    const { text, parts, socket } = this;
    if (this.writeFailed) {
      this.dropQueue();
      return true;
    }
    if (parts === null) {
      if (text === '') return this.isFlowing;
      this.text = '';
      return socket.write(text, 'latin1');
    }
    this.dropQueue();
    socket.cork();
    for (const part of parts) {
      if (typeof part === 'string') socket.write(part, 'latin1');
      else socket.write(part, (error) => recycle(part, error));
    }
    if (text !== '') socket.write(text, 'latin1');
    socket.uncork();
    return this.isFlowing;
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  end(): void {
    // A second call would make Node create an error, with its stack, that nobody gets.
    if (!this.socket.writableEnded) this.socket.end();
  }

  checkPeer(): void {
    if (this.socket.destroyed || this.socket.writableLength > 0 || this.socket.writableEnded) return;
    const status = peerStatus(this.socket);
    if (status !== 0) this.socket.destroy(systemError(status, 'write'));
  }

  destroy(): void {
    this.socket.destroy();
  }

  reset(): void {
    if (this.socket.destroyed) return;
    if (this.isTls) resetOnDestroy(this.socket);
    else if (this.canReset && !isShuttingDown(this.socket)) this.socket.resetAndDestroy();
    this.socket.destroy();
  }

  /** @internal */
  read(bytes: Buffer, length: number): void {
    if (this.closed) return;
    if (this.writeFailed) this.socket.heard?.();
    try {
      this.handler.onBytes(bytes, length);
    } catch (error) {
      this.internalError(error);
    }
  }

  /** @internal One of the events without arguments. */
  tell(event: 'onEnd' | 'onDrain' | 'onConnected' | 'onFinished'): void {
    if (this.closed) return;
    try {
      this.handler[event]();
    } catch (error) {
      this.internalError(error);
    }
  }

  /** @internal */
  writingEnded(): void {
    this.writeFailed = true;
  }

  /** @internal */
  failed(error: NodeJS.ErrnoException): void {
    this.error ??= error;
  }

  /** @internal */
  closedNow(): void {
    if (this.closed) return;
    this.closed = true;
    try {
      this.handler.onClosed(this.error);
    } catch (error) {
      this.handler.onInternalError(error as Error);
    }
  }

  private internalError(error: unknown): void {
    this.handler.onInternalError(error as Error);
    this.socket.destroy();
  }
}

/** After an error, the block of a part may still be in use, so it is left to the garbage collector. */
function recycle(part: Buffer, error: Error | null | undefined): void {
  if (!error) giveBlock(part);
}

/** A socket that outlives its first failed write: see `writeFailureGraceMs`. */
class PatientSocket extends Socket {
  byteSocket!: StreamSocket;
  private timer: NodeJS.Timeout | null = null;

  /** More bytes arrived, so even more may follow. */
  heard(): void {
    this.timer?.refresh();
  }

  override destroy(error?: Error): this {
    if (this.timer === null && !this.destroyed && isFailedWrite(error)) {
      this.byteSocket.writingEnded();
      this.timer = setTimeout(() => super.destroy(error), writeFailureGraceMs);
      return this;
    }
    if (this.timer !== null) clearTimeout(this.timer);
    return super.destroy(error);
  }
}

/** Gives a TLS socket, which cannot be of that class, the same grace. */
function beTlsPatient(socket: HandledSocket): void {
  const destroy = socket.destroy.bind(socket);
  let timer: NodeJS.Timeout | null = null;
  socket.heard = () => timer?.refresh();
  socket.destroy = (error) => {
    if (timer === null && !socket.destroyed && isFailedWrite(error)) {
      socket.byteSocket.writingEnded();
      timer = setTimeout(() => destroy(error), writeFailureGraceMs);
      return socket;
    }
    if (timer !== null) clearTimeout(timer);
    return destroy(error);
  };
}

function isFailedWrite(error: NodeJS.ErrnoException | undefined): boolean {
  return error?.syscall?.startsWith('write') === true && isPeerDone(error.code);
}

interface HandledSocket extends Socket {
  byteSocket: StreamSocket;
  /** During the write-failure grace: more bytes arrived. */
  heard?: () => void;
}

function onRead(this: Socket, length: number, bytes: Uint8Array): boolean {
  (this as HandledSocket).byteSocket.read(bytes as Buffer, length);
  return true;
}

function onData(this: Socket, bytes: Buffer): void {
  (this as HandledSocket).byteSocket.read(bytes, bytes.length);
}

function onEnd(this: Socket): void {
  (this as HandledSocket).byteSocket.tell('onEnd');
}

function onDrain(this: Socket): void {
  (this as HandledSocket).byteSocket.tell('onDrain');
}

function onFinish(this: Socket): void {
  (this as HandledSocket).byteSocket.tell('onFinished');
}

function onConnect(this: Socket): void {
  const { byteSocket } = this as HandledSocket;
  if (this instanceof TLSSocket) {
    byteSocket.isResumed = this.isSessionReused();
    byteSocket.alpnProtocol = this.alpnProtocol || '';
  }
  byteSocket.tell('onConnected');
}

function onError(this: Socket, error: NodeJS.ErrnoException): void {
  (this as HandledSocket).byteSocket.failed(error);
  // After the handshake, Node only reports TLS errors and leaves the connection open.
  if (!this.destroyed) this.destroy();
}

function onClose(this: Socket): void {
  (this as HandledSocket).byteSocket.closedNow();
}

import { type NetConnectOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { TLSSocket } from 'node:tls';
import '../http1/bytes.ts';
import type { BackendTls } from '../tls/backend-tls.ts';
import type { TlsListener } from '../tls/tls-listener.ts';
import { acceptTls, connectTls, resetOnDestroy } from './tls-sockets.ts';

/**
 * The one file, with that of TLS sockets, that touches `net.Socket`: bytes in as views, bytes out joined into as few writes as possible.
 *
 * Reading goes through `onread` into one buffer that all sockets of the worker share: libuv reads and hands over in
 * one step, so the view is good until the callback returns. An idle connection thus holds no read buffer at all.
 */

/** Who uses a socket. Calls never overlap; `onClosed` is the last one and comes exactly once. */
export interface SocketOwner {
  /** `bytes[0, length)`, valid only during the call. */
  onBytes(bytes: Buffer, length: number): void;
  /** The peer will send nothing more. */
  onEnd(): void;
  /** What was written has left: go on after `flush` has returned false. */
  onDrain(): void;
  /** Connected, with TLS once the handshake is done. */
  onConnected(): void;
  /** All that was written before `end` has left. */
  onFinished(): void;
  /** A call of this owner threw: a defect of ours. It ends this socket, not everybody's; `onClosed` follows. */
  onDefect(error: Error): void;
  /** The socket is gone; `error` says why where it was not closed in order. */
  onClosed(error: NodeJS.ErrnoException | null): void;
}

/** Bytes of one read at most; what a single view can be. */
const readBytesMax = 64 * 1024;
/** Up to here bytes are joined with the text around them, beyond they are copied and written as a buffer. */
const joinBytesMax = 16 * 1024;

/** Blocks for such copies, used again so that a long body leaves no garbage behind. */
const freeBlocks: Buffer[] = [];
const freeBlocksMax = 64;

const sharedReadBuffer = Buffer.allocUnsafeSlow(readBytesMax);

/** What of Node's TCP handle is used; present on every accepted socket, though not public. */
interface HandleCarrier {
  _handle?: unknown;
}

export class ByteSocket {
  /** Empty where the peer is unknown (gone already). */
  readonly remoteAddress: string;
  /** Bytes queued for writing since the beginning. */
  bytesQueued = 0;
  private readonly socket: OwnedSocket;
  private owner: SocketOwner;
  /** What waits for `flush`, as latin1; the usual case. */
  private text = '';
  /** What waits before `text`, where it is not text alone. */
  private parts: (string | Buffer)[] | null = null;
  /** The peer takes nothing more, but may have sent something: see `PatientSocket`. */
  private writeFailed = false;
  /** Whether a session was resumed; set when the handshake is done. */
  isResumed = false;
  private readonly isTls: boolean;
  private closed = false;
  private error: NodeJS.ErrnoException | null = null;

  private constructor(socket: OwnedSocket, owner: SocketOwner, readsItself: boolean, isTls = false) {
    this.socket = socket;
    this.owner = owner;
    this.isTls = isTls;
    this.remoteAddress = socket.remoteAddress ?? '';
    socket.byteSocket = this;
    socket.on('error', onError);
    socket.on('close', onClose);
    socket.on('end', onEnd);
    socket.on('drain', onDrain);
    socket.on('finish', onFinish);
    if (!readsItself) socket.on('data', onData);
  }

  /**
   * Takes over a connection from a `net.Server` made with `pauseOnConnect` and `allowHalfOpen`; reading starts with
   * `resume`. Its handle is wrapped again in a socket with `onread`; where there is no such handle, `data` events do.
   */
  static accepted(accepted: Socket, owner: SocketOwner, writeBufferBytesMax: number): ByteSocket {
    const carrier = accepted as HandleCarrier;
    const handle = carrier._handle;
    if (handle === undefined || handle === null || typeof handle !== 'object' || !('readStart' in handle)) {
      return new ByteSocket(accepted as OwnedSocket, owner, false);
    }
    carrier._handle = null;
    const options = {
      handle,
      allowHalfOpen: true,
      pauseOnCreate: true,
      writableHighWaterMark: writeBufferBytesMax,
      onread: { buffer: sharedReadBuffer, callback: onRead },
    } as unknown as SocketConstructorOpts;
    const socket = new Socket(options) as OwnedSocket;
    return new ByteSocket(socket, owner, true);
  }

  /** As `accepted`, and begins the handshake; `onConnected` follows when it is done. */
  static acceptedTls(
    accepted: Socket,
    owner: SocketOwner,
    writeBufferBytesMax: number,
    listener: TlsListener,
  ): ByteSocket {
    const onread = { buffer: sharedReadBuffer, callback: onRead };
    const { socket, readsItself } = acceptTls(accepted, listener, onread, writeBufferBytesMax);
    const byteSocket = new ByteSocket(socket as OwnedSocket, owner, readsItself, true);
    socket.once('secure', onConnect);
    return byteSocket;
  }

  /**
   * As `connecting`, with a handshake that offers `session` where there is one.
   * @param onSession told of the sessions that later connections can resume.
   */
  static connectingTls(
    target: { readonly hostname: string; readonly port: number; readonly serverName: string },
    owner: SocketOwner,
    writeBufferBytesMax: number,
    tls: BackendTls,
    session: Buffer | null,
    onSession: (session: Buffer) => void,
  ): ByteSocket {
    const onread = { buffer: sharedReadBuffer, callback: onRead };
    const socket = connectTls(target, tls, session, onread, writeBufferBytesMax);
    const byteSocket = new ByteSocket(socket as OwnedSocket, owner, true, true);
    beTlsPatient(socket as OwnedSocket);
    socket.once('secureConnect', onConnect);
    socket.on('session', onSession);
    return byteSocket;
  }

  /** Connects; `onConnected` or `onClosed` follows. Reading starts by itself. */
  static connecting(hostname: string, port: number, owner: SocketOwner, writeBufferBytesMax: number): ByteSocket {
    const options: NetConnectOpts = {
      host: hostname,
      port,
      noDelay: true,
      allowHalfOpen: true,
      writableHighWaterMark: writeBufferBytesMax,
      onread: { buffer: sharedReadBuffer, callback: onRead },
    } as NetConnectOpts;
    const socket = new PatientSocket(options as SocketConstructorOpts);
    const byteSocket = new ByteSocket(socket, owner, true);
    socket.once('connect', onConnect);
    socket.connect(options);
    return byteSocket;
  }

  /** Whether the peer keeps up with what is written. */
  get isFlowing(): boolean {
    return !this.socket.writableNeedDrain;
  }

  get isClosed(): boolean {
    return this.closed || this.socket.destroyed;
  }

  /** Another one takes over: it gets every further call. */
  handTo(owner: SocketOwner): void {
    this.owner = owner;
  }

  /** Has the system look after a peer that is silent, so that one that vanished is noticed. @param afterMs from 1000. */
  keepAlive(afterMs: number): void {
    this.socket.setKeepAlive(true, afterMs);
  }

  /** Queues latin1 text for `flush`. */
  append(text: string): void {
    this.text += text;
    this.bytesQueued += text.length;
  }

  /** Queues a copy of `bytes[start, end)` for `flush`. */
  appendBytes(bytes: Buffer, start: number, end: number): void {
    const length = end - start;
    this.bytesQueued += length;
    if (length <= joinBytesMax || length > readBytesMax) {
      this.text += bytes.latin1Slice(start, end);
      return;
    }
    this.parts ??= [];
    if (this.text !== '') {
      this.parts.push(this.text);
      this.text = '';
    }
    const block = freeBlocks.pop() ?? Buffer.allocUnsafeSlow(readBytesMax);
    bytes.copy(block, 0, start, end);
    this.parts.push(block.subarray(0, length));
  }

  /** Writes what is queued, in one system call. @returns false where the peer is slow: wait for `onDrain`. */
  flush(): boolean {
    const { text, parts, socket } = this;
    if (this.writeFailed) {
      this.text = '';
      this.parts = null;
      return true;
    }
    if (parts === null) {
      if (text === '') return this.isFlowing;
      this.text = '';
      return socket.write(text, 'latin1');
    }
    this.parts = null;
    this.text = '';
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

  /** Says that nothing more will be written, after what was. Reading goes on. */
  end(): void {
    this.socket.end();
  }

  /** Closes at once; what is unsent is lost. */
  destroy(): void {
    this.socket.destroy();
  }

  /** Closes with a reset, so that the peer cannot take what it got for the whole. */
  reset(): void {
    if (this.socket.destroyed) return;
    if (!this.isTls) {
      this.socket.resetAndDestroy();
      return;
    }
    resetOnDestroy(this.socket);
    this.socket.destroy();
  }

  /** @internal */
  read(bytes: Buffer, length: number): void {
    if (this.closed) return;
    if (this.writeFailed) this.socket.heard?.();
    try {
      this.owner.onBytes(bytes, length);
    } catch (error) {
      this.defect(error);
    }
  }

  /** @internal One of the events that carry nothing. */
  tell(event: 'onEnd' | 'onDrain' | 'onConnected' | 'onFinished'): void {
    if (this.closed) return;
    try {
      this.owner[event]();
    } catch (error) {
      this.defect(error);
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
      this.owner.onClosed(this.error);
    } catch (error) {
      this.owner.onDefect(error as Error);
    }
  }

  private defect(error: unknown): void {
    this.owner.onDefect(error as Error);
    this.socket.destroy();
  }
}

/** Gives back the block of a part that has left; after an error it may still be in use, and is left to the collector. */
function recycle(part: Buffer, error: Error | null | undefined): void {
  if (!error && freeBlocks.length < freeBlocksMax) freeBlocks.push(Buffer.from(part.buffer as ArrayBuffer));
}

/** How long after a write has failed, or after the last bytes since, the peer's last words are waited for. */
const lastWordsMs = 250;

/**
 * A socket that does not end with its first failed write. A backend that refuses a body answers, and closes without
 * reading the rest: the write fails while the answer lies in the receive buffer (CVE-2025-4366 is about its loss).
 */
class PatientSocket extends Socket {
  byteSocket!: ByteSocket;
  private timer: NodeJS.Timeout | null = null;

  /** More came: there may be still more. */
  heard(): void {
    this.timer?.refresh();
  }

  override destroy(error?: Error): this {
    if (this.timer === null && !this.destroyed && isFailedWrite(error)) {
      this.byteSocket.writingEnded();
      this.timer = setTimeout(() => super.destroy(error), lastWordsMs);
      return this;
    }
    if (this.timer !== null) clearTimeout(this.timer);
    return super.destroy(error);
  }
}

/** Has a TLS socket, which cannot be of that class, wait in the same way. */
function beTlsPatient(socket: OwnedSocket): void {
  const destroy = socket.destroy.bind(socket);
  let timer: NodeJS.Timeout | null = null;
  socket.heard = () => timer?.refresh();
  socket.destroy = (error) => {
    if (timer === null && !socket.destroyed && isFailedWrite(error)) {
      socket.byteSocket.writingEnded();
      timer = setTimeout(() => destroy(error), lastWordsMs);
      return socket;
    }
    if (timer !== null) clearTimeout(timer);
    return destroy(error);
  };
}

function isFailedWrite(error: NodeJS.ErrnoException | undefined): boolean {
  return error?.syscall?.startsWith('write') === true && (error.code === 'EPIPE' || error.code === 'ECONNRESET');
}

interface OwnedSocket extends Socket {
  byteSocket: ByteSocket;
  /** Of those that wait for last words: more came. */
  heard?: () => void;
}

function onRead(this: Socket, length: number, bytes: Uint8Array): boolean {
  (this as OwnedSocket).byteSocket.read(bytes as Buffer, length);
  return true;
}

function onData(this: Socket, bytes: Buffer): void {
  (this as OwnedSocket).byteSocket.read(bytes, bytes.length);
}

function onEnd(this: Socket): void {
  (this as OwnedSocket).byteSocket.tell('onEnd');
}

function onDrain(this: Socket): void {
  (this as OwnedSocket).byteSocket.tell('onDrain');
}

function onFinish(this: Socket): void {
  (this as OwnedSocket).byteSocket.tell('onFinished');
}

function onConnect(this: Socket): void {
  const { byteSocket } = this as OwnedSocket;
  if (this instanceof TLSSocket) byteSocket.isResumed = this.isSessionReused();
  byteSocket.tell('onConnected');
}

function onError(this: Socket, error: NodeJS.ErrnoException): void {
  (this as OwnedSocket).byteSocket.failed(error);
  // Node only tells of what goes wrong with TLS behind the handshake, and leaves the connection open.
  if (!this.destroyed) this.destroy();
}

function onClose(this: Socket): void {
  (this as OwnedSocket).byteSocket.closedNow();
}

import { blockBytes, giveBlock, ReadBlock } from './blocks.ts';
import type { ByteSocket, SocketHandler } from './byte-socket.ts';
import {
  connectHandle,
  endOfStream,
  resetStatus,
  type Streams,
  streams,
  systemError,
  type TcpHandle,
  type WriteRequest,
} from './tcp-handle.ts';
import { isPeerDone, writeFailureGraceMs } from './write-failure.ts';
import { copyOf, joinBytesMax, WriteQueue } from './write-queue.ts';

/**
 * libuv reads and delivers in one step: the bytes are valid until the callback returns, and one buffer serves all
 * connections of the worker. An idle connection therefore needs no read buffer.
 */
const sharedReadBuffer = Buffer.allocUnsafeSlow(blockBytes);

/** A read of at least this size shows that a body is streaming: the next read gets a block of its own. */
const streamingBytesMin = blockBytes / 2;

/** The block whose bytes are being delivered, if it can be lent, and the socket that has queued views of it. */
let handedOver: ReadBlock | null = null;
let borrower: TcpSocket | null = null;

/** Used only if `streams` is not null: see `PlainSocket`. */
const { ShutdownWrap, WriteWrap, streamBaseState, kLastWriteWasAsync, kReadBytesOrError } = (streams ?? {}) as Streams;

/** `flush` returned false: `onDrain` is due. */
const NEEDS_DRAIN = 1;
const WANTS_TO_READ = 2;
/** The peer has half-closed. */
const HAS_ENDED = 4;
/** Three steps: `end` was called; everything written has left and libuv is shutting down; the shutdown is complete. */
const IS_ENDING = 8;
const IS_SHUTTING_DOWN = 256;
const IS_FINISHED = 16;
/** Whether a failed write starts a grace (`writeFailureGraceMs`), and whether one has failed. */
const IS_PATIENT = 32;
const WRITE_FAILED = 64;
const CLOSED = 128;

/** The request for the next write. Most writes complete at once and leave it unused. */
let spareRequest: OwnedWrite | null = null;

interface OwnedWrite extends WriteRequest {
  socket?: TcpSocket;
  /** What libuv still reads from: blocks with copies, and one lent block. */
  parts?: readonly (string | Buffer)[];
  lent?: ReadBlock | null;
}

/** Each call of a handle thus finds its socket. */
interface OwnedHandle extends TcpHandle {
  socket: TcpSocket;
}

/**
 * A plain connection directly on its handle, of TCP or to a Unix socket. For the same job, `net.Socket` takes two streams, an event for everything
 * that happens, and a turn of the tick queue for each write; docs/performance.md ("What was tried") lists the cost.
 */
export class TcpSocket extends WriteQueue implements ByteSocket {
  private handler: SocketHandler;
  /** Null once closing has begun. */
  private handle: OwnedHandle | null = null;
  /** The block it reads a body into; null for the shared buffer. */
  private block: ReadBlock | null = null;
  private readonly writeBufferBytesMax: number;
  /** Writes that libuv has not completed. */
  private writesPending = 0;
  /** The connection's state, one bit each: two sockets are most of the memory of an idle tunnel. */
  private flags = 0;
  private graceTimer: NodeJS.Timeout | null = null;
  private error: NodeJS.ErrnoException | null = null;

  private constructor(handler: SocketHandler, writeBufferBytesMax: number, isPatient: boolean) {
    super();
    this.handler = handler;
    this.writeBufferBytesMax = writeBufferBytesMax;
    if (isPatient) this.set(IS_PATIENT);
  }

  /** Wraps an accepted connection. Reading starts with `resume`. */
  static accepted(handle: TcpHandle, handler: SocketHandler, writeBufferBytesMax: number): TcpSocket {
    const socket = new TcpSocket(handler, writeBufferBytesMax, false);
    socket.useHandle(handle);
    return socket;
  }

  /**
   * Connects to an IP address or a Unix socket; `onConnected` or `onClosed` follows. Reading then starts automatically. The connection
   * outlives its first failed write: see `writeFailureGraceMs`.
   */
  static connecting(address: string, port: number, handler: SocketHandler, writeBufferBytesMax: number): TcpSocket {
    const socket = new TcpSocket(handler, writeBufferBytesMax, true);
    socket.connectTo(address, port);
    return socket;
  }

  get isResumed(): boolean {
    return false;
  }

  get alpnProtocol(): string {
    return '';
  }

  get tlsVersion(): null {
    return null;
  }

  get shown(): null {
    return null;
  }

  get isFlowing(): boolean {
    return !this.is(NEEDS_DRAIN);
  }

  get isClosed(): boolean {
    return this.handle === null;
  }

  handTo(handler: SocketHandler): void {
    this.handler = handler;
  }

  keepAlive(afterMs: number): void {
    this.handle?.setKeepAlive(true, Math.trunc(afterMs / 1000), undefined, undefined);
  }

  override appendBytes(bytes: Buffer, start: number, end: number): void {
    if (bytes !== handedOver?.bytes || end - start <= joinBytesMax) {
      super.appendBytes(bytes, start, end);
      return;
    }
    if (borrower !== this) borrower?.keepBorrowed();
    borrower = this;
    this.bytesQueued += end - start;
    this.push(bytes.subarray(start, end));
  }

  override write(bytes: Buffer, start: number, end: number): boolean {
    const { handle } = this;
    const length = end - start;
    const isQueued = this.text !== '' || this.parts !== null;
    if (handle === null || isQueued || length > joinBytesMax || this.is(WRITE_FAILED | IS_ENDING)) {
      return super.write(bytes, start, end);
    }
    this.bytesQueued += length;
    const request = takeRequest();
    return this.afterWrite(handle, request, handle.writeLatin1String(request, bytes.latin1Slice(start, end)), null);
  }

  override flush(): boolean {
    this.closeBlock();
    const { handle, parts, text } = this;
    if (handle === null || this.is(WRITE_FAILED | IS_ENDING)) {
      this.dropQueue();
      return true;
    }
    if (parts === null) {
      if (text === '') return !this.is(NEEDS_DRAIN);
      this.text = '';
      const request = takeRequest();
      return this.afterWrite(handle, request, handle.writeLatin1String(request, text), null);
    }
    this.dropQueue();
    if (borrower === this) borrower = null;
    if (text !== '') parts.push(text);
    const request = takeRequest();
    return this.afterWrite(handle, request, writeParts(handle, request, parts), parts);
  }

  pause(): void {
    this.unset(WANTS_TO_READ);
    this.handle?.readStop();
  }

  resume(): void {
    this.set(WANTS_TO_READ);
    if (!this.is(HAS_ENDED)) this.handle?.readStart();
  }

  end(): void {
    const { handle } = this;
    if (handle === null || this.is(IS_ENDING)) return;
    this.set(IS_ENDING);
    if (this.writesPending === 0) this.shutDown(handle);
  }

  checkPeer(): void {
    const { handle } = this;
    if (handle === null || this.writesPending > 0 || this.is(WRITE_FAILED | IS_ENDING)) return;
    const status = resetStatus(handle);
    if (status !== 0) this.close(systemError(status, 'write'), false);
  }

  destroy(): void {
    this.close(null, false);
  }

  reset(): void {
    this.close(null, true);
  }

  private connectTo(address: string, port: number): void {
    const handle = connectHandle(address, port, (status) => {
      if (this.handle === null) return;
      if (status === 0) {
        this.handle.setNoDelay(true);
        this.connected();
      } else {
        this.close(systemError(status, 'connect'), false);
      }
    });
    if (typeof handle === 'number') {
      this.error = systemError(handle, 'connect');
      process.nextTick(() => this.closedNow());
    } else {
      this.useHandle(handle);
    }
  }

  private connected(): void {
    this.set(WANTS_TO_READ);
    this.tell('onConnected');
    if (this.is(WANTS_TO_READ)) this.handle?.readStart();
  }

  private useHandle(handle: TcpHandle): void {
    this.handle = handle as OwnedHandle;
    this.handle.socket = this;
    handle.useUserBuffer(sharedReadBuffer);
    handle.onread = onRead as TcpHandle['onread'];
  }

  /**
   * @internal `length` bytes were read, or it is an error number. @returns another buffer to read into from now on, if
   * any.
   */
  hasRead(length: number): Buffer | undefined {
    if (this.handle === null || length === 0) return undefined;
    if (length > 0) {
      this.graceTimer?.refresh();
      const { block } = this;
      handedOver = block;
      try {
        this.handler.onBytes(block === null ? sharedReadBuffer : block.bytes, length);
      } catch (error) {
        this.internalError(error);
      }
      borrower?.keepBorrowed();
      handedOver = null;
      return block === null && length < streamingBytesMin ? undefined : this.changeBlock(length);
    }
    if (length === endOfStream) {
      this.set(HAS_ENDED);
      this.tell('onEnd');
      if (this.is(IS_FINISHED)) this.close(null, false);
    } else {
      this.close(systemError(length, 'read'), false);
    }
    return undefined;
  }

  /** @returns another buffer to read into from now on, if any. */
  private changeBlock(length: number): Buffer | undefined {
    const { block } = this;
    const isStreaming = this.handle !== null && length >= streamingBytesMin && this.handler.isStreaming;
    if (isStreaming && block !== null && !block.isLent) return undefined;
    this.block = isStreaming ? ReadBlock.take() : null;
    block?.leave();
    if (this.block === block) return undefined;
    return this.block === null ? sharedReadBuffer : this.block.bytes;
  }

  private leaveBlock(): void {
    this.block?.leave();
    this.block = null;
  }

  /** Copies the queued views of the bytes being delivered, because they must outlast the call. */
  private keepBorrowed(): void {
    borrower = null;
    if (this.parts !== null) {
      this.parts = this.parts.map((part) => (isBorrowed(part) ? copyOf(part, 0, part.length) : part));
    }
  }

  /** @returns whether more may be written. */
  private afterWrite(
    handle: TcpHandle,
    request: OwnedWrite,
    status: number,
    parts: (string | Buffer)[] | null,
  ): boolean {
    if (status !== 0) {
      this.writingFailed(status);
      return true;
    }
    if (streamBaseState[kLastWriteWasAsync] === 0) {
      spareRequest = request;
      if (parts !== null) recycle(parts);
      return !this.is(NEEDS_DRAIN);
    }
    request.oncomplete = onWritten;
    request.socket = this;
    if (parts !== null) this.awaitBlocks(request, parts);
    this.writesPending++;
    if (handle.writeQueueSize >= this.writeBufferBytesMax) this.set(NEEDS_DRAIN);
    return !this.is(NEEDS_DRAIN);
  }

  private awaitBlocks(request: OwnedWrite, parts: readonly (string | Buffer)[]): void {
    request.parts = parts.filter((part) => !isBorrowed(part));
    request.lent = request.parts.length < parts.length ? handedOver : null;
    request.lent?.lend();
  }

  /** @internal A write that could not complete at once has ended. */
  hasWritten(status: number): void {
    this.writesPending--;
    if (this.handle === null) return;
    if (status !== 0) {
      this.writingFailed(status);
      return;
    }
    if (this.writesPending > 0) return;
    if (this.is(IS_ENDING)) this.shutDown(this.handle);
    if (this.is(NEEDS_DRAIN)) {
      this.unset(NEEDS_DRAIN);
      this.tell('onDrain');
    }
  }

  private writingFailed(status: number): void {
    const error = systemError(status, 'write');
    if (this.is(WRITE_FAILED)) return;
    if (!this.is(IS_PATIENT) || !isPeerDone(error.code)) {
      this.close(error, false);
      return;
    }
    this.set(WRITE_FAILED);
    this.dropQueue();
    this.graceTimer = setTimeout(() => this.close(error, false), writeFailureGraceMs);
  }

  /** Called only when everything written has left: a connection that is shutting down cannot be reset. */
  private shutDown(handle: TcpHandle): void {
    this.set(IS_SHUTTING_DOWN);
    const request = new ShutdownWrap();
    request.oncomplete = () => this.finished();
    // A connection that has already been reset has nothing to shut down.
    if (handle.shutdown(request) !== 0) process.nextTick(() => this.finished());
  }

  private finished(): void {
    if (this.handle === null || this.is(IS_FINISHED)) return;
    this.set(IS_FINISHED);
    this.tell('onFinished');
    if (this.is(HAS_ENDED)) this.close(null, false);
  }

  private close(error: NodeJS.ErrnoException | null, isReset: boolean): void {
    const { handle } = this;
    if (handle === null) return;
    this.handle = null;
    this.error ??= error;
    this.dropQueue();
    // While its bytes are being delivered, `hasRead` does this.
    if (this.block !== handedOver) this.leaveBlock();
    if (this.graceTimer !== null) clearTimeout(this.graceTimer);
    // While the connection is shutting down, libuv refuses a reset, and the handle could then not be closed any more.
    const canReset = this.is(IS_FINISHED) || !this.is(IS_SHUTTING_DOWN);
    if (isReset && canReset) handle.reset(onClosed as () => void);
    else handle.close(onClosed as () => void);
  }

  /** @internal */
  closedNow(): void {
    if (this.is(CLOSED)) return;
    this.set(CLOSED);
    try {
      this.handler.onClosed(this.error);
    } catch (error) {
      this.handler.onInternalError(error as Error);
    }
  }

  /** Whether any of the flags is set. */
  private is(flags: number): boolean {
    return (this.flags & flags) !== 0;
  }

  private set(flag: number): void {
    this.flags |= flag;
  }

  private unset(flag: number): void {
    this.flags &= ~flag;
  }

  private tell(event: 'onEnd' | 'onDrain' | 'onConnected' | 'onFinished'): void {
    if (this.handle === null) return;
    try {
      this.handler[event]();
    } catch (error) {
      this.internalError(error);
    }
  }

  private internalError(error: unknown): void {
    this.handler.onInternalError(error as Error);
    this.close(null, false);
  }
}

function takeRequest(): OwnedWrite {
  const request = spareRequest ?? new WriteWrap();
  spareRequest = null;
  return request;
}

function writeParts(handle: TcpHandle, request: WriteRequest, parts: readonly (string | Buffer)[]): number {
  const [first] = parts;
  if (parts.length === 1 && typeof first === 'object') return handle.writeBuffer(request, first);
  const chunks = parts.flatMap((part) => [part, typeof part === 'string' ? 'latin1' : 'buffer']);
  return handle.writev(request, chunks, false);
}

function isBorrowed(part: string | Buffer): part is Buffer {
  return typeof part !== 'string' && part.buffer === handedOver?.bytes.buffer;
}

/** Gives back the blocks that hold copies. */
function recycle(parts: readonly (string | Buffer)[]): void {
  for (const part of parts) if (typeof part !== 'string' && !isBorrowed(part)) giveBlock(part);
}

function onRead(this: OwnedHandle): Buffer | undefined {
  return this.socket.hasRead(streamBaseState[kReadBytesOrError] as number);
}

function onWritten(this: OwnedWrite, status: number): void {
  const { lent, parts, socket } = this;
  // After an error, a block may still be in use, so it is left to the garbage collector.
  if (parts !== undefined && status === 0) recycle(parts);
  lent?.returned();
  socket?.hasWritten(status);
}

function onClosed(this: OwnedHandle): void {
  this.socket.closedNow();
}

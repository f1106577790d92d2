import type { ErrorCode } from '../../base/errors.ts';
import type { ByteStream, SocketHandler } from '../../sockets/byte-socket.ts';
import { closeFrame, FrameReader } from '../../websocket/frames.ts';
import type { ProxyContext } from '../context.ts';
import type { Timed } from '../deadlines.ts';
import type { TunnelOpening } from '../server-stream.ts';
import type { TunnelExchange } from './tunnel-exchange.ts';

/** How long after its Close frame an end may take to close, in ms. */
const closingMs = 5000;
/** After how long a silence the system asks whether a peer is still there, in ms. */
const keepAliveMs = 60_000;

/** How a tunnel ended. */
export interface TunnelEnd {
  /** Null where one end closed it, and the other followed. */
  readonly code: ErrorCode | null;
  readonly detail: string;
  /** Bytes written to the client and to the backend since the 101. */
  readonly bytesToClient: number;
  readonly bytesToBackend: number;
}

const OPEN = 0;
/** Close frames go out between frames; what an end sends after its own is dropped. */
const CLOSING = 1;
const ENDED = 2;

/**
 * The two connections of a WebSocket after its 101: bytes flow both ways as they come, each side paused while the
 * other does not keep up, a half-close passed on, a reset too. Frames are followed by their headers alone.
 */
export class Tunnel implements Timed {
  deadlineMs: number;
  deadlineSlot = -1;
  /** Coarse monotonic ms of the last byte in either direction. */
  activeMs: number;
  /** @internal */
  readonly context: ProxyContext;
  private readonly client: TunnelSide;
  private readonly backend: TunnelSide;
  /** Of the handshake; it ends with the tunnel. */
  readonly exchange: TunnelExchange;
  private readonly onEnd: (tunnel: Tunnel, end: TunnelEnd) => void;
  private state = OPEN;
  private sidesOpen = 2;
  private isHalfClosed = false;
  private code: ErrorCode | null = null;
  private detail = '';
  private goodbye: { readonly atMs: number; readonly code: number } | null = null;

  /** Takes over both sockets. Bytes for either may have been queued, not flushed. */
  constructor(
    context: ProxyContext,
    exchange: TunnelExchange,
    client: ByteStream,
    backend: ByteStream,
    onEnd: (tunnel: Tunnel, end: TunnelEnd) => void,
  ) {
    this.context = context;
    this.exchange = exchange;
    this.onEnd = onEnd;
    this.client = new TunnelSide(this, client, 'CLIENT_GONE');
    this.backend = new TunnelSide(this, backend, 'BACKEND_RESET');
    this.client.other = this.backend;
    this.backend.other = this.client;
    this.activeMs = context.deadlines.nowMs;
    this.deadlineMs = this.idleDeadline();
    context.deadlines.add(this);
  }

  /** Begins to pass on bytes, first those that came with the handshake. */
  start(client: TunnelOpening, backend: TunnelOpening): void {
    this.client.begin(client.received);
    this.backend.begin(backend.received);
    if (client.hasEnded) this.client.onEnd();
    if (backend.hasEnded) this.backend.onEnd();
  }

  /** Says goodbye at `atMs`, monotonic ms, or now, with a Close frame of `code` to both ends. */
  endAt(atMs: number, code: number, nowMs: number): void {
    if (this.state !== OPEN || (this.goodbye !== null && this.goodbye.atMs <= atMs)) return;
    this.goodbye = { atMs, code };
    this.deadlineMs = Math.min(this.deadlineMs, atMs);
    if (atMs <= nowMs) this.onDeadline(nowMs);
  }

  /** Ends it at once; both ends see a reset. */
  destroy(code: ErrorCode, detail: string): void {
    this.code ??= code;
    if (this.detail === '') this.detail = detail;
    this.client.socket.reset();
    this.backend.socket.reset();
  }

  onDeadline(nowMs: number): void {
    if (this.state === CLOSING) {
      this.destroy('TUNNEL_DRAINED', 'an end did not close');
    } else if (this.goodbye !== null && this.goodbye.atMs <= nowMs) {
      this.close('TUNNEL_DRAINED', this.goodbye.code, nowMs);
    } else if (this.idleDeadline() > nowMs) {
      this.deadlineMs = Math.min(this.idleDeadline(), this.goodbye?.atMs ?? Number.POSITIVE_INFINITY);
    } else if (this.isHalfClosed) {
      this.destroy('TUNNEL_IDLE', 'one end has closed, the other is silent');
    } else {
      this.close('TUNNEL_IDLE', 1001, nowMs);
    }
  }

  /** @internal Whether frames are still passed on whole. */
  get isClosing(): boolean {
    return this.state === CLOSING;
  }

  /** @internal A side has closed. */
  sideClosed(side: TunnelSide, error: NodeJS.ErrnoException | null): void {
    if (error !== null) {
      this.code ??= side.goneCode;
      if (this.detail === '') this.detail = error.code ?? error.message;
      side.other.socket.reset();
    } else {
      side.other.endWriting();
    }
    if (--this.sidesOpen > 0) return;
    this.state = ENDED;
    this.context.deadlines.remove(this);
    this.onEnd(this, {
      code: this.code,
      detail: this.detail,
      bytesToClient: this.client.bytesWritten,
      bytesToBackend: this.backend.bytesWritten,
    });
  }

  /** @internal An end sends no more. As no WebSocket does that without Close, the other one is not waited for so long. */
  sideEnded(): void {
    this.isHalfClosed = true;
    this.deadlineMs = Math.min(this.deadlineMs, this.idleDeadline());
  }

  private close(why: ErrorCode, closeCode: number, nowMs: number): void {
    this.state = CLOSING;
    this.code ??= why;
    this.deadlineMs = nowMs + closingMs;
    this.client.sayClose(closeFrame(closeCode, null));
    this.backend.sayClose(closeFrame(closeCode, (this.context.random() * 0x1_0000_0000) >>> 0));
  }

  private idleDeadline(): number {
    const { inactivityMs, tunnelIdleMs } = this.context.settings;
    const limitMs = (this.isHalfClosed && inactivityMs) || tunnelIdleMs;
    return limitMs === 0 ? Number.POSITIVE_INFINITY : this.activeMs + limitMs;
  }
}

/** One end: reads from its socket, writes to that of the other. */
class TunnelSide implements SocketHandler {
  readonly socket: ByteStream;
  readonly goneCode: ErrorCode;
  other!: TunnelSide;
  private readonly tunnel: Tunnel;
  /** Follows what comes from this end. */
  private readonly frames = new FrameReader();
  private readonly bytesBefore: number;
  /** Not read from, as the other end does not keep up. */
  private isPaused = false;
  /** The Close frame for this end, while a frame to it has not ended. */
  private pendingClose = '';
  /** It has got its Close frame: nothing may follow. */
  private hasGotClose = false;
  private isWritingEnded = false;
  /** It is to be ended once its Close frame has left. */
  private endsAfterClose = false;

  constructor(tunnel: Tunnel, socket: ByteStream, goneCode: ErrorCode) {
    this.tunnel = tunnel;
    this.socket = socket;
    this.goneCode = goneCode;
    this.bytesBefore = socket.bytesQueued;
    socket.handTo(this);
    socket.keepAlive(keepAliveMs);
  }

  get bytesWritten(): number {
    return this.socket.bytesQueued - this.bytesBefore;
  }

  get isStreaming(): boolean {
    return !this.frames.isAtBoundary;
  }

  begin(bytes: Buffer): void {
    if (bytes.length > 0) this.onBytes(bytes, bytes.length);
    else this.other.socket.flush();
    if (!this.isPaused) this.socket.resume();
  }

  onBytes(bytes: Buffer, length: number): void {
    const { other, tunnel } = this;
    tunnel.activeMs = tunnel.context.deadlines.nowMs;
    if (other.pendingClose !== '' || other.hasGotClose) {
      this.finishFrames(bytes, length);
      return;
    }
    if (other.isWritingEnded) return;
    this.frames.read(bytes, 0, length);
    if (!other.socket.write(bytes, 0, length)) this.pause();
  }

  /** Writes what is queued for the other end, and reads no more from this one while that does not keep up. */
  private flushToOther(): void {
    if (!this.other.socket.flush()) this.pause();
  }

  private pause(): void {
    this.isPaused = true;
    this.socket.pause();
  }

  onEnd(): void {
    // A frame that is not whole by now never will be, nor can a Close follow it.
    this.other.pendingClose = '';
    this.other.endWriting();
    if (this.tunnel.isClosing) this.endWriting();
    this.tunnel.sideEnded();
  }

  /** Says to this end that nothing more comes. */
  endWriting(): void {
    if (this.pendingClose !== '') {
      this.endsAfterClose = true;
      return;
    }
    if (this.isWritingEnded) return;
    this.isWritingEnded = true;
    this.socket.end();
  }

  onDrain(): void {
    const { other } = this;
    if (!other.isPaused) return;
    other.isPaused = false;
    other.socket.resume();
  }

  onConnected(): void {}

  onFinished(): void {}

  onInternalError(error: Error): void {
    this.tunnel.context.onInternalError('a tunnel', error);
  }

  onClosed(error: NodeJS.ErrnoException | null): void {
    this.tunnel.sideClosed(this, error);
  }

  /** Sends this end a Close frame, now or behind the frame that is under way to it. */
  sayClose(frame: string): void {
    const towards = this.other.frames;
    if (towards.hasClosed || this.isWritingEnded) return;
    if (towards.isBroken) {
      // A Close cannot be put between frames any more; further bytes are no use to it.
      this.hasGotClose = true;
    } else if (towards.isAtBoundary) {
      this.writeClose(frame);
    } else {
      this.pendingClose = frame;
    }
  }

  private writeClose(frame: string): void {
    this.pendingClose = '';
    this.hasGotClose = true;
    this.socket.append(frame);
    this.socket.flush();
    if (this.endsAfterClose) this.endWriting();
    // From here on its bytes are only read until its own Close.
    if (this.other.isPaused) this.onDrain();
  }

  /** The other end gets a Close: passes on the frame that is under way, and drops everything after it. */
  private finishFrames(bytes: Buffer, length: number): void {
    const { frames, other } = this;
    let at = 0;
    if (other.pendingClose !== '') {
      at = frames.read(bytes, 0, length, true);
      other.socket.appendBytes(bytes, 0, at);
      if (frames.isBroken) other.hasGotClose = true;
      if (!frames.isAtBoundary) {
        this.flushToOther();
        return;
      }
      other.writeClose(other.pendingClose);
    }
    frames.read(bytes, at, length);
    // It has answered the Close: the connection is the server's to end (RFC 6455 section 7.1.1).
    if (frames.hasClosed) this.endWriting();
  }
}

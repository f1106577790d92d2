import type { ErrorCode } from '../../base/errors.ts';
import type { ByteStream, SocketHandler } from '../../sockets/byte-socket.ts';
import { closeFrame, FrameReader } from '../../websocket/frames.ts';
import { keepAliveMs, type ProxyContext } from '../context.ts';
import type { Timed } from '../deadlines.ts';
import type { TunnelEndpoint } from '../server-stream.ts';
import type { TunnelExchange } from './tunnel-exchange.ts';

/** How long an end may take to close after its Close frame, in ms. */
const closingMs = 5000;

/** How a tunnel ended. */
export interface TunnelOutcome {
  /** Null if one end closed the tunnel and the other followed. */
  readonly code: ErrorCode | null;
  readonly detail: string;
  /** Bytes written to the client and to the backend since the 101. */
  readonly bytesToClient: number;
  readonly bytesToBackend: number;
}

const OPEN = 0;
/** Close frames leave between frames. Whatever a peer sends after its own Close is dropped. */
const CLOSING = 1;
const ENDED = 2;

/**
 * The two connections of a WebSocket after its 101. Bytes flow both ways as they arrive. Each side is paused while the
 * other does not keep up; half-closes and resets are passed on. Of frames, only the headers are read. A tunnel of another
 * protocol has no frames, and ends without a Close.
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
  /** The exchange of the handshake; it ends with the tunnel. */
  readonly exchange: TunnelExchange;
  private readonly onEnd: (tunnel: Tunnel, end: TunnelOutcome) => void;
  /** @internal */
  readonly isWebSocket: boolean;
  private state = OPEN;
  private sidesOpen = 2;
  private isHalfClosed = false;
  private code: ErrorCode | null = null;
  private detail = '';
  private goodbye: { readonly atMs: number; readonly code: number } | null = null;

  /** Takes over both sockets. Either may have bytes queued but not flushed. */
  constructor(
    context: ProxyContext,
    exchange: TunnelExchange,
    client: ByteStream,
    backend: ByteStream,
    isWebSocket: boolean,
    onEnd: (tunnel: Tunnel, end: TunnelOutcome) => void,
  ) {
    this.context = context;
    this.exchange = exchange;
    this.isWebSocket = isWebSocket;
    this.onEnd = onEnd;
    this.client = new TunnelSide(this, client, 'CLIENT_GONE');
    this.backend = new TunnelSide(this, backend, 'BACKEND_RESET');
    this.client.other = this.backend;
    this.backend.other = this.client;
    this.activeMs = context.deadlines.nowMs;
    this.deadlineMs = this.idleDeadline();
    context.deadlines.add(this);
  }

  /** Starts to pass on bytes, beginning with those that came with the handshake. */
  start(client: TunnelEndpoint, backend: TunnelEndpoint): void {
    this.client.begin(client.received);
    this.backend.begin(backend.received);
    if (client.hasEnded) this.client.onEnd();
    if (backend.hasEnded) this.backend.onEnd();
  }

  /** Sends a Close frame with `code` to both ends, at `atMs` (monotonic ms) or now if that has passed. */
  endAt(atMs: number, code: number, nowMs: number): void {
    if (this.state !== OPEN || (this.goodbye !== null && this.goodbye.atMs <= atMs)) return;
    this.goodbye = { atMs, code };
    this.deadlineMs = Math.min(this.deadlineMs, atMs);
    if (atMs <= nowMs) this.onDeadline(nowMs);
  }

  /** Ends the tunnel at once: resets both connections. */
  destroy(code: ErrorCode | null = null, detail = ''): void {
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

  /** @internal Whether the tunnel sends, or has sent, Close frames. */
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

  /** @internal One end sends no more. No WebSocket does that without a Close, so the other end gets less time. */
  sideEnded(): void {
    this.isHalfClosed = true;
    this.deadlineMs = Math.min(this.deadlineMs, this.idleDeadline());
  }

  private close(why: ErrorCode, closeCode: number, nowMs: number): void {
    this.state = CLOSING;
    this.code ??= why;
    this.deadlineMs = nowMs + closingMs;
    if (!this.isWebSocket) {
      this.client.endWriting();
      this.backend.endWriting();
      return;
    }
    this.client.sayClose(closeFrame(closeCode, null));
    this.backend.sayClose(closeFrame(closeCode, (this.context.random() * 0x1_0000_0000) >>> 0));
  }

  private idleDeadline(): number {
    const { context, exchange } = this;
    const { inactivityMs } = context.settings;
    const { tunnelIdleMs } = exchange.frontend?.policy ?? context.policy;
    const limitMs = (this.isHalfClosed && inactivityMs) || tunnelIdleMs;
    return limitMs === 0 ? Number.POSITIVE_INFINITY : this.activeMs + limitMs;
  }
}

/** One end: reads from its own socket, writes to the other one's. */
class TunnelSide implements SocketHandler {
  readonly socket: ByteStream;
  readonly goneCode: ErrorCode;
  other!: TunnelSide;
  private readonly tunnel: Tunnel;
  /** Tracks the frames that come from this end. */
  private readonly frames = new FrameReader();
  private readonly bytesBefore: number;
  /** Not being read, because the other end does not keep up. */
  private isPaused = false;
  /** The Close frame for this end, held back until the current frame to it has ended. */
  private pendingClose = '';
  /** Its Close frame has been sent: nothing may follow. */
  private hasGotClose = false;
  private isWritingEnded = false;
  /** Whether to half-close once its Close frame has been sent. */
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
    return !this.tunnel.isWebSocket || !this.frames.isAtBoundary;
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
    if (tunnel.isWebSocket) this.frames.read(bytes, 0, length);
    if (!other.socket.write(bytes, 0, length)) this.pause();
  }

  /** Writes what is queued for the other end, and pauses this one if the other does not keep up. */
  private flushToOther(): void {
    if (!this.other.socket.flush()) this.pause();
  }

  private pause(): void {
    this.isPaused = true;
    this.socket.pause();
  }

  onEnd(): void {
    // A frame that is incomplete by now stays incomplete, and no Close can follow it.
    this.other.pendingClose = '';
    this.other.endWriting();
    if (this.tunnel.isClosing) this.endWriting();
    this.tunnel.sideEnded();
  }

  /** Half-closes towards this end. */
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

  /** Sends a Close frame to this end, now or after the current frame to it. */
  sayClose(frame: string): void {
    const towards = this.other.frames;
    if (towards.hasClosed || this.isWritingEnded) return;
    if (towards.isBroken) {
      // Frame boundaries are lost, so no Close can be inserted. Further bytes are of no use to this end.
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
    // From now on, the other end is only read until its own Close.
    if (this.other.isPaused) this.onDrain();
  }

  /** The other end gets a Close: passes the rest of the current frame on, and drops everything after it. */
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
    // This end has echoed the Close. The server closes the connection (RFC 6455 section 7.1.1).
    if (frames.hasClosed) this.endWriting();
  }
}

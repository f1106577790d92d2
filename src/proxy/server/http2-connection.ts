import { Http2Error, preface } from '../../http2/frame.ts';
import type { HeaderField } from '../../http2/header-field.ts';
import { Http2RequestHead } from '../../http2/request-head.ts';
import { ResponseBlocks } from '../../http2/response-blocks.ts';
import { Session } from '../../http2/session.ts';
import type { SessionOutput, SessionOwner } from '../../http2/session-options.ts';
import type { Http2Stream } from '../../http2/stream.ts';
import type { Backend } from '../../routing/backend.ts';
import type { ByteSocket, SocketHandler } from '../../sockets/byte-socket.ts';
import type { Peer } from '../client-identity.ts';
import { drainGraceMs, keepAliveMs, type ProxyContext } from '../context.ts';
import type { Timed } from '../deadlines.ts';
import { Exchange } from '../exchange.ts';
import { atTurnEnd, type TurnTask } from '../turn-end.ts';
import type { ServerConnection, ServerConnections } from './connections.ts';
import { Http2ServerStream } from './http2-stream.ts';
import type { ListenerTraits } from './listener-traits.ts';

const OPEN = 0;
/** The client learns that no more requests are taken; some may be under way. */
const LEAVING = 1;
/** It knows, and those have come. */
const LEFT = 2;
/** Nothing more is sent; what comes is passed over. */
const LINGERING = 3;
const CLOSED = 4;

/** Bytes that are queued for a client that does not read, from which on it is no longer read either. */
const unsentBytesMax = 64 * 1024;
/** How long, in ms, a connection is still read after its last frame, so that no reset overtakes that. */
const lingerMs = 5000;

/** One HTTP/2 connection of a client: many exchanges at a time. */
export class Http2Connection implements ServerConnection, SocketHandler, SessionOutput, SessionOwner, Timed, TurnTask {
  deadlineMs: number;
  deadlineSlot = -1;
  isQueued = false;
  readonly peer: Peer;
  readonly context: ProxyContext;
  readonly blocks: ResponseBlocks;
  private readonly connections: ServerConnections;
  private readonly session: Session;
  /** Those with requests; tunnels are not among them. */
  private readonly streams = new Set<Http2ServerStream>();
  /** Set by `attach` right after construction, because the socket needs its handler first. */
  private socket!: ByteSocket;
  private state = OPEN;
  private readonly halfClose: boolean;
  /** The client sends nothing more; and everything for it has left. */
  private clientEnded = false;
  private isFinished = false;
  /** Bytes queued since the client does not read. */
  private unsentBytes = 0;
  /** Bytes of the preface that have come. */
  private prefaceLength = 0;

  constructor(peer: Peer, { halfClose }: ListenerTraits, connections: ServerConnections, context: ProxyContext) {
    const { clock, settings } = context;
    this.peer = peer;
    this.halfClose = halfClose;
    this.context = context;
    this.connections = connections;
    this.deadlineMs = clock.monotonicMs() + settings.headTimeoutMs;
    this.session = new Session(this, this, {
      isServer: true,
      limits: {
        blockBytesMax: settings.headBytesMax,
        listBytesMax: settings.headBytesMax,
        fieldsMax: settings.headFieldsMax,
      },
      streamsMax: settings.http2StreamsMax,
      streamWindowBytes: settings.http2StreamWindowBytes,
      connectionWindowBytes: settings.http2ConnectionWindowBytes,
      takesProtocols: true,
      nowMs: () => clock.monotonicMs(),
      budget: settings.http2Budget,
    });
    this.blocks = new ResponseBlocks(this.session.encoder);
  }

  attach(socket: ByteSocket): void {
    this.socket = socket;
    socket.keepAlive(keepAliveMs);
    this.context.deadlines.add(this);
    this.session.start();
  }

  drain(): void {
    if (this.state !== OPEN) return;
    this.state = LEAVING;
    this.session.goAway(true);
    this.session.ping();
    this.deadlineMs = Math.min(this.deadlineMs, this.context.clock.monotonicMs() + drainGraceMs);
  }

  closeIfIdle(): boolean {
    if (this.isUsed || this.state >= LINGERING) return false;
    // At once, because its descriptor is needed.
    this.session.end(Http2Error.NO_ERROR, 'idle');
    this.socket.flush();
    this.destroy();
    return true;
  }

  isAt(backend: Backend): boolean {
    for (const { exchange } of this.streams) if (exchange?.backend === backend) return true;
    return false;
  }

  endAt(backend: Backend): void {
    for (const stream of [...this.streams]) if (stream.exchange?.backend === backend) stream.destroy();
  }

  destroy(): void {
    this.state = CLOSED;
    try {
      this.session.abandon(Http2Error.NO_ERROR, 'connection ended by the proxy');
    } finally {
      this.socket.destroy();
    }
  }

  get isStreaming(): boolean {
    for (const { exchange } of this.streams) if (exchange?.requestComplete === false) return true;
    return false;
  }

  onBytes(bytes: Buffer, length: number): void {
    if (this.state >= LINGERING) return;
    const at = this.readPreface(bytes, length);
    if (at < 0) {
      this.destroy();
      return;
    }
    if (this.session.read(bytes, at, length)) return;
    const { ended, endedDetail } = this.session;
    if (ended === Http2Error.ENHANCE_YOUR_CALM) {
      this.context.onWarning('a client of HTTP/2 was disconnected', { client: this.peer.address, why: endedDetail });
    }
    this.linger();
  }

  onEnd(): void {
    this.clientEnded = true;
    if (this.state === LINGERING) {
      if (this.isFinished) this.destroy();
    } else if (this.halfClose && this.isUsed) {
      // It gets its responses.
      this.state = LEFT;
    } else {
      this.destroy();
    }
  }

  onDrain(): void {
    if (this.unsentBytes > unsentBytesMax && this.state < LINGERING) this.socket.resume();
    this.unsentBytes = 0;
    this.session.resume();
  }

  onConnected(): void {}

  onFinished(): void {
    this.isFinished = true;
    if (this.state !== LINGERING) return;
    if (this.clientEnded) this.destroy();
    else this.deadlineMs = this.context.clock.monotonicMs() + lingerMs;
  }

  onInternalError(error: Error): void {
    this.context.onInternalError('a client connection', error);
  }

  onClosed(error: NodeJS.ErrnoException | null): void {
    this.state = CLOSED;
    this.context.deadlines.remove(this);
    this.connections.delete(this);
    this.session.abandon(Http2Error.NO_ERROR, error?.code ?? 'closed');
  }

  onDeadline(): void {
    if (this.state >= LINGERING || this.prefaceLength < preface.length) this.destroy();
    else if (!this.isUsed) this.leave();
    else this.refuseMore();
  }

  onPingAck(): void {
    if (this.state === LEAVING) this.refuseMore();
  }

  onStream(stream: Http2Stream, fields: readonly HeaderField[], isTooLarge: boolean, endsStream: boolean): void {
    const { context } = this;
    const head = new Http2RequestHead(fields, isTooLarge, endsStream, context.settings.targetBytesMax);
    const served = new Http2ServerStream(this, stream, head);
    stream.handler = served;
    if (head.priority !== '') this.session.setPriority(stream, head.priority);
    this.streams.add(served);
    if (this.state === OPEN) this.deadlineMs = Number.POSITIVE_INFINITY;
    served.begin(new Exchange(served, context));
  }

  append(text: string): void {
    this.socket.append(text);
    if (!this.session.isFlowing) this.countUnsent(text.length);
  }

  appendFramed(head: string, bytes: Buffer, start: number, end: number): void {
    this.socket.appendFramed(head, bytes, start, end);
  }

  onOutput(): void {
    atTurnEnd(this);
  }

  atTurnEnd(): void {
    if (this.state === CLOSED) return;
    try {
      this.session.isFlowing = this.socket.flush();
      this.session.settle();
    } catch (error) {
      this.onInternalError(error as Error);
      this.socket.destroy();
    }
  }

  onSettings(): void {}

  onGoAway(): void {}

  streamClosed(stream: Http2ServerStream): void {
    this.streams.delete(stream);
    this.streamEnded();
  }

  becameTunnel(stream: Http2ServerStream): void {
    this.streams.delete(stream);
  }

  streamEnded(): void {
    if (this.isUsed || this.state >= LINGERING) return;
    this.blocks.clear();
    if (this.state === LEFT) {
      this.leave();
      return;
    }
    const { clock, draining, settings } = this.context;
    const idleMs = draining ? Math.min(drainGraceMs, settings.keepAliveMs) : settings.keepAliveMs;
    this.deadlineMs = clock.monotonicMs() + idleMs;
  }

  private get isUsed(): boolean {
    return this.session.streams.size > 0;
  }

  /** Frames without data have no window: responses without a body, replies to pings. */
  private countUnsent(bytes: number): void {
    const before = this.unsentBytes;
    this.unsentBytes += bytes;
    if (before <= unsentBytesMax && this.unsentBytes > unsentBytesMax) this.socket.pause();
  }

  /** @returns where frames begin; -1 if the client speaks something else. */
  private readPreface(bytes: Buffer, length: number): number {
    let at = 0;
    while (this.prefaceLength < preface.length && at < length) {
      if (bytes[at] !== preface.charCodeAt(this.prefaceLength)) return -1;
      at++;
      this.prefaceLength++;
    }
    return at;
  }

  /** Requests that were under way when the client heard of the end have come. */
  private refuseMore(): void {
    this.state = LEFT;
    this.deadlineMs = Number.POSITIVE_INFINITY;
    if (this.isUsed) this.session.goAway(false);
    else this.leave();
  }

  /** Ends the connection in an orderly way. */
  private leave(): void {
    this.session.end(Http2Error.NO_ERROR, 'idle');
    this.linger();
  }

  /** Half-closes once everything has left. */
  private linger(): void {
    if (this.state >= LINGERING) return;
    this.state = LINGERING;
    this.deadlineMs = this.context.clock.monotonicMs() + (this.context.settings.inactivityMs || lingerMs);
    this.socket.flush();
    this.socket.end();
  }
}

import { Http2Error } from '../http2/frame.ts';
import type { HeaderField } from '../http2/header-field.ts';
import type { Http2Stream, StreamHandler } from '../http2/stream.ts';
import type { ByteStream, SocketHandler } from '../sockets/byte-socket.ts';

/** The connection of a tunnel. */
interface TunnelOwner {
  /** A stream has ended. */
  streamEnded(): void;
}

/** One stream of HTTP/2 as an end of a tunnel (RFC 8441): its data is the bytes, its end and its reset are those of the tunnel. */
export class Http2Tunnel implements ByteStream, StreamHandler {
  bytesQueued = 0;
  private readonly stream: Http2Stream;
  private readonly connection: TunnelOwner;
  private handler: SocketHandler | null = null;
  private error: NodeJS.ErrnoException | null = null;

  constructor(stream: Http2Stream, connection: TunnelOwner) {
    this.stream = stream;
    this.connection = connection;
  }

  handTo(handler: SocketHandler): void {
    this.handler = handler;
  }

  /** The connection has its own. */
  keepAlive(): void {}

  append(text: string): void {
    this.bytesQueued += text.length;
    this.stream.sendText(text);
  }

  appendBytes(bytes: Buffer, start: number, end: number): void {
    this.bytesQueued += end - start;
    this.stream.sendData(bytes, start, end);
  }

  flush(): boolean {
    return this.stream.flush();
  }

  write(bytes: Buffer, start: number, end: number): boolean {
    this.appendBytes(bytes, start, end);
    return this.stream.flush();
  }

  pause(): void {
    this.stream.pause();
  }

  resume(): void {
    this.stream.resume();
  }

  end(): void {
    this.stream.sendEnd(null);
  }

  reset(): void {
    this.stream.reset(Http2Error.CANCEL);
  }

  /** RFC 8441 section 5: a tunnel has no trailers. */
  onFields(_fields: readonly HeaderField[], _isTooLarge: boolean, endsStream: boolean): void {
    if (endsStream) this.onEnd();
  }

  onData(bytes: Buffer, start: number, end: number): void {
    this.tell((handler) => handler.onBytes(bytes.subarray(start, end), end - start));
  }

  onFlush(): void {}

  onEnd(): void {
    this.tell((handler) => handler.onEnd());
  }

  onDrain(): void {
    this.tell((handler) => handler.onDrain());
  }

  onReset(_code: number, detail: string): void {
    this.error = Object.assign(new Error(detail), { code: 'ECONNRESET' });
  }

  onClosed(): void {
    this.connection.streamEnded();
    const { error, handler } = this;
    this.handler = null;
    // Later, as by a socket: the caller of `reset` is not ready for it.
    queueMicrotask(() => {
      try {
        handler?.onClosed(error);
      } catch (thrown) {
        handler?.onInternalError(thrown as Error);
      }
    });
  }

  /** As of a socket, what a handler throws ends its own stream only. */
  private tell(call: (handler: SocketHandler) => void): void {
    const { handler } = this;
    if (handler === null) return;
    try {
      call(handler);
    } catch (error) {
      handler.onInternalError(error as Error);
      this.reset();
    }
  }
}

import type { ErrorCode } from '../base/errors.ts';
import type { FieldLines } from '../http/field-lines.ts';
import type { RequestView, ResponseView } from '../http/message.ts';
import type { ByteStream } from '../sockets/byte-socket.ts';
import type { Peer } from './client-identity.ts';
import type { LocalReply } from './local-reply.ts';

/**
 * One request of a client and the way its response goes: implemented for each protocol that clients speak. A stream
 * serves one exchange. Everything is queued until `flush`, except for what ends the response.
 */
export interface ServerStream {
  readonly request: RequestView;
  readonly peer: Peer;
  /** Bytes of this response that were queued for the client so far, heads included. */
  readonly bytesSent: number;
  sendInformational(response: ResponseView): void;
  /** Queues the head of a backend's response. @param added further fields, null for none. */
  sendHead(response: ResponseView, added: FieldLines | null): void;
  sendData(bytes: Buffer, start: number, end: number): void;
  /** The response is whole. */
  sendEnd(trailers: FieldLines | null): void;
  /** A whole response of the proxy's own. @param code null if it is no error. */
  sendLocal(reply: LocalReply, code: ErrorCode | null, added: FieldLines | null): void;
  /** Writes what is queued. @returns false if the client is slow: `RequestSink.onDrain` follows. */
  flush(): boolean;
  pauseRequest(): void;
  resumeRequest(): void;
  /** Ends the stream so that the client sees that the response is not whole. */
  abort(): void;
  /** Queues a 101; what the stream stands on becomes one end of a tunnel. */
  openTunnel(response: ResponseView, added: FieldLines | null): TunnelOpening;
  /** The exchange is over and needs nothing of the stream any more. */
  release(): void;
}

/** One end of a tunnel, as a stream hands it over. */
export interface TunnelOpening {
  readonly stream: ByteStream;
  /** Bytes that came behind the head; valid until `release`. */
  readonly received: Buffer;
  /** The peer has said that it sends nothing more. */
  readonly hasEnded: boolean;
}

/** The exchange that a stream serves. Views of bytes are valid only during the call. */
export interface RequestSink {
  onData(bytes: Buffer, start: number, end: number): void;
  onEnd(trailers: FieldLines | null): void;
  /** The views of one read have all been passed on. */
  onFlush(): void;
  /** The client takes more again, after `ServerStream.flush` returned false. */
  onDrain(): void;
  /** Nothing more can be sent to the client: it is gone, or is given up. */
  onAborted(code: ErrorCode, detail: string): void;
  /** The client stopped sending its request. */
  onTimeout(): void;
}

import type { ErrorCode } from '../base/errors.ts';
import type { FieldEdits, FieldLines } from '../http/field-lines.ts';
import type { RequestView, ResponseView } from '../http/message.ts';
import type { RuleEffects } from '../policy/admission.ts';
import type { Backend } from '../routing/backend.ts';
import type { ByteStream } from '../sockets/byte-socket.ts';
import type { BackendStream } from './backend-stream.ts';
import type { Peer } from './client-identity.ts';
import type { LocalReply } from './local-reply.ts';

/**
 * One request of a client and the channel for its response. Each protocol that clients speak implements it. A stream
 * serves one exchange. It queues everything until `flush`, except for whatever ends the response.
 */
export interface ServerStream {
  readonly request: RequestView;
  readonly peer: Peer;
  /** Of a request that `offersProtocols`: its protocol is the first of these, in lower case, that the client prefers. */
  chooseProtocol(allowed: ReadonlySet<string>): void;
  /** Bytes queued for the client so far in this response, heads included. */
  readonly bytesSent: number;
  /** The backend connection that serves only this client connection, and ends with it; null for none. */
  bound: BoundStream | null;
  /** Of the rules of the host, for this request; null for none. It is here because a stream costs nothing for each request. */
  effects: RuleEffects | null;
  sendInformational(response: ResponseView): void;
  /** Queues the head of a backend's response. @param edits changes to its fields; null for none. */
  sendHead(response: ResponseView, edits: FieldEdits | null): void;
  sendData(bytes: Buffer, start: number, end: number): void;
  /** The response is complete. */
  sendEnd(trailers: FieldLines | null): void;
  /** Sends a complete local reply. @param code null if it is not an error. */
  sendLocal(reply: LocalReply, code: ErrorCode | null, added: FieldLines | null): void;
  /** Writes what is queued. @returns false if the client is slow: `RequestSink.onDrain` follows. */
  flush(): boolean;
  pauseRequest(): void;
  resumeRequest(): void;
  /** Ends the stream in such a way that the client recognises the response as incomplete. @param code says why. */
  abort(code: ErrorCode | null): void;
  /** Queues the response that switches protocols. The stream, or its connection, becomes one end of a tunnel. */
  openTunnel(response: ResponseView, edits: FieldEdits | null): TunnelEndpoint;
  /** The exchange has ended and no longer needs the stream. */
  release(): void;
}

/** A stream on a connection that the backend has authenticated for one client. */
export interface BoundStream {
  /** The host pattern that it is for. */
  readonly pattern: string;
  readonly backend: Backend;
  readonly stream: BackendStream;
}

/** One end of a tunnel, as handed over by a stream. */
export interface TunnelEndpoint {
  readonly stream: ByteStream;
  /** Bytes that followed the head; valid until `release`. */
  readonly received: Buffer;
  /** The peer has announced that it sends nothing more. */
  readonly hasEnded: boolean;
}

/** The exchange that a stream serves. Views of bytes are valid only during the call. */
export interface RequestSink {
  onData(bytes: Buffer, start: number, end: number): void;
  onEnd(trailers: FieldLines | null): void;
  /** All views of one read have been passed on. */
  onFlush(): void;
  /** The client accepts data again, after `ServerStream.flush` returned false. */
  onDrain(): void;
  /** Nothing more can be sent to the client: it has gone, or the proxy has given up on it. */
  onAborted(code: ErrorCode, detail: string): void;
  /** The client stopped sending its request. */
  onTimeout(): void;
}

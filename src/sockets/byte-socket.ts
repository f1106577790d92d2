import type { X509Certificate } from 'node:crypto';

/** The user of a socket. Calls never overlap. `onClosed` is the last call and is made exactly once. */
export interface SocketHandler {
  /** Whether a long run of bytes is expected: reads may then get a block of their own. */
  readonly isStreaming: boolean;
  /** `bytes[0, length)`, valid only during the call. */
  onBytes(bytes: Buffer, length: number): void;
  /** The peer will send nothing more. */
  onEnd(): void;
  /** After `flush` returned false: everything written has left, so writing can continue. */
  onDrain(): void;
  /** Connected; with TLS, the handshake is complete. */
  onConnected(): void;
  /** Everything written before `end` has left. */
  onFinished(): void;
  /** A call of this handler threw: an internal error, which ends only this socket. `onClosed` follows. */
  onInternalError(error: Error): void;
  /** The socket has closed. `error` is null if it closed in an orderly way. */
  onClosed(error: NodeJS.ErrnoException | null): void;
}

/** One end of a tunnel. Bytes arrive as views, and leave in as few writes as possible. */
export interface ByteStream {
  /** Bytes queued for writing since the connection began. */
  readonly bytesQueued: number;
  /** Another handler takes over and gets all further calls. */
  handTo(handler: SocketHandler): void;
  /** Makes the kernel probe a silent peer, so that one that vanished is noticed. @param afterMs at least 1000. */
  keepAlive(afterMs: number): void;
  /** Queues latin1 text for `flush`. */
  append(text: string): void;
  /** Queues `bytes[start, end)` for `flush`. Bytes that may change before they have left are copied. */
  appendBytes(bytes: Buffer, start: number, end: number): void;
  /** Writes what is queued in one system call. @returns false if the peer is slow: wait for `onDrain`. */
  flush(): boolean;
  /** `appendBytes` and `flush` in one; cheaper if nothing is queued. */
  write(bytes: Buffer, start: number, end: number): boolean;
  pause(): void;
  resume(): void;
  /** Half-closes after everything written so far. Reading continues. */
  end(): void;
  /** Closes with a reset, so that the peer cannot mistake what it got for the whole. */
  reset(): void;
}

/** A client as its TLS handshake has shown it. */
export interface ShownByClient {
  /** Whether the client was asked for a certificate of these authorities. One that resumes a session is asked for none. */
  wasAsked(authoritiesId: string): boolean;
  /** The certificate whose key the client has, or had when the session that it resumes began; null for none. */
  readonly certificate: X509Certificate | null;
  /** Why that certificate is not valid, as OpenSSL names it: `CERT_HAS_EXPIRED`; null if it is. */
  readonly problem: string | null;
}

/** A connection. Nothing may be written before `onConnected`. */
export interface ByteSocket extends ByteStream {
  /** Whether a TLS session was resumed; set when the handshake is complete. */
  readonly isResumed: boolean;
  /** The protocol negotiated by ALPN (RFC 7301), set when the handshake is complete; empty if there is none. */
  readonly alpnProtocol: string;
  /** Of TLS, such as `TLSv1.3`, once the handshake is complete; else null. */
  readonly tlsVersion: string | null;
  /** Of a client with TLS, once the handshake is complete; else null. */
  readonly shown: ShownByClient | null;
  /** Whether the peer keeps up with what is written. */
  readonly isFlowing: boolean;
  readonly isClosed: boolean;
  /** Queues latin1 text and `bytes[start, end)` behind it, at most 64 KiB together, which are copied. */
  appendFramed(head: string, bytes: Buffer, start: number, end: number): void;
  /** Closes the connection if the peer has reset it. Only this shows a reset while reading is paused. */
  checkPeer(): void;
  /** Closes at once and discards unsent data. */
  destroy(): void;
}

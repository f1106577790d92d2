/** The user of a socket. Calls never overlap; `onClosed` is the last one and comes exactly once. */
export interface SocketHandler {
  /** Whether many bytes are expected one after the other: reads may get a block of their own. */
  readonly isStreaming: boolean;
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
  /** A call of this handler threw: an internal error. It ends this socket, not everybody's; `onClosed` follows. */
  onInternalError(error: Error): void;
  /** The socket is gone; `error` says why where it was not closed in order. */
  onClosed(error: NodeJS.ErrnoException | null): void;
}

/** One end of a tunnel: bytes in as views, bytes out joined into as few writes as possible. */
export interface ByteStream {
  /** Bytes queued for writing since the beginning. */
  readonly bytesQueued: number;
  /** Another handler takes over: it gets every further call. */
  handTo(handler: SocketHandler): void;
  /** Has the system look after a peer that is silent, so that one that vanished is noticed. @param afterMs from 1000. */
  keepAlive(afterMs: number): void;
  /** Queues latin1 text for `flush`. */
  append(text: string): void;
  /** Queues `bytes[start, end)` for `flush`; a copy, as far as they may change before they have left. */
  appendBytes(bytes: Buffer, start: number, end: number): void;
  /** Writes what is queued, in one system call. @returns false if the peer is slow: wait for `onDrain`. */
  flush(): boolean;
  /** `appendBytes` and `flush` in one: cheaper if nothing is queued. */
  write(bytes: Buffer, start: number, end: number): boolean;
  pause(): void;
  resume(): void;
  /** Says that nothing more will be written, after what was. Reading goes on. */
  end(): void;
  /** Closes with a reset, so that the peer cannot take what it got for the whole. */
  reset(): void;
}

/** A connection. Nothing is written before `onConnected`. */
export interface ByteSocket extends ByteStream {
  /** Whether a TLS session was resumed; set when the handshake is done. */
  readonly isResumed: boolean;
  /** The protocol that both ends agreed on (RFC 7301), set when the handshake is done; empty without one. */
  readonly alpnProtocol: string;
  /** Whether the peer keeps up with what is written. */
  readonly isFlowing: boolean;
  readonly isClosed: boolean;
  /** Closes at once; what is unsent is lost. */
  destroy(): void;
}

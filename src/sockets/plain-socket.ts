import type { ByteSocket, SocketHandler } from './byte-socket.ts';
import { StreamSocket } from './stream-socket.ts';
import { streams, type TcpHandle } from './tcp-handle.ts';
import { TcpSocket } from './tcp-socket.ts';

/** How to create plain connections. */
interface PlainSockets {
  /** Wraps an accepted connection. Reading starts with `resume`. */
  accepted(handle: TcpHandle, owner: SocketHandler, writeBufferBytesMax: number): ByteSocket;
  /** Connects to an IP address, or to a Unix socket by its absolute path; `onConnected` or `onClosed` follows. Reading then starts automatically. */
  connecting(address: string, port: number, owner: SocketHandler, writeBufferBytesMax: number): ByteSocket;
}

export const PlainSocket: PlainSockets = streams === null ? StreamSocket : TcpSocket;

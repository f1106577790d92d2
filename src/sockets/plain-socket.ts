import type { ByteSocket, SocketHandler } from './byte-socket.ts';
import { StreamSocket } from './stream-socket.ts';
import { streams, type TcpHandle } from './tcp-handle.ts';
import { TcpSocket } from './tcp-socket.ts';

/** How plain connections are made. */
interface PlainSockets {
  /** Of a connection that was accepted; reading starts with `resume`. */
  accepted(handle: TcpHandle, owner: SocketHandler, writeBufferBytesMax: number): ByteSocket;
  /** Connects; `onConnected` or `onClosed` follows. Reading starts by itself. */
  connecting(hostname: string, port: number, owner: SocketHandler, writeBufferBytesMax: number): ByteSocket;
}

export const PlainSocket: PlainSockets = streams === null ? StreamSocket : TcpSocket;

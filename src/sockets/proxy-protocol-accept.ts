import type { Socket } from 'node:net';
import { NEED_MORE_PROXY, parseProxyHeader } from './proxy-protocol.ts';

/**
 * Reads the PROXY protocol header before a TLS handshake, and pushes the bytes behind it back into the socket.
 * @param onRead called once: with the address in the header, empty if it has none; or with null if no header arrives
 * within `forMs`, in which case the connection is closed.
 */
export function readProxyHeader(socket: Socket, forMs: number, onRead: (address: string | null) => void): void {
  let received = Buffer.alloc(0);
  const finish = (address: string | null): void => {
    clearTimeout(timer);
    socket.off('readable', read);
    socket.off('close', giveUp);
    socket.off('error', ignore);
    if (address === null) socket.destroy();
    onRead(address);
  };
  const giveUp = (): void => finish(null);
  const read = (): void => {
    for (let bytes = socket.read() as Buffer | null; bytes !== null; bytes = socket.read() as Buffer | null) {
      received = Buffer.concat([received, bytes]);
    }
    const header = parseProxyHeader(received);
    if (header === NEED_MORE_PROXY) return;
    if (header !== null && received.length > header.length) socket.unshift(received.subarray(header.length));
    finish(header === null ? null : header.address);
  };
  const timer = setTimeout(giveUp, forMs);
  socket.on('error', ignore);
  socket.once('close', giveUp);
  socket.on('readable', read);
}

/** `close` follows. */
function ignore(): void {}

import { connect, type Socket } from 'node:net';

/** Opens a WebSocket through the proxy at this port of 127.0.0.1. @throws where the handshake is refused. */
export function openTunnel(port: number, host: string): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  socket.once('error', reject);
  socket.once('close', () => reject(new Error('the connection was closed in the handshake')));
  socket.once('connect', () => {
    socket.write(
      `GET /tunnel HTTP/1.1\r\nHost: ${host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
    );
  });
  socket.once('data', (bytes: Buffer) => {
    const head = bytes.toString('latin1');
    if (head.startsWith('HTTP/1.1 101 ')) resolve(socket);
    else reject(new Error(`the handshake was answered: ${head.slice(0, 100)}`));
  });
  return promise;
}

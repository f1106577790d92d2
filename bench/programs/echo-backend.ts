// A WebSocket server that sends every frame back, as little work as one can have with it: frames of up to 125 bytes,
// masked with zeros, one in a read.
//   node echo-backend.ts PORT
import { createServer, type Socket } from 'node:net';
import { acceptOf } from '../../src/http1/websocket.ts';

/** Of a client's frame, before the payload: two bytes and the mask. */
const headerBytes = 6;

const port = Number(process.argv[2]);
createServer({ noDelay: true }, (socket) => {
  let head = '';
  const onHandshake = (bytes: Buffer): void => {
    head += bytes.toString('latin1');
    if (!head.includes('\r\n\r\n')) return;
    const key = /^sec-websocket-key: *(\S+)/im.exec(head)?.[1] ?? '';
    head = '';
    socket.off('data', onHandshake);
    socket.on('data', (frames: Buffer) => echo(socket, frames));
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        `Sec-WebSocket-Accept: ${acceptOf(key)}\r\n\r\n`,
    );
  };
  socket.on('data', onHandshake);
  socket.on('error', () => socket.destroy());
}).listen(port, '127.0.0.1', 8192);

function echo(socket: Socket, frames: Buffer): void {
  const opcode = (frames[0] as number) & 0x0f;
  if (opcode === 8) {
    socket.end(Buffer.from([0x88, 0]));
    return;
  }
  // The payload stays where it is; the shorter header is put right before it.
  const length = (frames[1] as number) & 0x7f;
  frames[headerBytes - 1] = length;
  frames[headerBytes - 2] = 0x80 | opcode;
  socket.write(frames.subarray(headerBytes - 2, headerBytes + length));
}

// A WebSocket server that sends every frame back, as little work as one can have with it: frames of up to 65,535 bytes,
// masked with zeros.
//   node echo-backend.ts PORT
import { createServer, type Socket } from 'node:net';
import { acceptOf } from '../../src/websocket/handshake.ts';

const maskBytes = 4;
/** Of a client's frame before the payload: two bytes and the mask, and two more for a length above 125. */
const headerBytes = 6;
const longHeaderBytes = 8;

const port = Number(process.argv[2]);
createServer({ noDelay: true }, (socket) => {
  let head = '';
  /** The start of a frame whose end has not come yet. */
  let rest: Buffer | null = null;
  const onHandshake = (bytes: Buffer): void => {
    head += bytes.toString('latin1');
    if (!head.includes('\r\n\r\n')) return;
    const key = /^sec-websocket-key: *(\S+)/im.exec(head)?.[1] ?? '';
    head = '';
    socket.off('data', onHandshake);
    socket.on('data', onFrames);
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        `Sec-WebSocket-Accept: ${acceptOf(key)}\r\n\r\n`,
    );
  };
  const onFrames = (bytes: Buffer): void => {
    const frames = rest === null ? bytes : Buffer.concat([rest, bytes]);
    const end = echo(socket, frames);
    // A copy: what was read may be much longer.
    rest = end < frames.length ? Buffer.from(frames.subarray(end)) : null;
  };
  socket.on('data', onHandshake);
  socket.on('error', () => socket.destroy());
}).listen(port, '127.0.0.1', 8192);

/**
 * Sends the whole frames back. The payload stays where it is; the shorter header is put right before it.
 * @returns how many bytes they are.
 */
function echo(socket: Socket, frames: Buffer): number {
  const first = frameBytes(frames, 0);
  if (first !== frames.length) socket.cork();
  let at = 0;
  for (let bytes = first; bytes > 0 && at + bytes <= frames.length; bytes = frameBytes(frames, at)) {
    if (((frames[at] as number) & 0x0f) === 8) {
      socket.end(Buffer.from([0x88, 0]));
      return frames.length;
    }
    const header = lengthAt(frames, at) === 126 ? longHeaderBytes : headerBytes;
    frames.copyWithin(at + maskBytes, at, at + header - maskBytes);
    frames[at + maskBytes + 1] = lengthAt(frames, at);
    socket.write(frames.subarray(at + maskBytes, at + bytes));
    at += bytes;
  }
  if (first !== frames.length) socket.uncork();
  return at;
}

/** The length of the frame that begins here, 0 where that cannot be said yet. */
function frameBytes(frames: Buffer, at: number): number {
  if (frames.length < at + longHeaderBytes) {
    return frames.length < at + headerBytes || frames[at + 1] === 0xfe ? 0 : headerBytes + lengthAt(frames, at);
  }
  const length = lengthAt(frames, at);
  if (length === 127) throw new Error('a frame is longer than 65,535 bytes');
  return length === 126 ? longHeaderBytes + frames.readUInt16BE(at + 2) : headerBytes + length;
}

function lengthAt(frames: Buffer, at: number): number {
  return (frames[at + 1] as number) & 0x7f;
}

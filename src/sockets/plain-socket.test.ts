import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { until } from '../../test/helpers/until.ts';
import { createAcceptor } from './accept.ts';
import type { ByteSocket, SocketHandler } from './byte-socket.ts';
import { PlainSocket } from './plain-socket.ts';
import { StreamSocket } from './stream-socket.ts';
import { TcpSocket } from './tcp-socket.ts';

const writeBufferBytesMax = 64 * 1024;

/** Records every call. */
class Recorder implements SocketHandler {
  isStreaming = false;
  readonly events: string[] = [];
  text = '';
  closed: NodeJS.ErrnoException | null | undefined;
  onBytes(bytes: Buffer, length: number): void {
    this.text += bytes.toString('latin1', 0, length);
  }
  onEnd(): void {
    this.events.push('end');
  }
  onDrain(): void {
    this.events.push('drain');
  }
  onConnected(): void {
    this.events.push('connected');
  }
  onFinished(): void {
    this.events.push('finished');
  }
  onInternalError(error: Error): void {
    this.events.push(`internal error: ${error.message}`);
  }
  onClosed(error: NodeJS.ErrnoException | null): void {
    this.events.push(`closed: ${error?.code ?? null}`);
    this.closed = error;
  }
}

/** Writes to a peer that does not read, until a flush returns false. @returns the number of bytes. */
function writeUntilSlow(socket: ByteSocket): number {
  const bytes = Buffer.alloc(65_536, 'x');
  let written = 0;
  do {
    socket.appendBytes(bytes, 0, bytes.length);
    written += bytes.length;
  } while (socket.flush());
  return written;
}

const cleanUp: (() => void)[] = [];
afterEach(() => {
  for (const undo of cleanUp.splice(0)) undo();
});

it('is the direct implementation on the Node version pinned by this project', () => {
  assert.equal(PlainSocket, TcpSocket);
});

it('reports a failure to accept, and continues to listen', async () => {
  let accepted = 0;
  const errors: NodeJS.ErrnoException[] = [];
  const server = createAcceptor((handle) => {
    accepted++;
    handle.close();
  });
  server.on('error', (error) => errors.push(error)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanUp.push(() => server.close());
  // As libuv calls it if no descriptor is left.
  const { _handle: listening } = server as unknown as { _handle: { onconnection: (status: number) => void } };
  listening.onconnection(-24);
  assert.deepEqual(
    errors.map(({ code, syscall }) => [code, syscall]),
    [['EMFILE', 'accept']],
  );
  const client = connect((server.address() as AddressInfo).port);
  cleanUp.push(() => client.destroy());
  await until('the next connection', () => accepted === 1);
});

for (const kind of [TcpSocket, StreamSocket]) {
  describe(`a plain connection as ${kind.name}`, () => {
    /** An accepted connection and its client. */
    async function accepted(): Promise<{ socket: ByteSocket; handler: Recorder; client: Socket }> {
      const handler = new Recorder();
      let socket: ByteSocket | undefined;
      const server = createAcceptor((handle) => {
        socket = kind.accepted(handle, handler, writeBufferBytesMax);
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const client = connect({ port: (server.address() as AddressInfo).port, allowHalfOpen: true });
      client.on('error', () => {});
      cleanUp.push(
        () => server.close(),
        () => client.destroy(),
        () => socket?.destroy(),
      );
      await until('the connection is accepted', () => socket !== undefined);
      return { socket: socket as ByteSocket, handler, client };
    }

    /** An outgoing connection and its server's end. */
    async function connected(host = '127.0.0.1'): Promise<{ socket: ByteSocket; handler: Recorder; peer: Socket }> {
      const handler = new Recorder();
      const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }).listen(0, '127.0.0.1');
      await once(server, 'listening');
      const socket = kind.connecting(host, (server.address() as AddressInfo).port, handler, writeBufferBytesMax);
      const [peer] = (await once(server, 'connection')) as [Socket];
      peer.on('error', () => {});
      cleanUp.push(
        () => server.close(),
        () => peer.destroy(),
        () => socket.destroy(),
      );
      await until('it is connected', () => handler.events.includes('connected'));
      return { socket, handler, peer };
    }

    it('reads only once resumed, and not while paused', async () => {
      const { socket, handler, client } = await accepted();
      await new Promise((resolve) => client.write('one', resolve));
      assert.equal(handler.text, '');
      socket.resume();
      await until('the first text', () => handler.text === 'one');
      socket.pause();
      client.write('two');
      socket.append('sent meanwhile');
      socket.flush();
      await once(client, 'data');
      assert.equal(handler.text, 'one');
      socket.resume();
      await until('the second text', () => handler.text === 'onetwo');
    });

    it('writes in the order in which it was queued, text and bytes of any length', async () => {
      const { socket, client } = await accepted();
      const bytes = Buffer.alloc(200_000, 'abcdefghij');
      let expected = '';
      let received = '';
      client.setEncoding('latin1').on('data', (text: string) => {
        received += text;
      });
      for (const length of [3, 20_000, 65_536, 100_000, 16_384, 40_000]) {
        socket.append(`<${length}>`);
        socket.appendBytes(bytes, 5, 5 + length);
        expected += `<${length}>${bytes.toString('latin1', 5, 5 + length)}`;
      }
      // The queue holds a copy.
      bytes.fill('!');
      socket.append('\xff');
      expected += '\xff';
      assert.equal(socket.bytesQueued, expected.length);
      socket.flush();
      await until('all of it', () => received.length >= expected.length);
      assert.equal(received, expected);
    });

    it('writes bytes immediately, after what is queued', async () => {
      const { socket, client } = await accepted();
      const bytes = Buffer.alloc(40_000, 'abc');
      let received = '';
      client.setEncoding('latin1').on('data', (text: string) => {
        received += text;
      });
      socket.append('<');
      socket.write(bytes, 0, 2);
      socket.write(bytes, 2, 4);
      socket.write(bytes, 0, bytes.length);
      const expected = `<abca${bytes.toString('latin1')}`;
      await until('all of it', () => received.length >= expected.length);
      assert.equal(received, expected);
      assert.equal(socket.bytesQueued, expected.length);
    });

    it('tells the writer to wait for a slow reader, and when to continue', async () => {
      const { socket, handler, client } = await accepted();
      const written = writeUntilSlow(socket);
      assert.equal(socket.isFlowing, false);
      assert.deepEqual(handler.events, []);
      let received = 0;
      client.on('data', (data) => {
        received += data.length;
      });
      await until('the reader has caught up', () => handler.events.includes('drain'));
      assert.equal(socket.isFlowing, true);
      await until('all of it', () => received === written);
    });

    it('closes in an orderly way once both sides have ended, and no earlier', async () => {
      const { socket, handler, client } = await accepted();
      socket.resume();
      client.end('question');
      await until('the end', () => handler.events.includes('end'));
      assert.equal(handler.text, 'question');
      assert.equal(socket.isClosed, false);
      socket.append('response');
      socket.flush();
      socket.end();
      let received = '';
      client.setEncoding('latin1').on('data', (text: string) => {
        received += text;
      });
      await until('closed', () => handler.closed !== undefined);
      assert.deepEqual(handler.events, ['end', 'finished', 'closed: null']);
      await until('the response', () => received === 'response');
      assert.equal(socket.isClosed, true);
    });

    it('half-closes and continues to read', async () => {
      const { socket, handler, client } = await accepted();
      socket.resume();
      socket.end();
      client.resume();
      await once(client, 'end');
      await until('its half to end', () => handler.events.includes('finished'));
      client.end('the last bytes');
      await until('closed', () => handler.closed !== undefined);
      assert.equal(handler.text, 'the last bytes');
      assert.deepEqual(handler.events, ['finished', 'end', 'closed: null']);
    });

    it('resets', async () => {
      const { socket, handler, client } = await accepted();
      let code = '';
      client.on('error', (error: NodeJS.ErrnoException) => {
        code = error.code ?? '';
      });
      client.resume();
      socket.reset();
      await until('the client sees it', () => code !== '');
      assert.equal(code, 'ECONNRESET');
      await until('closed', () => handler.closed !== undefined);
      assert.deepEqual(handler.events, ['closed: null']);
    });

    it('resets and closes, even if its end is queued behind bytes that the peer does not read', async () => {
      const { socket, handler, client } = await accepted();
      const bytes = Buffer.alloc(65_536, 'x');
      // More than the kernel buffers.
      for (let i = 0; i < 256; i++) {
        socket.appendBytes(bytes, 0, bytes.length);
        socket.flush();
      }
      socket.end();
      socket.reset();
      await until('closed', () => handler.closed !== undefined);
      assert.deepEqual(handler.events, ['closed: null']);
      let code = '';
      client.on('error', (error: NodeJS.ErrnoException) => {
        code = error.code ?? '';
      });
      client.resume();
      await until('the client sees it', () => code === 'ECONNRESET');
    });

    it('is closed by a reset while its end is on its way', async () => {
      const { socket, handler } = await accepted();
      socket.end();
      socket.reset();
      await until('closed', () => handler.closed !== undefined);
      assert.deepEqual(handler.events, ['closed: null']);
    });

    it('ends after bytes that the peer reads late', async () => {
      const { socket, handler, client } = await accepted();
      const written = writeUntilSlow(socket);
      socket.end();
      let received = 0;
      client.on('data', (data) => {
        received += data.length;
      });
      await once(client, 'end');
      assert.equal(received, written);
      await until('its half to end', () => handler.events.includes('finished'));
    });

    it('can be resumed after the peer has ended', async () => {
      const { socket, handler, client } = await accepted();
      socket.resume();
      client.end('x');
      await until('the end', () => handler.events.includes('end'));
      socket.pause();
      socket.resume();
      socket.end();
      client.resume();
      await until('closed', () => handler.closed !== undefined);
      assert.deepEqual(handler.events, ['end', 'finished', 'closed: null']);
    });

    it('reports a reset by the peer', async () => {
      const { socket, handler, client } = await accepted();
      socket.resume();
      client.resetAndDestroy();
      await until('closed', () => handler.closed !== undefined);
      assert.deepEqual(handler.events, ['closed: ECONNRESET']);
    });

    it('closes if its handler throws', async () => {
      const { socket, handler, client } = await accepted();
      handler.onBytes = () => {
        throw new Error('of a test');
      };
      socket.resume();
      client.write('x');
      await until('closed', () => handler.closed !== undefined);
      assert.deepEqual(handler.events, ['internal error: of a test', 'closed: null']);
    });

    it('passes events to its next handler', async () => {
      const { socket, handler, client } = await accepted();
      const next = new Recorder();
      socket.handTo(next);
      socket.resume();
      client.end('x');
      await until('the end', () => next.events.includes('end'));
      assert.equal(next.text, 'x');
      assert.deepEqual([handler.text, handler.events], ['', []]);
    });

    it('connects, and starts to read', async () => {
      const { socket, handler, peer } = await connected();
      socket.append('to the peer');
      socket.flush();
      peer.write('from the peer');
      peer.resume();
      const [text] = (await once(peer.setEncoding('latin1'), 'data')) as [string];
      assert.equal(text, 'to the peer');
      await until("the peer's text", () => handler.text === 'from the peer');
      socket.keepAlive(60_000);
      socket.destroy();
      await until('closed', () => handler.closed !== undefined);
      assert.deepEqual(handler.events, ['connected', 'closed: null']);
    });

    it('reports why it could not connect', async () => {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      server.close();
      await once(server, 'close');
      const handler = new Recorder();
      const socket = kind.connecting('127.0.0.1', port, handler, writeBufferBytesMax);
      assert.equal(socket.isClosed, false);
      await until('closed', () => handler.closed !== undefined);
      assert.deepEqual(handler.events, ['closed: ECONNREFUSED']);
      assert.equal(socket.isClosed, true);
    });

    it('can be destroyed while it connects', async () => {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      cleanUp.push(() => server.close());
      const handler = new Recorder();
      const socket = kind.connecting('127.0.0.1', (server.address() as AddressInfo).port, handler, writeBufferBytesMax);
      socket.destroy();
      assert.equal(socket.isClosed, true);
      await until('closed', () => handler.closed !== undefined);
      assert.deepEqual(handler.events, ['closed: null']);
    });

    it('still reads from a backend that has stopped reading', async () => {
      const { socket, handler, peer } = await connected();
      const bytes = Buffer.alloc(65_536);
      socket.pause();
      socket.appendBytes(bytes, 0, bytes.length);
      socket.flush();
      await new Promise((resolve) => peer.write('no more, please', resolve));
      // Unread bytes turn its end into a reset.
      peer.destroy();
      await once(peer, 'close');
      socket.appendBytes(bytes, 0, bytes.length);
      socket.flush();
      assert.equal(socket.isClosed, false);
      socket.resume();
      await until('closed', () => handler.closed !== undefined);
      assert.equal(handler.text, 'no more, please');
      assert.match(handler.closed?.code ?? '', /^(ECONNRESET|EPIPE)$/);
    });
  });
}

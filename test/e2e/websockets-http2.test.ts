import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { WebSocket } from 'ws';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { until } from '../helpers/until.ts';

/** A text frame of a client, with a mask of zeros, and the same of a server. */
const sent = Buffer.from('\x81\x85\0\0\0\0hello', 'latin1');
const received = Buffer.from('\x81\x05hello', 'latin1');
/** A Close with 1000, of either side. */
const closed = Buffer.from('\x88\x82\0\0\0\0\x03\xe8', 'latin1');

/**
 * Sends back what comes in the frames of a WebSocket, without their masks: for messages of one frame, which may come in parts.
 */
function echo(stream: ServerHttp2Stream): void {
  let waiting = Buffer.alloc(0);
  stream.on('error', () => {});
  stream.on('data', (bytes: Buffer) => {
    waiting = Buffer.concat([waiting, bytes]);
    for (;;) {
      const short = (waiting[1] ?? 0) & 127;
      const [lengthAt, lengthBytes] = [2, short === 127 ? 8 : short === 126 ? 2 : 0];
      const maskAt = lengthAt + lengthBytes;
      if (waiting.length < maskAt + 4) return;
      const length =
        lengthBytes === 0 ? short : waiting.readUIntBE(maskAt - Math.min(6, lengthBytes), Math.min(6, lengthBytes));
      const end = maskAt + 4 + length;
      if (waiting.length < end) return;
      const mask = waiting.subarray(maskAt, maskAt + 4);
      const content = Buffer.from(waiting.subarray(maskAt + 4, end)).map((byte, i) => byte ^ (mask[i % 4] ?? 0));
      const head = Buffer.from(waiting.subarray(0, maskAt));
      head[1] = short;
      stream.write(Buffer.concat([head, content]));
      // A Close is answered by one, and the end.
      if (((head[0] ?? 0) & 15) === 8) stream.end();
      waiting = waiting.subarray(end);
    }
  });
  stream.on('end', () => stream.end());
}

describe('WebSockets to backends that speak HTTP/2 (RFC 8441)', () => {
  const home = new HipacheHome();
  const sessions = new Set<ServerHttp2Session>();
  const handshakes: Record<string, unknown>[] = [];
  /** WebSockets at the backend. */
  let open = 0;
  let backend: Http2Server;
  let other: Http2Server;
  let proxy: HipacheProcess;

  before(async () => {
    backend = createServer({ settings: { enableConnectProtocol: true } });
    other = createServer();
    for (const each of [backend, other]) {
      each.on('session', (session) => {
        sessions.add(session);
        session.on('error', () => {});
        session.once('close', () => sessions.delete(session));
      });
      each.on('stream', (stream: ServerHttp2Stream, headers) => {
        if (headers[':protocol'] !== 'websocket') {
          stream.respond({ ':status': 200 });
          stream.end(`${headers[':method']} ${headers[':path']}`);
          return;
        }
        handshakes.push(headers);
        if (headers[':path'] === '/closed') {
          stream.respond({ ':status': 403 });
          stream.end('closed');
          return;
        }
        stream.respond({ ':status': 200, 'sec-websocket-protocol': 'chat' });
        open++;
        stream.once('close', () => open--);
        echo(stream);
      });
      await once(each.listen(0, '127.0.0.1'), 'listening');
    }
    home.configure({ http: { bind: [{ address: '127.0.0.1', port: 0, h2c: true }] } }, { workers: 1, tcpTimeout: 1 });
    await home.route('set', '*', `h2c://127.0.0.1:${(backend.address() as AddressInfo).port}`);
    await home.route('set', 'other.example', `h2c://127.0.0.1:${(other.address() as AddressInfo).port}`);
    proxy = await home.serve();
  });

  after(async () => {
    await home.remove();
    for (const session of sessions) session.destroy();
    backend.close();
    other.close();
  });

  function dial(path: string, host = 'a.example'): WebSocket {
    return new WebSocket(`ws://127.0.0.1:${proxy.port}${path}`, ['chat'], { headers: { host } });
  }

  test('of a client of HTTP/1.1', async () => {
    const socket = dial('/chat?x=1');
    const messages: Buffer[] = [];
    socket.on('message', (message: Buffer) => messages.push(message));
    await once(socket, 'open');
    assert.equal(socket.protocol, 'chat');
    const { ':method': method, ':path': path, ':authority': authority, ...fields } = handshakes.at(-1) ?? {};
    assert.deepEqual([method, path, authority], ['CONNECT', '/chat?x=1', 'a.example']);
    assert.equal(fields['sec-websocket-version'], '13');
    assert.equal(fields['sec-websocket-key'], undefined);
    assert.equal(fields['upgrade'], undefined);
    const long = 'long '.repeat(100_000);
    for (const text of ['hello', '', long]) socket.send(text);
    await until('all messages', () => messages.length === 3);
    assert.deepEqual(messages.map(String), ['hello', '', long]);
    const end = once(socket, 'close');
    socket.close(4000, 'done');
    assert.equal((await end)[0], 4000);
    await until('its line', () => home.read('access.log').includes('"GET /chat?x=1 HTTP/1.1" 101 '));
  });

  test('of a client of HTTP/2', async () => {
    const session = connect(`http://127.0.0.1:${proxy.port}`);
    await once(session, 'remoteSettings');
    assert.equal(session.remoteSettings.enableConnectProtocol, true);
    const stream = session.request({
      ...{
        ':method': 'CONNECT',
        ':protocol': 'websocket',
        ':scheme': 'http',
        ':path': '/both',
        ':authority': 'a.example',
      },
      ...{ 'sec-websocket-version': '13', 'sec-websocket-protocol': 'chat' },
    });
    let bytes = Buffer.alloc(0);
    stream.on('data', (more: Buffer) => {
      bytes = Buffer.concat([bytes, more]);
    });
    const [fields] = (await once(stream, 'response')) as [Record<string, unknown>];
    assert.deepEqual([fields[':status'], fields['sec-websocket-protocol']], [200, 'chat']);
    stream.write(sent);
    await until('the reply', () => bytes.length >= received.length);
    assert.deepEqual(bytes, received);
    const end = once(stream, 'close');
    stream.end(closed);
    await end;
    assert.equal(stream.rstCode, 0);
    assert.deepEqual(bytes, Buffer.concat([received, Buffer.from('\x88\x02\x03\xe8', 'latin1')]));
    session.close();
  });

  test('many at once, and requests beside them, share one connection', async () => {
    const sockets = Array.from({ length: 40 }, () => dial('/many'));
    await Promise.all(sockets.map((socket) => once(socket, 'open')));
    const echoed = sockets.map(async (socket, i) => {
      const message = once(socket, 'message');
      socket.send(`${i}`);
      assert.equal(String((await message)[0]), `${i}`);
    });
    const asked = Array.from({ length: 40 }, async (_, i) => {
      const response = await fetch(`http://127.0.0.1:${proxy.port}/${i}`);
      assert.equal(await response.text(), `GET /${i}`);
    });
    await Promise.all([...echoed, ...asked]);
    assert.equal([...sessions].length, 1);
    const ends = sockets.map((socket) => once(socket, 'close'));
    for (const socket of sockets) socket.close();
    await Promise.all(ends);
  });

  test('a refusal of the application reaches the client, and a server without RFC 8441 makes a 502', async () => {
    for (const [path, host, status] of [
      ['/closed', 'a.example', 403],
      ['/chat', 'other.example', 502],
    ] as const) {
      const socket = dial(path, host);
      socket.on('error', () => {});
      const [, response] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode: number }];
      assert.equal(response.statusCode, status);
      socket.terminate();
    }
    const response = await fetch(`http://127.0.0.1:${proxy.port}/still`);
    assert.equal(await response.text(), 'GET /still');
  });

  test('a client that is gone is noticed, and the end of the server closes both', async () => {
    const gone = dial('/gone');
    await once(gone, 'open');
    await until('the others to end', () => open === 1);
    gone.terminate();
    await until('the backend to notice', () => open === 0);
    const socket = dial('/lost');
    await once(socket, 'open');
    const end = once(socket, 'close');
    for (const session of sessions) session.destroy();
    assert.notEqual((await end)[0], 1000);
    const again = dial('/again');
    await once(again, 'open');
    const message = once(again, 'message');
    again.send('hello');
    assert.equal(String((await message)[0]), 'hello');
    const closes = once(again, 'close');
    proxy.signal('SIGTERM');
    assert.equal((await closes)[0], 1001);
    assert.equal(await proxy.ended(), 0);
  });
});

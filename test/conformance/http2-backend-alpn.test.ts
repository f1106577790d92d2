import assert from 'node:assert/strict';
import { constants, createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it, type TestContext } from 'node:test';
import { createServer, type TLSSocket } from 'node:tls';
import { backendTls } from '../../src/tls/backend-tls.ts';
import { acceptOf } from '../../src/websocket/handshake.ts';
import { Authority } from '../helpers/authority.ts';
import { get, Rig, type RigOptions, response } from '../helpers/rig.ts';

const key = 'dGhlIHNhbXBsZSBub25jZQ==';
const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', `Sec-WebSocket-Key: ${key}`];

let authority: Authority;

before(() => {
  authority = new Authority();
});

after(() => authority.dispose());

/** A backend that speaks both versions, and counts its connections by protocol. */
async function both(t: TestContext): Promise<{ port: number; connections: string[] }> {
  const { certificate, key: secret } = authority.issue(['127.0.0.1']);
  const connections: string[] = [];
  const sockets = new Set<TLSSocket>();
  const respond = (request: Http2ServerRequest, sent: Http2ServerResponse): void => {
    if (request.url === '/old' && request.httpVersion === '2.0') {
      request.stream.close(constants.NGHTTP2_HTTP_1_1_REQUIRED);
      return;
    }
    sent.end(`version ${request.httpVersion}`);
  };
  const server = createSecureServer({ cert: certificate, key: secret, allowHTTP1: true }, respond);
  server.on('secureConnection', (socket: TLSSocket) => {
    sockets.add(socket);
    connections.push(String(socket.alpnProtocol));
  });
  server.on('upgrade', (_request, socket) => {
    const head = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade'];
    socket.write(`${[...head, `Sec-WebSocket-Accept: ${acceptOf(key)}`].join('\r\n')}\r\n\r\n`);
    socket.on('data', (bytes: Buffer) => socket.write(bytes));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { port: (server.address() as AddressInfo).port, connections };
}

function start(t: TestContext, alpn: readonly string[], options: RigOptions = {}): Promise<Rig> {
  return Rig.start(t, { ...options, backendTls: backendTls([authority.certificateFile], true, alpn) });
}

describe('a backend with TLS', () => {
  it('speaks HTTP/1.1 by default, HTTP/2 if that is offered, and h2:// always', async (t) => {
    for (const [alpn, scheme, version] of [
      [['http/1.1'], 'https', '1.1'],
      [['h2', 'http/1.1'], 'https', '2.0'],
      [['http/1.1'], 'h2', '2.0'],
    ] as const) {
      const rig = await start(t, alpn);
      const { port } = await both(t);
      rig.proxy.route('a.test', [`${scheme}://127.0.0.1:${port}`]);
      assert.match(await rig.ask(get('/')), new RegExp(`version ${version}`), `${scheme} ${alpn}`);
    }
  });

  it('gets many first requests over one connection if it chooses HTTP/2', async (t) => {
    const rig = await start(t, ['h2', 'http/1.1']);
    const { connections, port } = await both(t);
    rig.proxy.route('a.test', [`https://127.0.0.1:${port}`]);
    const clients = await Promise.all(Array.from({ length: 20 }, () => rig.send(get('/'))));
    for (const client of clients) await client.expect(/version 2\.0/);
    assert.deepEqual(connections, ['h2']);
  });

  it('gets each a connection if it chooses HTTP/1.1, and is not asked for HTTP/2 again first', async (t) => {
    const rig = await start(t, ['h2', 'http/1.1']);
    const { certificate, key: secret } = authority.issue(['127.0.0.1']);
    const sockets = new Set<TLSSocket>();
    const waiting: TLSSocket[] = [];
    const server = createServer({ cert: certificate, key: secret, ALPNProtocols: ['http/1.1'] }, (socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('data', () => {
        waiting.push(socket);
        // All at once: each has a connection of its own.
        if (waiting.length === 5) for (const one of waiting.splice(0)) one.write(response('ok'));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    rig.proxy.route('a.test', [`https://127.0.0.1:${(server.address() as AddressInfo).port}`]);
    const clients = await Promise.all(Array.from({ length: 5 }, () => rig.send(get('/'))));
    for (const client of clients) await client.expect(/ok$/);
    assert.equal(sockets.size, 5);
  });

  it('gets WebSockets over HTTP/1.1 if they are not taken over HTTP/2', async (t) => {
    const rig = await start(t, ['h2', 'http/1.1']);
    const { connections, port } = await both(t);
    rig.proxy.route('a.test', [`https://127.0.0.1:${port}`]);
    assert.match(await rig.ask(get('/')), /version 2\.0/);
    const client = await rig.send(get('/', ...upgrade));
    await client.expect(/^HTTP\/1\.1 101 /);
    client.send('\x81\x82\0\0\0\0hi');
    await client.expect(/hi$/);
    client.close();
    assert.deepEqual(connections, ['h2', 'http/1.1']);
    assert.match(await rig.ask(get('/')), /version 2\.0/);
  });

  it('gets a request over HTTP/1.1 if it requires that, and all from then on', async (t) => {
    const rig = await start(t, ['h2', 'http/1.1']);
    const { connections, port } = await both(t);
    rig.proxy.route('a.test', [`https://127.0.0.1:${port}`]);
    assert.match(await rig.ask(get('/')), /version 2\.0/);
    for (const path of ['/old', '/']) assert.match(await rig.ask(get(path)), /version 1\.1/);
    assert.deepEqual(connections, ['h2', 'http/1.1']);
    assert.deepEqual(rig.proxy.marks, []);
  });

  it('fails if it has to speak HTTP/2 and does not', async (t) => {
    const rig = await start(t, ['http/1.1'], { settings: { retriesMax: 0 } });
    const { certificate, key: secret } = authority.issue(['127.0.0.1']);
    const sockets = new Set<TLSSocket>();
    const server = createServer({ cert: certificate, key: secret }, (socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    rig.proxy.route('a.test', [`h2://127.0.0.1:${(server.address() as AddressInfo).port}`]);
    assert.match(await rig.ask(get('/')), /^HTTP\/1\.1 502 .*BACKEND_TLS/s);
    assert.match(rig.proxy.ended[0]?.errorDetail ?? '', /did not choose HTTP\/2 \(h2\) by ALPN/);
  });
});

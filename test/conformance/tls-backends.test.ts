import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { createServer, type TLSSocket } from 'node:tls';
import { backendTls } from '../../src/tls/backend-tls.ts';
import { Authority, type Issued } from '../helpers/authority.ts';
import { Rig, response } from '../helpers/rig.ts';
import { until } from '../helpers/until.ts';

let authority: Authority;

before(() => {
  authority = new Authority();
});

after(() => authority.dispose());

describe('TLS backends', () => {
  async function backend(t: TestContext, issued: Issued, seen: string[] = []): Promise<number> {
    const server = createServer({ key: issued.key, cert: issued.certificate }, (socket) => {
      seen.push(String((socket as TLSSocket & { servername: string | false }).servername));
      socket.on('error', () => {});
      socket.on('data', () => socket.write(response(socket.isSessionReused() ? 'resumed' : 'whole')));
    });
    server.on('tlsClientError', () => {});
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const sockets = new Set<TLSSocket>();
    server.on('secureConnection', (socket) => sockets.add(socket));
    t.after(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    return (server.address() as { port: number }).port;
  }

  test('are verified by name or address, and asked for by the given name', async (t) => {
    const rig = await Rig.start(t, { backendTls: backendTls([authority.certificateFile], true) });
    const seen: string[] = [];
    const port = await backend(t, authority.issue(['127.0.0.1', 'localhost', 'inner.test']), seen);
    for (const [host, url] of [
      ['ip.test', `https://127.0.0.1:${port}`],
      ['name.test', `https://localhost:${port}`],
      ['given.test', `https://127.0.0.1:${port}#servername=inner.test`],
    ] as const) {
      rig.proxy.route(host, [url]);
      const client = await rig.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      await client.expect(/^HTTP\/1\.1 200 /);
    }
    assert.deepEqual(seen, ['false', 'localhost', 'inner.test']);
  });

  test('resume sessions', async (t) => {
    const rig = await Rig.start(t, {
      backendTls: backendTls([authority.certificateFile], true),
      settings: { backendKeepAlive: false },
    });
    const port = await backend(t, authority.issue(['127.0.0.1']));
    rig.proxy.route('b.test', [`https://127.0.0.1:${port}`]);
    for (const text of ['whole', 'resumed']) {
      const client = await rig.send('GET / HTTP/1.1\r\nHost: b.test\r\n\r\n');
      await client.expect(text);
    }
  });

  test('that are untrusted, expired, without TLS or of another name give 502, and are marked', async (t) => {
    const rig = await Rig.start(t, {
      backendTls: backendTls([authority.certificateFile], true),
      settings: { retriesMax: 0 },
      random: () => 0,
    });
    const stranger = new Authority('Stranger');
    t.after(() => stranger.dispose());
    const urls = [
      `https://127.0.0.1:${await backend(t, stranger.issue(['127.0.0.1']))}`,
      `https://127.0.0.1:${await backend(t, authority.issue(['127.0.0.1'], { days: -1 }))}`,
      `https://127.0.0.1:${await backend(t, authority.issue(['other.test']))}`,
      `https://127.0.0.1:${rig.backend.port}`,
    ];
    for (const [index, url] of urls.entries()) {
      rig.proxy.route(`b${index}.test`, [url, 'http://127.0.0.1:1']);
      const client = await rig.client();
      client.send(`GET / HTTP/1.1\r\nHost: b${index}.test\r\n\r\n`);
      if (index === 3) {
        await until('a connection', () => rig.backend.peers.length > 0);
        rig.backend.peers[0]?.send('HTTP/1.1 400 Bad Request\r\n\r\n');
      }
      await client.expect(/^HTTP\/1\.1 502 [\s\S]*x-hipache-error: BACKEND_TLS/);
    }
    assert.deepEqual(
      rig.proxy.marks.map(({ reason }) => reason),
      ['BACKEND_TLS', 'BACKEND_TLS', 'BACKEND_TLS', 'BACKEND_TLS'],
    );
  });

  test('are not verified if verification is off', async (t) => {
    const rig = await Rig.start(t, { backendTls: backendTls([], false) });
    rig.proxy.route('b.test', [`https://127.0.0.1:${await backend(t, authority.issue(['other.test']))}`]);
    const client = await rig.send('GET / HTTP/1.1\r\nHost: b.test\r\n\r\n');
    await client.expect(/^HTTP\/1\.1 200 /);
  });

  test('can respond and close before reading the body: the client gets the response (CVE-2025-4366)', async (t) => {
    const rig = await Rig.start(t, { backendTls: backendTls([authority.certificateFile], true) });
    const issued = authority.issue(['127.0.0.1']);
    const server = createServer({ key: issued.key, cert: issued.certificate }, (socket) => {
      socket.on('error', () => {});
      socket.once('data', () => {
        socket.pause();
        socket.write(response('too large').replace('200 OK', '413 Too Large'), () => socket.destroy());
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    rig.proxy.route('b.test', [`https://127.0.0.1:${(server.address() as { port: number }).port}`]);
    const bytes = 5_000_000;
    const client = await rig.send(
      `POST / HTTP/1.1\r\nHost: b.test\r\nContent-Length: ${bytes}\r\n\r\n${'x'.repeat(bytes)}`,
    );
    await client.expect('too large');
    assert.deepEqual(client.statuses, [413]);
    assert.deepEqual(rig.proxy.marks, []);
  });
});

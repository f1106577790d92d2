import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { RawBackend } from '../../test/helpers/raw-backend.ts';
import { response } from '../../test/helpers/rig.ts';
import { machineResolver } from '../../test/helpers/test-proxy.ts';
import { until } from '../../test/helpers/until.ts';
import type { WebRequest } from '../policy/web-fetch.ts';
import { backendTls } from '../tls/backend-tls.ts';
import { WebClient } from './web-client.ts';

interface Started {
  readonly client: WebClient;
  readonly server: RawBackend;
  readonly counts: number[];
  readonly request: WebRequest;
}

async function start(t: TestContext, makeRoom = () => true, address = '127.0.0.1'): Promise<Started> {
  const server = await RawBackend.start(address);
  const resolver = machineResolver();
  const counts: number[] = [];
  const client = new WebClient({
    resolver,
    tls: backendTls([], true),
    makeRoom,
    onConnections: (open) => void counts.push(open),
  });
  t.after(async () => {
    client.close();
    await until('the end of every connection', () => client.connectionsOpen === 0);
    resolver.close();
    await server.stop();
  });
  const fields = ['X-One', '1', 'x-one', '2'];
  return { client, server, counts, request: { url: `${server.url}/a?b`, fields, timeoutMs: 5000, bodyBytesMax: 10 } };
}

test('sends the fields as they are, and gives the response as it was', async (t) => {
  const { client, server, request } = await start(t);
  server.serve(() => response('\xff\x00', '404 Not', 'Set-Cookie: a', 'set-cookie: b'));
  const { body, fields, status } = await client.get(request);
  assert.match(
    server.received,
    /^GET \/a\?b HTTP\/1\.1\r\nHost: 127\.0\.0\.1:\d+\r\nX-One: 1\r\nx-one: 2\r\nConnection: keep-alive\r\n\r\n$/,
  );
  assert.deepEqual([status, body], [404, '\xff\x00']);
  assert.deepEqual(fields, ['Content-Length', '2', 'Set-Cookie', 'a', 'set-cookie', 'b']);
});

test('keeps connections, and sends a request again once if the kept one has just ended', async (t) => {
  const { client, counts, server, request } = await start(t);
  server.serve((_request, peer) => {
    // The third request meets a connection that ends without a response.
    if (server.requests.length === 3) peer.socket.resetAndDestroy();
    return response('ok');
  });
  for (let i = 0; i < 3; i++) assert.equal((await client.get(request)).body, 'ok');
  assert.equal(server.requests.length, 4);
  assert.equal(server.peers.length, 2);
  assert.equal(Math.max(...counts), 2);
});

test('does not send a request again whose new connection ends', async (t) => {
  const { client, server, request } = await start(t);
  server.onBytes((peer) => peer.socket.resetAndDestroy());
  await assert.rejects(client.get(request), /ECONNRESET|socket hang up/);
  assert.equal(server.peers.length, 1);
});

test('gives up in time, also within a body', async (t) => {
  const { client, server, request } = await start(t);
  server.serve(() => 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nha');
  await assert.rejects(client.get({ ...request, timeoutMs: 100 }), /no whole response in time/);
  await server.peers[0]?.untilClosed();
});

test('reads names as backends are read, and addresses of both families', async (t) => {
  const { client, request, server } = await start(t, undefined, '::1');
  server.serve(() => response('ok'));
  const named = await start(t);
  named.server.serve(() => response('named'));
  assert.equal((await client.get({ ...request, url: `http://[::1]:${server.port}/` })).body, 'ok');
  assert.equal((await client.get({ ...request, url: `http://localhost:${named.server.port}/` })).body, 'named');
  assert.match(server.received, /\r\nHost: \[::1\]:\d+\r\n/);
  await assert.rejects(client.get({ ...request, url: 'http://nowhere.invalid/' }));
});

test('opens no connection beyond those of the process', async (t) => {
  const { client, server, request } = await start(t, () => false);
  await assert.rejects(client.get(request), { code: 'OVERLOADED' });
  assert.equal(server.peers.length, 0);
});

test('ends with its signal', async (t) => {
  const { client, server, request } = await start(t);
  const cancelling = new AbortController();
  const got = client.get({ ...request, signal: cancelling.signal });
  await server.peer();
  cancelling.abort();
  await assert.rejects(got, /abort/i);
  await server.peers[0]?.untilClosed();
});

import assert from 'node:assert/strict';
import { createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type AskOptions, ask } from '../helpers/http-client.ts';
import { get, Rig } from '../helpers/rig.ts';
import type { TestSettings } from '../helpers/test-proxy.ts';
import { until } from '../helpers/until.ts';

/** The longest time from a response to the end of its connection, in ms. */
const delayMsMax = 5;

test('a backend that ends kept connections at any moment fails no POST', async (t) => {
  const rig = await hastyRig(t, (socket) => {
    socket.write(ok);
    setTimeout(() => socket.destroy(), Math.random() * delayMsMax);
  });
  assert.deepEqual(await statusesOf(rig, 500, 1, { method: 'POST', body: 'hi' }), { 200: 500 });
});

/** Sends requests, several at once. @returns how often each status came. */
async function statusesOf(rig: Rig, count: number, atOnce: number, asked: AskOptions): Promise<Record<number, number>> {
  const statuses: Record<number, number> = {};
  let left = count;
  const run = async (): Promise<void> => {
    while (left-- > 0) {
      const { status } = await ask(rig.proxy.port, 'a.test', asked);
      statuses[status] = (statuses[status] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, run));
  return statuses;
}

/** A backend of `a.test` that calls `react` for each read. It has ended one kept connection, and the proxy knows. */
async function hastyRig(
  t: TestContext,
  react: (socket: Socket) => void,
  settings: Partial<TestSettings> = {},
): Promise<Rig> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    socket.on('end', () => socket.destroy());
    socket.on('data', () => react(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const rig = await Rig.start(t, { backends: 0, settings });
  t.after(() => server.close());
  rig.proxy.route('a.test', [`http://127.0.0.1:${(server.address() as { port: number }).port}`]);
  const client = await rig.send(get());
  await client.expect('ok');
  await until('the proxy to know', () => rig.proxy.dataPlane.counters.backendConnectionsOpen === 0);
  client.close();
  return rig;
}

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

test('requests that waited in the queue get no connection that such a backend has just ended', async (t) => {
  const rig = await hastyRig(t, (socket) => void socket.end(ok), { backendConnectionsMax: 2 });
  assert.deepEqual(await statusesOf(rig, 300, 10, { method: 'POST', body: 'hi' }), { 200: 300 });
});

test('a request with a body that is too large to be kept is one that cannot be sent again', async (t) => {
  const answered = new WeakSet<Socket>();
  const rig = await hastyRig(t, (socket) => {
    if (answered.has(socket)) return;
    answered.add(socket);
    socket.write(ok);
    setTimeout(() => socket.destroy(), Math.random() * delayMsMax);
  });
  const body = 'x'.repeat(100_000);
  assert.deepEqual(await statusesOf(rig, 200, 1, { method: 'PUT', body }), { 200: 200 });
});

test('a backend that says 408 before it ends a kept connection is such a backend', async (t) => {
  const rig = await hastyRig(t, (socket) => {
    socket.write(ok);
    setTimeout(
      () => socket.end('HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n'),
      Math.random() * delayMsMax,
    );
  });
  assert.deepEqual(await statusesOf(rig, 300, 1, { method: 'POST', body: 'hi' }), { 200: 300 });
});

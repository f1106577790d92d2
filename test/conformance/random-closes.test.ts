import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { ask } from '../helpers/http-client.ts';
import { get, Rig } from '../helpers/rig.ts';
import { until } from '../helpers/until.ts';

/** The longest time from a response to the end of its connection, in ms. */
const delayMsMax = 5;

test('a backend that ends kept connections at any moment fails no POST', async (t) => {
  let closed = 0;
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('close', () => closed++);
    socket.on('data', () => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      setTimeout(() => socket.destroy(), Math.random() * delayMsMax);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const rig = await Rig.start(t, { backends: 0 });
  t.after(() => server.close());
  rig.proxy.route('a.test', [`http://127.0.0.1:${(server.address() as { port: number }).port}`]);
  const client = await rig.send(get());
  await client.expect('ok');
  await until('the end of the first connection', () => closed === 1);
  await until('the proxy to know', () => rig.proxy.dataPlane.counters.backendConnectionsOpen === 0);
  const statuses = new Map<number, number>();
  for (let count = 0; count < 500; count++) {
    const { status } = await ask(rig.proxy.port, 'a.test', { method: 'POST', body: 'hi' });
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
  }
  assert.deepEqual([...statuses], [[200, 500]]);
});

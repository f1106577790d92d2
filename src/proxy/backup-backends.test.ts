import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { freePort } from '../../test/helpers/free-port.ts';
import { get, Rig, response } from '../../test/helpers/rig.ts';
import { until } from '../../test/helpers/until.ts';

/** Requests of one connection each, one after the other. @returns the bodies. */
async function ask(rig: Rig, count: number): Promise<string[]> {
  const bodies: string[] = [];
  for (let i = 0; i < count; i++) {
    const client = await rig.send(get());
    await client.expect(/\r\n\r\n./s);
    bodies.push(client.received.slice(client.received.indexOf('\r\n\r\n') + 4));
    client.close();
  }
  return bodies;
}

test('a backup takes over when all others refuse connections, and gives back', async (t) => {
  const rig = await Rig.start(t, { settings: { downMs: 300 } });
  rig.backend.serve(() => response('backup'));
  const port = await freePort();
  const primaries = [`http://127.0.0.1:${port}`, `http://127.0.0.2:${port}`];
  rig.proxy.route('a.test', [...primaries, `${rig.backend.url}#backup`]);
  assert.deepEqual(new Set(await ask(rig, 5)), new Set(['backup']));
  // Both are marked, although no backend is left that is no backup: the backup is.
  assert.deepEqual(rig.proxy.marks.map(({ url }) => url).toSorted(), primaries);
  assert.equal(rig.proxy.ended[0]?.attempts, 3);
  assert.equal(rig.proxy.ended[4]?.attempts, 1, 'marked backends are not asked');

  const server = createServer((_request, reply) => reply.end('primary'));
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  t.after(() => server.close().closeAllConnections());
  await until('the end of the marks', async () => (await ask(rig, 1))[0]?.includes('primary') === true);
  for (const body of await ask(rig, 10)) assert.match(body, /primary/);
});

test('a backup gets nothing while one other backend is alive', async (t) => {
  const rig = await Rig.start(t, { backends: 3 });
  const [first, second, backup] = rig.backends;
  for (const [i, backend] of rig.backends.entries()) backend.serve(() => response(`${i}`));
  rig.proxy.route('a.test', [`${backup?.url}#backup&weight=1000`, `${first?.url}`, `${second?.url}`]);
  await first?.stop();
  assert.deepEqual(new Set(await ask(rig, 20)), new Set(['1']));
  assert.deepEqual(rig.proxy.marks.length, 1);
});

test('a retry goes to a backup if every other backend was tried, and a failing backup is not marked then', async (t) => {
  const rig = await Rig.start(t, { backends: 2 });
  const [first, backup] = rig.backends;
  rig.proxy.route('a.test', [`${first?.url}`, `${backup?.url}#backup`]);
  first?.onBytes((peer) => peer.socket.resetAndDestroy());
  backup?.serve(() => response('backup'));
  assert.deepEqual(await ask(rig, 1), ['backup']);
  const marked = () => new Set(rig.proxy.marks.map(({ url }) => url));
  assert.deepEqual(marked(), new Set([first?.url]));
  backup?.onBytes((peer) => peer.socket.resetAndDestroy());
  const client = await rig.send(get());
  await client.expect('HTTP/1.1 502 ');
  assert.deepEqual(marked(), new Set([first?.url]));
});

test('a route with backups alone is served by them', async (t) => {
  const rig = await Rig.start(t, { backends: 2 });
  rig.proxy.route(
    'a.test',
    rig.backends.map(({ url }) => `${url}#backup`),
  );
  for (const [i, backend] of rig.backends.entries()) backend.serve(() => response(`${i}`));
  assert.deepEqual(new Set(await ask(rig, 30)), new Set(['0', '1']));
});

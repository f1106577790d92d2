import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { createClient } from '@redis/client';
import { HipacheHome } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { ask } from '../helpers/http-client.ts';
import { RedisServer } from '../helpers/redis-server.ts';
import { askOn } from '../helpers/steady-load.ts';
import { until } from '../helpers/until.ts';

describe('a proxy on Redis', () => {
  let home: HipacheHome;
  let server: RedisServer;
  let one: HttpBackend;
  let two: HttpBackend;

  beforeEach(async () => {
    home = new HipacheHome();
    server = await RedisServer.start();
    one = await HttpBackend.start('one');
    two = await HttpBackend.start('two');
    // One worker, because several may differ in what they know.
    home.configure({ driver: `${server.url}/1` }, { workers: 1 });
  });

  afterEach(async () => {
    await home.remove();
    await server.remove();
    await one.stop();
    await two.stop();
  });

  const redis = (...args: readonly string[]) => server.cli('-n', '1', ...args);

  it('serves at once what redis-cli and commands write', async () => {
    const { port } = await home.serve();
    const body = async (host: string) => (await ask(port, host)).body;
    assert.equal((await ask(port, 'a.example')).status, 400);
    await redis('rpush', 'frontend:a.example', 'app', one.url);
    await until('the new route', async () => (await body('a.example')) === 'one');
    await redis('lset', 'frontend:a.example', '1', two.url);
    await until('the other backend', async () => (await body('a.example')) === 'two');
    await home.route('set', '*.example', one.url);
    await until('the wildcard', async () => (await body('b.example')) === 'one');
    await redis('del', 'frontend:a.example');
    await until('the wildcard for the removed name', async () => (await body('a.example')) === 'one');
    assert.equal(await redis('get', 'hipache:revision'), '1');
    assert.match(await home.route('list'), /^\*\.example +\*\.example +http/);
  });

  it('serves at once what is written for names that were asked for before, a thousand times', async () => {
    const { port } = await home.serve();
    const client = createClient({ url: `${server.url}/1` });
    await client.connect();
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    const wrong: string[] = [];
    try {
      for (let count = 0; count < 1000; count++) {
        const host = `new-${count}.example`;
        assert.match(await askOn(socket, host), /^HTTP\/1\.1 400 /);
        await client.rPush(`frontend:${host}`, ['app', one.url]);
        const response = await askOn(socket, host);
        if (!response.startsWith('HTTP/1.1 200 ')) wrong.push(host);
      }
    } finally {
      socket.destroy();
      client.destroy();
    }
    assert.deepEqual(wrong, []);
  });

  it('serves backends with another scheme or none, as Hipache 0.4 and PlanB do', async () => {
    const place = (backend: HttpBackend) => backend.url.replace('http://', '');
    await redis('rpush', 'frontend:a.example', 'app', `tcp://${place(one)}`);
    await redis('rpush', 'frontend:b.example', 'app', place(two));
    const { port } = await home.serve();
    assert.equal((await ask(port, 'a.example')).body, 'one');
    assert.equal((await ask(port, 'b.example')).body, 'two');
  });

  it("serves PlanB's route of a host and port with compat.hostPort, and says so where it does not", async () => {
    await redis('rpush', 'frontend:a.example', 'app', one.url);
    await redis('rpush', 'frontend:a.example:8080', 'app', two.url);
    const off = await home.serve();
    assert.equal((await ask(off.port, 'a.example:8080')).body, 'one');
    const unused = await home.run('explain', 'a.example:8080');
    assert.match(unused.stdout, /the route a\.example:8080 exists too; it is only used with compat\.hostPort/);
    home.configure({ driver: `${server.url}/1`, compat: { hostPort: true } }, { workers: 1 });
    const { port } = await home.serve();
    assert.equal((await ask(port, 'A.example:8080')).body, 'two');
    assert.equal((await ask(port, 'a.example:8081')).body, 'one');
    assert.equal((await ask(port, 'a.example')).body, 'one');
    assert.match((await home.run('explain', 'a.example:8080')).stdout, /a\.example:8080 +matched/);
    await redis('del', 'frontend:a.example:8080');
    await until('the route of the host', async () => (await ask(port, 'a.example:8080')).body === 'one');
  });

  it('shares a dead mark through Redis, and shows it', async () => {
    await redis('rpush', 'frontend:a.example', 'app', 'http://127.0.0.1:1', one.url);
    const { port } = await home.serve();
    await until('the dead backend to be met', async () => {
      assert.equal((await ask(port, 'a.example')).body, 'one');
      return (await redis('exists', 'down:a.example')) === '1';
    });
    assert.match((await home.run('explain', 'a.example')).stdout, /dead until .*BACKEND_CONNECT_REFUSED, marked by /);
  });

  it('serves what it knows while Redis is down, and starts without it', async () => {
    await redis('rpush', 'frontend:a.example', 'app', one.url);
    const proxy = await home.serve();
    assert.equal((await ask(proxy.port, 'a.example')).body, 'one');
    await until('the snapshot', () => home.countSnapshotRoutes() > 0);
    await server.kill();
    await until('the loss to be noticed', () => proxy.output.includes('the connection to the store is lost'));
    assert.equal((await ask(proxy.port, 'a.example')).body, 'one');
    assert.equal((await ask(proxy.port, 'unknown.example')).status, 503);
    const failed = await home.run('route', 'list');
    assert.equal(failed.code, 1);
    assert.match(failed.stderr, /no server runs there/);
    const late = await home.serve();
    assert.equal((await ask(late.port, 'a.example')).body, 'one');
    assert.equal((await ask(late.port, 'unknown.example')).status, 503);
    await server.start();
    await redis('rpush', 'frontend:a.example', 'app', two.url);
    for (const { port } of [proxy, late]) {
      await until('the record of the new server', async () => (await ask(port, 'a.example')).body === 'two');
    }
  });
});

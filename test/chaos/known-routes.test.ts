import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { Authority } from '../helpers/authority.ts';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { ask } from '../helpers/http-client.ts';
import { metricsUrl, scrape } from '../helpers/metrics.ts';
import { RedisServer } from '../helpers/redis-server.ts';
import { SteadyLoad } from '../helpers/steady-load.ts';
import { until } from '../helpers/until.ts';
import { workerPids } from '../helpers/workers.ts';

const hosts = Array.from({ length: 100 }, (_, index) => `app${index}.example`);
const wild = 'some.wild.example';
const secureHost = 'secure.example';
/** Besides the hosts: the wildcard, the name that it serves, the absent `*.example` and `*`; a certificate, and the same two. */
const records = hosts.length + 7;

describe('workers that start while the store does not respond', () => {
  let server: RedisServer;
  let backend: HttpBackend;
  let home: HipacheHome;
  let authority: Authority;
  let proxy: HipacheProcess;

  beforeEach(async () => {
    server = await RedisServer.start();
    backend = await HttpBackend.start('known');
    home = new HipacheHome();
    authority = new Authority();
    for (const host of [...hosts, secureHost, '*.wild.example']) {
      await server.cli('rpush', `frontend:${host}`, host, backend.url);
    }
    const { certificate, key } = authority.issue([secureHost]);
    await server.cli('hset', `tls:${secureHost}`, 'certificate', certificate, 'key', key);
    const https = { bind: [{ address: '127.0.0.1', port: 0 }] };
    home.configure({ driver: server.url, metrics: { port: 0 }, https }, { workers: 2, drainSeconds: 2 });
    proxy = await home.serve();
    // Each host is requested once, so that each worker knows only a part of them.
    for (const host of [...hosts, wild]) assert.equal((await ask(proxy.port, host)).status, 200);
    await handshake();
    await until('everything to be shared', async () => {
      const shared = (await scrape(metricsUrl(proxy.output))).get('hipache_shared_records') ?? 0;
      return shared >= records;
    });
  });

  afterEach(async () => {
    await home.remove();
    await backend.stop();
    await server.remove();
    authority.dispose();
  });

  async function handshake(): Promise<void> {
    const port = await proxy.tlsPort();
    const socket = connectTls({ host: '127.0.0.1', port, servername: secureHost, ca: authority.certificate });
    await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
    socket.destroy();
  }

  async function untilAway(): Promise<void> {
    const connected = (worker: number) => `hipache_store_connected{worker="${worker}"}`;
    for (const worker of [1, 2]) {
      await until('the loss of the store', async () => {
        return (await scrape(metricsUrl(proxy.output))).get(connected(worker)) === 0;
      });
    }
  }

  async function assertServing(served: readonly string[] = [...hosts, wild]): Promise<void> {
    const load = new SteadyLoad(proxy.port, served, 0, 4);
    await until('many responses', () => load.answered > 500 || load.failures.length > 0);
    await load.stop();
    assert.deepEqual(load.failures, []);
    for (let count = 0; count < 4; count++) await handshake();
  }

  it('serve what other workers have read: after kill -9, and after SIGHUP', async () => {
    server.freeze();
    await untilAway();
    await assertServing();
    const [first = 0] = workerPids(proxy.pid);
    process.kill(first, 'SIGKILL');
    await until('another worker', () => {
      const pids = workerPids(proxy.pid);
      return pids.length === 2 && !pids.includes(first);
    });
    await assertServing();
    const before = workerPids(proxy.pid);
    proxy.signal('SIGHUP');
    await until('the new workers', () => proxy.output.includes('the new configuration is in use'), 60_000);
    await until('the end of the old ones', () => !workerPids(proxy.pid).some((pid) => before.includes(pid)));
    await assertServing();
    server.thaw();
    await server.cli('rpush', 'frontend:new.example', 'new', backend.url);
    await until('the store', async () => (await ask(proxy.port, 'new.example')).status === 200);
    await assertServing();
  });

  /** The program ends, starts again while the store is away, and serves. */
  async function restartAway(end: () => void): Promise<void> {
    end();
    await proxy.ended();
    proxy = home.start();
    await proxy.listening();
    await untilAway();
  }

  for (const [how, signal] of [
    ['stopped', 'SIGTERM'],
    ['killed', 'SIGKILL'],
  ] as const) {
    it(`serve what the program served that was ${how} before, also without the store`, async () => {
      assert.equal(statSync(home.snapshot ?? '').mode & 0o777, 0o600);
      // The last second of a program that is killed may be lost.
      await until('the snapshot', () => home.countSnapshot() >= records);
      server.freeze();
      await restartAway(() => proxy.signal(signal));
      await assertServing();
      assert.equal((await ask(proxy.port, 'unknown.example')).status, 503);
      server.thaw();
      await server.cli('del', 'frontend:app3.example');
      await server.cli('rpush', 'frontend:new.example', 'new', backend.url);
      await until('the store', async () => (await ask(proxy.port, 'new.example')).status === 200);
      await until('the removed route to go', async () => (await ask(proxy.port, 'app3.example')).status === 400);
      await assertServing(hosts.filter((host) => host !== 'app3.example'));
    });
  }

  async function replaceWorkers(): Promise<void> {
    const before = workerPids(proxy.pid);
    for (const pid of before) process.kill(pid, 'SIGKILL');
    await until('other workers', () => {
      const pids = workerPids(proxy.pid);
      return pids.length === 2 && !pids.some((pid) => before.includes(pid));
    });
    await until('that they serve', () =>
      ask(proxy.port, 'app0.example').then(
        ({ status }) => status === 200,
        () => false,
      ),
    );
  }

  it('do not serve what was changed before, although no worker had read it since its start', async () => {
    const other = await HttpBackend.start('other');
    try {
      await replaceWorkers();
      await server.cli('del', 'frontend:app1.example');
      await server.cli('lset', 'frontend:app2.example', '1', other.url);
      await server.cli('rpush', `frontend:${wild}`, 'own', other.url);
      // The workers read again what those before them knew.
      await until('every record to be read again', async () => {
        return (await scrape(metricsUrl(proxy.output))).get('hipache_shared_records_unverified') === 0;
      });
      await until('the changes', async () => (await ask(proxy.port, 'app2.example')).body === 'other');
      server.freeze();
      await untilAway();
      await replaceWorkers();
      for (let count = 0; count < 8; count++) {
        assert.notEqual((await ask(proxy.port, 'app1.example')).status, 200);
        assert.notEqual((await ask(proxy.port, wild)).body, 'known');
        assert.equal((await ask(proxy.port, 'app2.example')).body, 'other');
      }
      await assertServing(hosts.slice(3));
    } finally {
      server.thaw();
      await other.stop();
    }
  });

  it('do not serve what the store before them had', async () => {
    home.configure({ driver: 'redis://127.0.0.1:1', metrics: { port: 0 } }, { workers: 2, drainSeconds: 2 });
    proxy.signal('SIGHUP');
    await until('the new workers', () => proxy.output.includes('the new configuration is in use'), 60_000);
    await until('that they serve', async () => (await ask(proxy.port, 'app0.example')).status === 503);
    for (let count = 0; count < 8; count++) assert.equal((await ask(proxy.port, 'app0.example')).status, 503);
  });

  it('serve what is known while the store refuses to be read', async () => {
    await server.cli('acl', 'setuser', 'default', '-lrange');
    await replaceWorkers();
    await assertServing();
  });
});

import assert from 'node:assert/strict';
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

  async function assertServing(): Promise<void> {
    const load = new SteadyLoad(proxy.port, [...hosts, wild], 0, 4);
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
});

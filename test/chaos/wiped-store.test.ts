import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { openStore } from '../../src/stores/open-store.ts';
import { EtcdServer } from '../helpers/etcd-server.ts';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { ask } from '../helpers/http-client.ts';
import { MemcachedServer } from '../helpers/memcached-server.ts';
import { metricsUrl, scrape, untilSeries } from '../helpers/metrics.ts';
import { OutageRig } from '../helpers/outage-rig.ts';
import { RedisServer } from '../helpers/redis-server.ts';
import { SteadyLoad } from '../helpers/steady-load.ts';
import { until } from '../helpers/until.ts';
import { workerPids } from '../helpers/workers.ts';
import { ZooKeeperServer } from '../helpers/zookeeper-server.ts';

const hosts = 150;
const raised = 'hipache_wipe_guard_raised';

async function untilRaised({ instances }: OutageRig, wanted: 0 | 1): Promise<void> {
  for (const { proxy } of instances) {
    await untilSeries(metricsUrl(proxy.output), raised, (value) => value === wanted);
  }
}

async function untilGone({ instances }: OutageRig, ...gone: readonly string[]): Promise<void> {
  for (const { clients } of instances) for (const host of gone) await clients.untilAll(host, 'HTTP/1.1 400');
}

/** Ends the loads, of which none may have failed. */
async function endLoads({ instances }: OutageRig): Promise<void> {
  for (const { load } of instances) {
    await load.stop();
    assert.deepEqual(load.failures, []);
  }
}

/** The operator accepts what has happened, and the routes are gone. */
async function accept(rig: OutageRig): Promise<void> {
  await endLoads(rig);
  assert.match(await rig.first.home.route('accept'), /^accepted: /);
  await untilRaised(rig, 0);
  await untilGone(rig, ...rig.hosts);
}

/** The alarm ends by itself once the routes are back. */
async function refill(rig: OutageRig): Promise<void> {
  await rig.fill();
  await untilRaised(rig, 0);
  await rig.change('app0.example');
  await rig.assertRecovered('app0.example');
}

describe('two instances whose Redis is wiped', { timeout: 300_000 }, () => {
  let server: RedisServer;
  let rig: OutageRig;

  beforeEach(async () => {
    server = await RedisServer.start();
    rig = await OutageRig.start({ driver: server.url, hosts, server: { drainSeconds: 2 } });
  });

  afterEach(async () => {
    await rig.stop();
    await server.remove();
  });

  it('serve on, also after a reload, until an operator accepts it', async () => {
    await server.cli('flushall');
    await untilRaised(rig, 1);
    await rig.assertServing();
    for (const { proxy } of rig.instances) {
      assert.match(proxy.output, /hipache route accept/);
      const series = await scrape(metricsUrl(proxy.output));
      for (const worker of [1, 2]) assert.ok((series.get(`hipache_routes_held{worker="${worker}"}`) ?? 0) >= hosts);
    }
    const { home, proxy } = rig.first;
    const before = workerPids(proxy.pid);
    proxy.signal('SIGHUP');
    await until('the new workers', () => proxy.output.includes('the new configuration is in use'), 60_000);
    await until('the end of the old ones', () => !workerPids(proxy.pid).some((pid) => before.includes(pid)));
    await rig.first.reconnect();
    await rig.assertServing();
    await until('the alarm in the list of instances', async () => {
      const { stdout } = await home.run('fleet');
      return (stdout.match(/holds \d+ routes/g) ?? []).length === 2;
    });
    await accept(rig);
  });

  it('serve on, and follow it once it is filled again', async () => {
    await server.cli('flushall');
    await untilRaised(rig, 1);
    await rig.assertServing();
    await refill(rig);
  });

  it('serve on when it was killed and comes back empty', async () => {
    await server.kill();
    await rig.untilConnected(0);
    await rig.assertServing();
    await server.start();
    await untilRaised(rig, 1);
    await rig.untilConnected(1);
    await rig.assertServing();
    await refill(rig);
  });

  it('serve on when its routes are removed one by one, but in a moment', async () => {
    // Those that go first are gone until there are many.
    await endLoads(rig);
    const cli = `redis-cli -p ${server.port}`;
    await promisify(execFile)('sh', ['-c', `${cli} --scan | xargs ${cli} del`]);
    await untilRaised(rig, 1);
    for (const { clients } of rig.instances) for (const host of rig.hosts) await clients.untilAll(host, 'one');
    await accept(rig);
  });

  it('lose hosts that are removed one by one at once', async () => {
    const removed = rig.hosts.slice(0, 120);
    await endLoads(rig);
    for (const [index, host] of removed.entries()) {
      await server.cli('del', `frontend:${host}`);
      await untilGone(rig, host);
      // Twenty in a row, then no more than a hundred in five seconds.
      if (index >= 20) await delay(70);
    }
    for (const { proxy } of rig.instances) {
      assert.equal((await scrape(metricsUrl(proxy.output))).get(raised), 0);
      assert.doesNotMatch(proxy.output, /hipache route accept/);
    }
  });
});

describe('a program whose Redis is wiped', { timeout: 300_000 }, () => {
  const names = Array.from({ length: hosts }, (_, index) => `app${index}.example`);
  let server: RedisServer;
  let backend: HttpBackend;
  let home: HipacheHome;
  let proxy: HipacheProcess;

  beforeEach(async () => {
    server = await RedisServer.start();
    backend = await HttpBackend.start('known');
    for (const name of names) await server.cli('rpush', `frontend:${name}`, name, backend.url);
    home = new HipacheHome();
    home.configure({ driver: server.url, metrics: { port: 0 } }, { workers: 2, drainSeconds: 2 });
    proxy = await home.serve();
    // Each host is requested once, so that each worker knows only a part of them.
    for (const name of names) assert.equal((await ask(proxy.port, name)).status, 200);
    await until('everything to be in the snapshot', () => home.countSnapshotRoutes() >= hosts);
  });

  afterEach(async () => {
    await home.remove();
    await backend.stop();
    await server.remove();
  });

  async function assertServing(): Promise<void> {
    const load = new SteadyLoad(proxy.port, names, 0, 4);
    await until('many responses', () => load.answered > 4 * hosts || load.failures.length > 0);
    await load.stop();
    assert.deepEqual(load.failures, []);
  }

  async function untilAlarm(wanted: 0 | 1): Promise<void> {
    await untilSeries(metricsUrl(proxy.output), raised, (value) => value === wanted);
  }

  async function accepted(): Promise<void> {
    assert.equal((await home.run('route', 'accept')).code, 0);
    await untilAlarm(0);
    for (const name of names) await until(name, async () => (await ask(proxy.port, name)).status === 400);
  }

  it('serves on from workers that start after one is killed', async () => {
    await server.cli('flushall');
    await untilAlarm(1);
    await assertServing();
    for (const pid of workerPids(proxy.pid)) {
      process.kill(pid, 'SIGKILL');
      await until('another worker', () => {
        const pids = workerPids(proxy.pid);
        return pids.length === 2 && !pids.includes(pid);
      });
      await until('two workers that serve', async () => {
        return (await scrape(metricsUrl(proxy.output))).get('hipache_workers_ready') === 2;
      });
      await assertServing();
    }
    await accepted();
  });

  it('serves on after an upgrade', async () => {
    await server.cli('flushall');
    await untilAlarm(1);
    await proxy.upgrade();
    await assertServing();
    await untilAlarm(1);
    await accepted();
  });

  it('serves what it served before, from a store that is away at the start, and comes back empty', async () => {
    proxy.signal('SIGTERM');
    await proxy.ended();
    await server.kill();
    proxy = await home.serve();
    await assertServing();
    const load = new SteadyLoad(proxy.port, names, 0, 4);
    await server.start();
    await untilAlarm(1);
    await load.stop();
    assert.deepEqual(load.failures, []);
    await assertServing();
    await accepted();
  });

  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    it(`serves what it served before ${signal} from an empty store`, async () => {
      proxy.signal(signal);
      await proxy.ended();
      await server.cli('flushall');
      proxy = await home.serve();
      await assertServing();
      await untilAlarm(1);
      await accepted();
    });
  }
});

describe('two instances whose SQLite table is emptied', { timeout: 300_000 }, () => {
  it('serve on until an operator accepts it', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'hipache-wiped-'));
    const path = join(directory, 'routes.sqlite');
    const rig = await OutageRig.start({ driver: `sqlite:${path}`, hosts });
    try {
      // As the sqlite3 shell does.
      const database = new DatabaseSync(path, { timeout: 5000 });
      database.exec('DELETE FROM frontends');
      database.close();
      await untilRaised(rig, 1);
      await rig.assertServing();
      // There is no snapshot of a store that only this machine has.
      rig.first.proxy.signal('SIGUSR2');
      await until('the upgrade to be refused', () => /nothing is changed: it would lose/.test(rig.first.proxy.output));
      await rig.assertServing();
      await accept(rig);
    } finally {
      await rig.stop();
      rmSync(directory, { recursive: true, force: true });
    }
  });
});

describe('two instances whose etcd is emptied', { timeout: 300_000 }, () => {
  it('serve on, and follow it once it is filled again', async () => {
    const server = await EtcdServer.start();
    const rig = await OutageRig.start({ driver: server.urls, hosts });
    try {
      await server.ctl('del', '--prefix', '/');
      await untilRaised(rig, 1);
      await rig.assertServing();
      await refill(rig);
    } finally {
      await rig.stop();
      await server.remove();
    }
  });
});

describe('two instances whose ZooKeeper is emptied', { timeout: 300_000 }, () => {
  it('serve on until an operator accepts it', async () => {
    const server = await ZooKeeperServer.start();
    const rig = await OutageRig.start({ driver: server.url, hosts });
    try {
      // It removes one node after the other, as deleteall does.
      await endLoads(rig);
      const store = await openStore(server.url);
      await Promise.all(rig.hosts.map((host) => store.routes.remove(host, [])));
      await store.close();
      await untilRaised(rig, 1);
      for (const { clients } of rig.instances) for (const host of rig.hosts) await clients.untilAll(host, 'one');
      await accept(rig);
    } finally {
      await rig.stop();
      await server.remove();
    }
  });
});

describe('two instances whose memcached is emptied', { timeout: 300_000 }, () => {
  it('serve on, and follow it once it is filled again', async () => {
    const server = await MemcachedServer.start();
    const rig = await OutageRig.start({ driver: server.url, hosts });
    try {
      await server.stop();
      await rig.untilConnected(0);
      await server.start();
      await untilRaised(rig, 1);
      await rig.assertServing();
      await refill(rig);
    } finally {
      await rig.stop();
      await server.stop();
    }
  });
});

import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { type RedisClusterLayout, RedisClusterServers } from '../../../test/helpers/redis-cluster.ts';
import { RedisServer } from '../../../test/helpers/redis-server.ts';
import { until } from '../../../test/helpers/until.ts';
import { idOf } from '../../route-cache/route-cache.suite.ts';
import { RouteCache } from '../../route-cache/route-cache.ts';
import { StoreWatch } from '../../route-cache/store-watch.ts';
import type { Store } from '../contract.ts';
import { Watch } from '../watch.suite.ts';
import { slotOf } from './cluster-slots.ts';
import { openRedis } from './redis-store.ts';

const timings = { pingEveryMs: 100, retryFirstMs: 20, retryMaxMs: 200 };

interface Watched {
  readonly cluster: RedisClusterServers;
  readonly store: Store;
  readonly seen: Watch;
  readonly changes: StoreWatch;
  readonly log: readonly string[];
  /** Waits until a cache on the store serves a host with this identifier. */
  servesSoon(host: string, id: string | null): Promise<void>;
}

/** A store and a cache that watches it, as a proxy has them. */
async function watched(t: TestContext, layout?: RedisClusterLayout, user = ''): Promise<Watched> {
  const cluster = await RedisClusterServers.start(layout);
  t.after(() => cluster.remove());
  const log: string[] = [];
  const note = (message: string) => void log.push(message);
  const url = cluster.url.replace('//', `//${user}`);
  const store = await openRedis([url], { serving: true, timings, log: { info: note, warn: note } });
  t.after(() => store.close());
  return { cluster, store, log, ...(await watch(t, store)) };
}

async function watch(t: TestContext, store: Store): Promise<Pick<Watched, 'seen' | 'changes' | 'servesSoon'>> {
  const changes = new StoreWatch({ store });
  const cache = new RouteCache({ store, instance: 'test' });
  const seen = new Watch();
  changes.add(cache);
  changes.add(seen);
  await changes.start();
  t.after(() => {
    changes.close();
    cache.close();
  });
  const servesSoon = (host: string, id: string | null) =>
    until(
      `${host} to be served as ${id}`,
      () => {
        const frontend = cache.cached(host);
        if (frontend !== undefined) return idOf(frontend) === id;
        return cache.load(host).then(
          (loaded) => idOf(loaded) === id,
          () => false,
        );
      },
      60_000,
    );
  return { seen, changes, servesSoon };
}

async function readId(store: Store, host: string): Promise<unknown> {
  return (await store.routes.read([host]))[0]?.frontend[0] ?? null;
}

/** A host whose keys, all that a reading takes, are at a node. */
async function hostAt({ cluster }: Watched, node: RedisServer): Promise<string> {
  for (let i = 0; ; i++) {
    const keys = ['frontend', 'down', 'options'].map((record) => `${record}:${i}.test`);
    const nodes = await Promise.all(keys.map((key) => cluster.primaryOf(key)));
    if (nodes.every((one) => one === node)) return `${i}.test`;
  }
}

/** Each node's changes are reported and read, and a write arrives there. */
async function assertLive(rig: Watched, at: readonly RedisServer[], asked = at[0] as RedisServer): Promise<void> {
  for (const node of at) {
    let host = '';
    for (let i = 0; host === ''; i++) {
      const name = `live-${i}.test`;
      if ((await rig.cluster.primaryOf(`frontend:${name}`, asked)) === node) host = name;
    }
    await until('a write', () =>
      rig.store.routes.set(host, 'one', ['http://a:1']).then(
        () => true,
        () => false,
      ),
    );
    await until('a reading', () =>
      readId(rig.store, host).then(
        (id) => id === 'one',
        () => false,
      ),
    );
    const told = rig.seen.next('routes', host);
    await node.cli('lset', `frontend:${host}`, '0', 'two');
    await told;
    assert.equal(await readId(rig.store, host), 'two');
  }
  await until('the store to be connected', () => rig.changes.connected);
}

describe('a Redis Cluster, slots that move', () => {
  test('changes of a record that has moved are served, and a new one of a name that had none', async (t) => {
    const rig = await watched(t);
    const { cluster, store, servesSoon } = rig;
    const [first, second] = cluster.primaries as [RedisServer, RedisServer];
    const host = await hostAt(rig, first);
    for (const present of [true, false]) {
      const [from, to] = present ? [first, second] : [second, first];
      if (present) await store.routes.set(host, 'old', ['http://a:1']);
      else await store.routes.remove(host, []);
      await servesSoon(host, present ? 'old' : null);
      await cluster.move(`frontend:${host}`, to);
      assert.equal(await cluster.primaryOf(`frontend:${host}`, from), to);
      await to.cli('del', `frontend:${host}`);
      await to.cli('rpush', `frontend:${host}`, 'new', 'http://a:1');
      await servesSoon(host, 'new');
      await to.cli('lset', `frontend:${host}`, '0', 'newer');
      await servesSoon(host, 'newer');
    }
  });

  test('while a slot moves, records are read, changed and watched at the node that has them', async (t) => {
    const rig = await watched(t);
    const { cluster, store, servesSoon } = rig;
    const [first, second] = cluster.primaries as [RedisServer, RedisServer];
    const host = await hostAt(rig, first);
    const key = `frontend:${host}`;
    await servesSoon(host, null);
    await cluster.beginMove(key, first, second);
    // By another process, which is redirected to the node that the slot is moving to.
    await first.cli('-c', 'rpush', key, 'made', 'http://a:1');
    await servesSoon(host, 'made');
    assert.equal(await second.cli('cluster', 'countkeysinslot', String(slotOf(key))), '1');
    await first.cli('-c', 'lset', key, '0', 'changed');
    await servesSoon(host, 'changed');
    await store.routes.add(host, ['http://b:1']);
    assert.deepEqual((await store.routes.read([host]))[0]?.frontend, ['changed', 'http://a:1', 'http://b:1']);
    await store.routes.remove(host, []);
    await store.routes.set(host, 'again', ['http://c:1']);
    await servesSoon(host, 'again');
    await cluster.endMove(key, first, second);
    await second.cli('lset', key, '0', 'moved');
    await servesSoon(host, 'moved');
  });

  test('a node that joins and gets slots is read and written', async (t) => {
    const rig = await watched(t, { primaries: 2 });
    const { cluster, store, servesSoon } = rig;
    const [first] = cluster.primaries as [RedisServer];
    const host = await hostAt(rig, first);
    await store.routes.set(host, 'old', ['http://a:1']);
    await servesSoon(host, 'old');
    const added = await cluster.add();
    await cluster.move(`frontend:${host}`, added);
    await store.routes.add(host, ['http://b:1']);
    assert.equal(await added.cli('lrange', `frontend:${host}`, '0', '-1'), 'old\nhttp://a:1\nhttp://b:1');
    await added.cli('lset', `frontend:${host}`, '0', 'new');
    await servesSoon(host, 'new');
    await assertLive(rig, cluster.primaries.slice(0, 2));
  });

  test('a listing has every record, also one that moves meanwhile', async (t) => {
    const rig = await watched(t);
    const { cluster, store } = rig;
    const hosts = Array.from({ length: 40 }, (_, i) => `host-${String(i).padStart(2, '0')}.test`);
    await store.routes.put(hosts.map((pattern) => ({ pattern, frontend: [pattern, 'http://a:1'] })));
    for (const host of hosts.slice(0, 6)) {
      const from = await cluster.primaryOf(`frontend:${host}`);
      const moving = cluster.move(`frontend:${host}`, cluster.primaries.find((node) => node !== from) as RedisServer);
      const listed = await store.routes.list('', 100);
      assert.deepEqual(
        listed.map(({ pattern }) => pattern),
        hosts,
      );
      await moving;
    }
  });
});

describe('a Redis Cluster, the revision', () => {
  test('every change is reported before its revision can be read', async (t) => {
    const rig = await watched(t);
    const { cluster, store, seen } = rig;
    const writer = await openRedis([cluster.url]);
    t.after(() => writer.close());
    const hosts = Array.from({ length: 20 }, (_, i) => `${i}.test`);
    let last = 0;
    for (let round = 0; round < 10; round++) {
      for (const host of hosts) {
        await store.routes.read([host]);
        const before = [seen.routes.length, seen.expirations] as const;
        await writer.routes.set(host, String(round), ['http://a:1']);
        const revision = await store.instances?.revision();
        assert.ok(
          seen.routes.slice(before[0]).includes(host) || seen.expirations > before[1],
          `${host} is reported before the revision ${revision}`,
        );
        assert.ok(Number(revision) > last);
        last = Number(revision);
      }
    }
  });

  test('the change of a name in a slot that has moved is reported before its revision can be read', async (t) => {
    const rig = await watched(t);
    const { cluster, store, seen } = rig;
    const writer = await openRedis([cluster.url]);
    t.after(() => writer.close());
    for (let i = 0; i < 10; i++) {
      const host = `moved-${i}.test`;
      const from = await cluster.primaryOf(`frontend:${host}`);
      assert.equal(await readId(store, host), null);
      const before = [seen.routes.length, seen.expirations] as const;
      await cluster.move(`frontend:${host}`, cluster.primaries.find((node) => node !== from) as RedisServer);
      await writer.routes.set(host, 'new', ['http://a:1']);
      await store.instances?.revision();
      assert.ok(seen.routes.slice(before[0]).includes(host) || seen.expirations > before[1], host);
    }
  });

  test('it cannot be read while a node does not reply, whose changes may be on their way', async (t) => {
    const rig = await watched(t);
    const { cluster, store } = rig;
    const keeper = await cluster.primaryOf('hipache:revision');
    const other = cluster.primaries.find((node) => node !== keeper) as RedisServer;
    await store.routes.set(await hostAt(rig, keeper), 'id', ['http://a:1']);
    other.freeze();
    await assert.rejects(async () => store.instances?.revision(), { code: 'STORE_UNAVAILABLE' });
    other.thaw();
    await until('the revision', () =>
      Promise.resolve(store.instances?.revision()).then(
        (value) => value === 1,
        () => false,
      ),
    );
  });

  test('a revision that is not a number starts again at 1, and the log says so', async (t) => {
    const { cluster, store, log } = await watched(t);
    await (await cluster.primaryOf('hipache:revision')).cli('set', 'hipache:revision', 'text');
    await store.routes.set('a.test', null, ['http://a:1']);
    assert.equal(await store.instances?.revision(), 1);
    assert.ok(log.some((line) => line.includes('hipache:revision is not a number')));
  });
});

describe('a Redis Cluster, outages', () => {
  test('a primary that has died is replaced by its replica', async (t) => {
    const rig = await watched(t, { replicas: 1, nodeTimeoutMs: 1000 });
    const { cluster, store, seen } = rig;
    const [first, ...others] = cluster.primaries as [RedisServer, RedisServer, RedisServer];
    const host = await hostAt(rig, first);
    await store.routes.set(host, 'old', ['http://a:1']);
    await first.cli('wait', '1', '5000');
    assert.equal(await readId(store, host), 'old');
    const lost = seen.event('lost');
    const restored = seen.event('restored');
    await first.kill();
    await lost;
    await restored;
    const [replica] = cluster.replicas as [RedisServer];
    await until('the record', () =>
      readId(store, host).then(
        (id) => id === 'old',
        () => false,
      ),
    );
    await assertLive(rig, [replica, ...others], replica);
  });

  test('a fail-over by hand is followed', async (t) => {
    const rig = await watched(t, { replicas: 1 });
    const { cluster, servesSoon } = rig;
    const [first] = cluster.primaries as [RedisServer];
    const [replica] = cluster.replicas as [RedisServer];
    const host = await hostAt(rig, first);
    await servesSoon(host, null);
    // On a busy machine, Redis gives an attempt up after 5 s.
    let dueMs = 0;
    await until('the replica to be primary', async () => {
      if ((await replica.cli('info', 'replication')).includes('role:master')) return true;
      if (Date.now() < dueMs) return false;
      dueMs = Date.now() + 6000;
      await replica.cli('cluster', 'failover');
      return false;
    });
    await replica.cli('rpush', `frontend:${host}`, 'new', 'http://a:1');
    await servesSoon(host, 'new');
    await assertLive(rig, [replica, ...cluster.primaries.slice(1)], replica);
  });

  test('a node that hangs is lost, and the records of the others can be read and changed', async (t) => {
    const rig = await watched(t, { nodeTimeoutMs: 60_000 });
    const { cluster, store, seen } = rig;
    const keeper = await cluster.primaryOf('hipache:revision');
    const hung = cluster.primaries.find((node) => node !== keeper) as RedisServer;
    const [there, here] = [await hostAt(rig, hung), await hostAt(rig, keeper)];
    await store.routes.put([there, here].map((pattern) => ({ pattern, frontend: ['old', 'http://a:1'] })));
    assert.deepEqual([await readId(store, there), await readId(store, here)], ['old', 'old']);
    const lost = seen.event('lost');
    hung.freeze();
    await lost;
    await assert.rejects(readId(store, there), {
      code: 'STORE_UNAVAILABLE',
      message: /has not replied|does not reply/,
    });
    await assert.rejects(store.routes.add(there, ['http://b:1']), { code: 'STORE_UNAVAILABLE' });
    assert.equal(await readId(store, here), 'old');
    await store.routes.add(here, ['http://b:1']);
    const restored = seen.event('restored');
    hung.thaw();
    await restored;
    await assertLive(rig, cluster.primaries);
  });

  test('a node whose password has changed is said as such, and is used once it accepts the one of the URL', async (t) => {
    const cli = ['-a', 'secret', '--no-auth-warning'];
    const rig = await watched(t, { cli, config: ['requirepass secret', 'masterauth secret'] }, ':secret@');
    const { cluster, seen, log } = rig;
    const [first] = cluster.primaries as [RedisServer];
    const lost = seen.event('lost');
    await first.cli('config', 'set', 'requirepass', 'changed');
    await first.cli('-a', 'changed', 'client', 'kill', 'type', 'normal', 'skipme', 'yes');
    await lost;
    await until('the log to say why', () => log.some((line) => line.includes('WRONGPASS')));
    const restored = seen.event('restored');
    await first.cli('-a', 'changed', 'config', 'set', 'requirepass', 'secret');
    await restored;
    await assertLive(rig, cluster.primaries);
  });

  test('a connection that breaks is made anew, and tracks what is read on it', async (t) => {
    const rig = await watched(t);
    for (const node of rig.cluster.primaries) {
      const restored = rig.seen.event('restored');
      await node.cli('client', 'kill', 'type', 'normal', 'skipme', 'yes');
      await restored;
      await assertLive(rig, rig.cluster.primaries);
    }
  });

  test('a cluster that is not there yet is waited for, while a command fails', async (t) => {
    const cluster = await RedisClusterServers.start({ config: ['appendonly yes'] });
    t.after(() => cluster.remove());
    await Promise.all(cluster.primaries.map((node) => node.kill()));
    await assert.rejects(openRedis([cluster.url]), { code: 'STORE_UNAVAILABLE', message: /no server runs there/ });
    const store = await openRedis([cluster.url], { serving: true, timings });
    t.after(() => store.close());
    const watching = await watch(t, store);
    const { seen } = watching;
    assert.equal(seen.losses, 1);
    const restored = seen.event('restored');
    await Promise.all(cluster.primaries.map((node) => node.start()));
    await restored;
    await assertLive({ cluster, store, log: [], ...watching }, cluster.primaries);
  });
});

describe('a Redis Cluster, its URL', () => {
  test('a URL of the wrong kind is said as such', async (t) => {
    const cluster = await RedisClusterServers.start({ primaries: 2 });
    t.after(() => cluster.remove());
    const [, second] = cluster.primaries as [RedisServer, RedisServer];
    const toldForm = { code: 'STORE_UNSUPPORTED', message: /redis\+cluster:\/\/ instead of redis:\/\// };
    const store = await openRedis([second.url]);
    t.after(() => store.close());
    await assert.rejects(async () => {
      for (let i = 0; i < 100; i++) await store.routes.read([`${i}.test`]);
    }, toldForm);
    await assert.rejects(store.routes.set('a.test', null, ['http://a:1']), toldForm);
    await assert.rejects(openRedis([`${second.url}/1`]), toldForm);
    const single = await RedisServer.start();
    t.after(() => single.remove());
    await assert.rejects(openRedis([single.url.replace('redis:', 'redis+cluster:')]), {
      code: 'STORE_UNSUPPORTED',
      message: /has no cluster mode; write redis:\/\//,
    });
    const alone = await RedisServer.start({ isNode: true });
    t.after(() => alone.remove());
    await assert.rejects(openRedis([alone.url.replace('redis:', 'redis+cluster:')]), {
      code: 'STORE_UNAVAILABLE',
      message: /its cluster has no slots/,
    });
  });

  test('one node is enough to find the others, also a replica, and one that is not there does no harm', async (t) => {
    const cluster = await RedisClusterServers.start({ replicas: 1 });
    t.after(() => cluster.remove());
    for (const port of [cluster.primaries[2]?.port, cluster.replicas[0]?.port]) {
      const store = await openRedis([`redis+cluster://127.0.0.1:1,127.0.0.1:${port}`]);
      for (const host of ['a.test', 'b.test', 'c.test', 'd.test']) {
        await store.routes.set(host, 'id', ['http://a:1']);
        assert.equal(await readId(store, host), 'id');
      }
      await store.close();
    }
  });
});

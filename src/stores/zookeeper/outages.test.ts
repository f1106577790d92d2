import assert from 'node:assert/strict';
import { connect, createServer, type Socket } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { until } from '../../../test/helpers/until.ts';
import { ZooKeeperServer } from '../../../test/helpers/zookeeper-server.ts';
import type { Store } from '../contract.ts';
import { Watch } from '../watch.suite.ts';
import { openZooKeeper } from './zookeeper-store.ts';

const timings = {
  connectTimeoutMs: 1000,
  pingEveryMs: 100,
  replyTimeoutMs: 600,
  retryFirstMs: 20,
  retryMaxMs: 200,
  sessionTimeoutMs: 2000,
  forgetAfterMs: 1000,
};

interface Watched {
  readonly server: ZooKeeperServer;
  readonly store: Store;
  readonly seen: Watch;
  /** Of another process, to write. */
  readonly other: Store;
}

async function watched(t: TestContext, count: number): Promise<Watched> {
  const server = await ZooKeeperServer.start(count);
  t.after(() => server.remove());
  const store = await openZooKeeper([server.url], { serving: true, timings });
  const other = await openZooKeeper([server.url], { serving: true, timings });
  t.after(() => Promise.all([store.close(), other.close()]));
  const seen = new Watch();
  await store.watch(seen);
  return { server, store, seen, other };
}

/** A record that is written now is reported, and read. */
async function assertLive({ store, other, seen }: Watched, pattern: string): Promise<void> {
  await until('a reading', () => store.routes.read([pattern]).then(Boolean, () => false));
  const told = seen.next('routes', pattern);
  await until('a write', () =>
    other.routes.set(pattern, 'live', ['http://a:1']).then(
      () => true,
      () => false,
    ),
  );
  await told;
  const [record] = await store.routes.read([pattern]);
  assert.equal(record?.frontend[0], 'live');
}

describe('a ZooKeeper ensemble', () => {
  test('that loses servers in turn, or one that hangs, is used through the others', { timeout: 120_000 }, async (t) => {
    const rig = await watched(t, 3);
    const { server, store, seen } = rig;
    await store.routes.set('a.test', null, ['http://a:1']);
    for (const [i, member] of server.members.entries()) {
      const before = seen.restorations;
      if (i === 0) member.signal('SIGSTOP');
      else await member.stop();
      await assertLive(rig, `b${i}.test`);
      await until('the old record', () =>
        store.routes.read(['a.test']).then(
          ([record]) => record?.frontend[1] === 'http://a:1',
          () => false,
        ),
      );
      if (i === 0) member.signal('SIGCONT');
      else {
        member.start();
        await member.ready();
      }
      assert.ok(seen.restorations >= before);
    }
    assert.equal(seen.losses, seen.restorations);
    assert.ok(seen.losses > 0);
  });

  test('that restarts is watched anew', async (t) => {
    const rig = await watched(t, 1);
    const { server, store, seen } = rig;
    await store.routes.set('a.test', null, ['http://a:1']);
    const lost = seen.event('lost');
    await server.members[0]?.stop();
    await lost;
    await assert.rejects(store.routes.read(['a.test']), { code: 'STORE_UNAVAILABLE', source: 'store' });
    const restored = seen.event('restored');
    server.members[0]?.start();
    await restored;
    assert.equal((await store.routes.read(['a.test']))[0]?.frontend[1], 'http://a:1');
    await assertLive(rig, 'c.test');
  });

  test('that was set up anew, and counts from a lower transaction, is used again', async (t) => {
    const rig = await watched(t, 1);
    const { server, store, seen } = rig;
    for (let count = 0; count < 20; count++) await store.routes.set('a.test', null, [`http://a:${count + 1}`]);
    const lost = seen.event('lost');
    await server.members[0]?.stop();
    await lost;
    server.members[0]?.wipe();
    const restored = seen.event('restored');
    server.members[0]?.start();
    await restored;
    assert.deepEqual(await store.routes.read(['a.test']), [null]);
    await assertLive(rig, 'b.test');
  });

  test('that is not there yet is waited for by a proxy, and refused to a command', async (t) => {
    const server = await ZooKeeperServer.start();
    t.after(() => server.remove());
    await server.members[0]?.stop();
    await assert.rejects(openZooKeeper([server.url], { timings }), {
      code: 'STORE_UNAVAILABLE',
      message: /no server runs there/,
    });
    const store = await openZooKeeper([server.url], { serving: true, timings });
    t.after(() => store.close());
    const seen = new Watch();
    await store.watch(seen);
    assert.equal(seen.losses, 1);
    const restored = seen.event('restored');
    server.members[0]?.start();
    await restored;
  });

  test('forgets an instance whose process has gone', async (t) => {
    const { server, store } = await watched(t, 1);
    // Its connection hangs instead of being closed.
    const sockets: Socket[] = [];
    let isCut = false;
    const relay = createServer((client) => {
      const upstream = connect({ host: '127.0.0.1', port: server.members[0]?.port ?? 0 });
      sockets.push(client, upstream);
      for (const socket of [client, upstream]) socket.on('error', () => {});
      client.on('data', (bytes) => isCut || upstream.write(bytes));
      upstream.on('data', (bytes) => isCut || client.write(bytes));
    });
    await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve));
    t.after(() => {
      for (const socket of sockets) socket.destroy();
      relay.close();
    });
    const { port } = relay.address() as { port: number };
    const gone = await openZooKeeper([`zookeeper://127.0.0.1:${port}`], { serving: true, timings });
    t.after(() => gone.close());
    await gone.instances?.write('i', { version: '1' }, 30_000);
    const instances = async () => {
      const dump = (await server.members[0]?.ask('dump')) ?? '';
      return dump.includes('/hipache/instance/i');
    };
    assert.equal(await instances(), true);
    isCut = true;
    await until('the end of its node', async () => !(await instances()));
    assert.deepEqual(await store.routes.read(['a.test']), [null]);
  });

  test('keeps the nodes of an account from others, and says what they lack', async (t) => {
    const server = await ZooKeeperServer.start();
    t.after(() => server.remove());
    const owner = await openZooKeeper([server.url.replace('//', '//hipache:s3cret@')]);
    t.after(() => owner.close());
    await owner.routes.set('a.test', null, ['http://a:1']);
    const again = await openZooKeeper([server.url.replace('//', '//hipache:s3cret@')]);
    t.after(() => again.close());
    assert.equal((await again.routes.read(['a.test']))[0]?.frontend[1], 'http://a:1');
    for (const account of ['', 'hipache:wrong@']) {
      await assert.rejects(
        async () => {
          const store = await openZooKeeper([server.url.replace('//', `//${account}`)]);
          t.after(() => store.close());
          await store.routes.read(['a.test']);
        },
        (error: Error) => {
          assert.match(error.message, /lacks the right for \/(frontend\/a\.test|hipache\/revision)/);
          assert.doesNotMatch(error.message, /s3cret|wrong@/);
          return true;
        },
      );
    }
  });

  test('whose server refuses a large packet is named as the reason', async (t) => {
    const { store } = await watched(t, 1);
    const urls = Array.from({ length: 10_000 }, (_, i) => `http://${'x'.repeat(500)}-${i}.test`);
    await assert.rejects(store.routes.set('large.test', null, urls), {
      code: 'STORE_FULL',
      message: /jute\.maxbuffer/,
    });
  });
});

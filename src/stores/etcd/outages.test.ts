import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { EtcdServer } from '../../../test/helpers/etcd-server.ts';
import { until } from '../../../test/helpers/until.ts';
import type { Store } from '../contract.ts';
import { Watch } from '../watch.suite.ts';
import { openEtcd } from './etcd-store.ts';

const timings = { requestTimeoutMs: 1000, progressEveryMs: 100, silenceMaxMs: 600, retryFirstMs: 20, retryMaxMs: 200 };

interface Watched {
  readonly server: EtcdServer;
  readonly store: Store;
  readonly seen: Watch;
}

/** @param first the member that is used first. */
async function watched(
  t: TestContext,
  members: number,
  first = 0,
  requestTimeoutMs = timings.requestTimeoutMs,
): Promise<Watched> {
  const server = await EtcdServer.start({ members });
  t.after(() => server.remove());
  const urls = [...server.urls.slice(first), ...server.urls.slice(0, first)];
  const store = await openEtcd(urls, { serving: true, timings: { ...timings, requestTimeoutMs } });
  t.after(() => store.close());
  const seen = new Watch();
  await store.watch(seen);
  return { server, store, seen };
}

/** A record that is written now is reported, and read. */
async function assertLive({ server, store, seen }: Watched, pattern: string): Promise<void> {
  const told = seen.next('routes', pattern);
  await server.ctl('put', `/frontend:${pattern}`, '["by hand"]');
  await told;
  const [record] = await store.routes.read([pattern]);
  assert.deepEqual(record?.frontend, ['by hand']);
}

describe('an etcd cluster', () => {
  test('that loses the member in use is used through another one', async (t) => {
    const rig = await watched(t, 3);
    const { server, store, seen } = rig;
    await store.routes.set('a.test', null, ['http://a:1']);
    const restored = seen.event('restored');
    await server.members[0]?.stop();
    await restored;
    const [record] = await store.routes.read(['a.test']);
    assert.deepEqual(record?.frontend, ['a.test', 'http://a:1']);
    await store.routes.add('a.test', ['http://b:1']);
    await assertLive(rig, 'b.test');
  });

  test('that has lost its majority is read and written as soon as it has one again', async (t) => {
    const requestTimeoutMs = 3000;
    const { server, store } = await watched(t, 3, 2, requestTimeoutMs);
    await store.routes.set('a.test', null, ['http://a:1']);
    const [member, other] = server.members;
    await member?.stop();
    await other?.stop();
    // The member that is left has kept the request by then, and has given it up.
    const restart = delay(requestTimeoutMs + 100).then(() => other?.start(server.cluster));
    const [read] = await Promise.allSettled([store.routes.read(['a.test']), restart]);
    assert.deepEqual(read.status === 'fulfilled' && read.value[0]?.frontend, ['a.test', 'http://a:1']);
    await store.routes.set('a.test', null, ['http://b:1']);
  });

  test('whose member in use hangs is used through another one', async (t) => {
    const rig = await watched(t, 3, 1);
    const restored = rig.seen.event('restored');
    rig.server.members[1]?.signal('SIGSTOP');
    await restored;
    await assertLive(rig, 'c.test');
  });

  test('that has compacted the changes that were missed is watched from now on', async (t) => {
    const rig = await watched(t, 1);
    const { server, store, seen } = rig;
    const [member] = server.members;
    const lost = seen.event('lost');
    await member?.stop();
    await lost;
    const restored = seen.event('restored');
    member?.start(server.cluster);
    await member?.ready();
    for (let count = 0; count < 5; count++) await server.ctl('put', '/frontend:old.test', `["${count}"]`);
    const status = await server.ctl('get', '/frontend:old.test', '--write-out=fields');
    await server.ctl('compact', /"Revision" : (\d+)/.exec(status)?.[1] ?? '');
    await restored;
    assert.deepEqual((await store.routes.read(['old.test']))[0]?.frontend, ['4']);
    await assertLive(rig, 'd.test');
  });

  test('that was set up anew, and counts from a lower revision, is followed again', async (t) => {
    const rig = await watched(t, 1);
    const { server, store, seen } = rig;
    for (let count = 0; count < 20; count++) await store.routes.set('a.test', null, [`http://a:${count + 1}`]);
    const [member] = server.members;
    const lost = seen.event('lost');
    await member?.stop();
    await lost;
    member?.wipe();
    const restored = seen.event('restored');
    member?.start(server.cluster);
    await restored;
    assert.deepEqual(await store.routes.read(['a.test']), [null]);
    await assertLive(rig, 'b.test');
  });

  test('without a majority fails in time, says so, and comes back', async (t) => {
    const rig = await watched(t, 3);
    const { server, store, seen } = rig;
    const lost = seen.event('lost');
    await Promise.all([server.members[1]?.stop(), server.members[2]?.stop()]);
    await lost;
    await assert.rejects(store.routes.read(['a.test']), { code: 'STORE_UNAVAILABLE', source: 'store' });
    const restored = seen.event('restored');
    server.members[1]?.start(server.cluster);
    server.members[2]?.start(server.cluster);
    await restored;
    await until('a reading', async () => (await store.routes.read(['a.test']).catch(() => null)) !== null);
    await assertLive(rig, 'e.test');
  });

  test('that is not there yet is waited for by a proxy, and refused to a command', async (t) => {
    const server = await EtcdServer.start();
    t.after(() => server.remove());
    await server.members[0]?.stop();
    await assert.rejects(openEtcd(server.urls, { timings }), {
      code: 'STORE_UNAVAILABLE',
      message: /cannot be reached/,
    });
    const store = await openEtcd(server.urls, { serving: true, timings });
    t.after(() => store.close());
    const seen = new Watch();
    await store.watch(seen);
    assert.equal(seen.losses, 1);
    const restored = seen.event('restored');
    server.members[0]?.start(server.cluster);
    await restored;
    await assertLive({ server, store, seen }, 'f.test');
  });
});

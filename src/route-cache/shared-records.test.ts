import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeTime } from '../../test/helpers/fake-time.ts';
import type { Store, StoredRoute } from '../stores/contract.ts';
import { KnownRecords, routeText } from './known-records.ts';
import { idOf, setUp, turn, warm } from './route-cache.suite.ts';
import { SharedRecords } from './shared-records.ts';

const route = (id: string): StoredRoute => ({ frontend: [id, 'http://1:1'], down: new Map() });

/** A worker's shared records, and what the primary keeps of them. */
function shareWith(
  kept = new KnownRecords(1_000_000),
  changes: 'push' | 'expiry' = 'push',
  judge: () => Promise<void> = async () => {},
) {
  const time = new FakeTime();
  let asked = 0;
  const store = {
    capabilities: { changes },
    records: new Map<string, StoredRoute>(),
    reads: [] as string[],
    routes: {
      read: async (patterns: readonly string[]) => {
        store.reads.push(...patterns);
        return patterns.map((pattern) => store.records.get(pattern) ?? null);
      },
    },
    certificates: { read: async (patterns: readonly string[]) => patterns.map(() => null) },
  };
  const shared = new SharedRecords({
    report: (records) => kept.add(records),
    ask: () => {
      asked++;
      for (const chunk of kept.chunks(1)) shared.take(chunk, false);
      shared.take([], true);
    },
    store: store as unknown as Store,
    judge,
    setTimer: time.setTimer,
  });
  return { kept, time, shared, store, asked: () => asked };
}

test('records that were read are reported together, the latest of each', async () => {
  const { kept, time, shared } = shareWith();
  shared.routeRead('a.com', route('1'));
  shared.routeRead('a.com', route('2'));
  await shared.readCertificates(['a.com'], async () => [{ certificate: 'c', key: 'k' }]);
  assert.equal(kept.size, 0);
  await time.pass(50);
  assert.equal(kept.size, 2);
  assert.equal(kept.get('routes a.com'), routeText(route('2')));
});

test('a record that cannot be read replaces none', async () => {
  const { kept, time, shared } = shareWith();
  shared.routeRead('a.com', route('1'));
  shared.routeRead('a.com', { ...route('2'), problem: 'not JSON' });
  await time.pass(50);
  assert.equal(kept.get('routes a.com'), routeText(route('1')));
});

test('the records of others are asked for once, when they are needed, and forgotten when the store is back', async () => {
  const { kept, shared, asked } = shareWith();
  kept.add([['routes a.com', routeText(route('1'))]]);
  await shared.fetchIfAway();
  assert.equal(asked(), 0, 'the store is there');
  shared.lost();
  assert.equal(shared.route('a.com'), undefined);
  await Promise.all([shared.fetch(), shared.fetchIfAway()]);
  assert.equal(asked(), 1);
  assert.deepEqual(shared.route('a.com'), route('1'));
  assert.equal(shared.route('b.com'), undefined);
  shared.restored();
  assert.equal(shared.route('a.com'), undefined);
});

test('a cache without its store serves what other workers have read, and the absences that belong to it', async () => {
  const kept = new KnownRecords(1_000_000);
  const one = shareWith(kept);
  const first = await setUp({ shared: one.shared });
  first.store.records.set('*.b.com', ['wild', 'http://1:1']);
  assert.equal(idOf(await warm(first.store, first.cache, 'a.b.com')), 'wild');
  await one.time.pass(50);
  const two = shareWith(kept);
  const { store, cache } = await setUp({ shared: two.shared });
  two.shared.lost();
  cache.lost();
  assert.equal(idOf(await cache.load('a.b.com')), 'wild');
  assert.equal(store.reads.length, 0);
  const unknown = cache.load('other.b.com');
  await turn();
  store.reads[0]?.fail(new Error('hangs'));
  await assert.rejects(unknown, { code: 'STORE_UNAVAILABLE' });
  cache.restored();
  assert.equal(cache.cached('a.b.com'), undefined, 'it is verified before its next use');
});

test('a read that hangs until the store counts as lost brings what others know', async () => {
  const { kept, shared } = shareWith();
  kept.add([['routes a.com', routeText(route('1'))]]);
  const { store, cache } = await setUp({ shared });
  const loading = cache.load('a.com');
  await turn();
  shared.lost();
  cache.lost();
  store.reads[0]?.fail(new Error('the connection is lost'));
  await turn();
  for (const read of [...store.reads]) read.fail(new Error('not connected'));
  assert.equal(idOf(await loading), '1');
});

test('a record that is gone from the store is not served from what was known before', async () => {
  const { kept, time, shared } = shareWith();
  const { store, cache } = await setUp({ shared });
  store.records.set('a.com', ['1', 'http://1:1']);
  await warm(store, cache, 'a.com');
  store.prompt = true;
  store.change('a.com', null);
  await turn();
  await time.pass(50);
  assert.equal(kept.get('routes a.com'), 'null');
});

test('a changed record is forgotten, unless it is read again', async () => {
  const { kept, time, shared } = shareWith();
  shared.routeRead('a.com', route('1'));
  shared.routeRead('b.com', null);
  await shared.readCertificates(['a.com'], async () => [{ certificate: 'c', key: 'k' }]);
  await time.pass(50);
  shared.changed('routes', ['a.com', 'b.com']);
  shared.routeRead('a.com', route('2'));
  await time.pass(50);
  assert.equal(kept.get('routes a.com'), routeText(route('2')));
  assert.equal(kept.get('routes b.com'), undefined);
  assert.notEqual(kept.get('certificates a.com'), undefined);
  shared.changed('certificates', ['a.com']);
  await time.pass(50);
  assert.equal(kept.get('certificates a.com'), undefined);
});

test('when anything may have changed, all records of the worker need a reader', async () => {
  const { kept, time, shared } = shareWith();
  shared.routeRead('a.com', route('1'));
  shared.expired();
  assert.deepEqual(kept.assign(10, 2), ['routes a.com']);
  const regular = shareWith(new KnownRecords(1000), 'expiry');
  regular.shared.routeRead('a.com', route('1'));
  await regular.time.pass(50);
  regular.shared.expired();
  assert.deepEqual(regular.kept.assign(10, 2), [], 'a store without word of changes says so all the time');
  assert.equal(time.pending, 0);
});

test('records that are given to a worker are read and reported, once the store can be read', async () => {
  const { kept, time, shared, store } = shareWith();
  kept.add([
    ['routes a.com', routeText(route('1'))],
    ['routes b.com', routeText(route('1'))],
  ]);
  store.records.set('a.com', route('2'));
  shared.lost();
  shared.verify(['routes a.com', 'routes b.com']);
  assert.deepEqual(store.reads, []);
  const { read } = store.routes;
  store.routes.read = () => Promise.reject(new Error('not yet'));
  shared.restored();
  await turn();
  store.routes.read = read;
  await time.pass(1000);
  await turn();
  await time.pass(50);
  assert.deepEqual(store.reads, ['a.com', 'b.com']);
  assert.equal(kept.get('routes a.com'), routeText(route('2')));
  assert.equal(kept.get('routes b.com'), 'null', 'it was removed');
  assert.equal(time.pending, 0);
});

test('a store that refuses reads is like one that is away: others are asked, and not too often', async () => {
  const { kept, time, shared, asked } = shareWith();
  kept.add([['routes a.com', routeText(route('1'))]]);
  const { store, cache } = await setUp({ shared });
  const loads = [cache.load('a.com'), cache.load('a.com')];
  for (let count = 0; count < 5; count++) {
    await turn();
    for (const read of store.reads.splice(0)) read.fail(new Error('NOPERM'));
  }
  assert.deepEqual((await Promise.all(loads)).map(idOf), ['1', '1']);
  assert.equal(asked(), 1);
  // A reading succeeds, and the next one fails again.
  shared.routeRead('b.com', route('2'));
  assert.equal(shared.route('a.com'), undefined);
  await shared.fetch();
  assert.equal(asked(), 1);
  await time.pass(10_000);
  await shared.fetch();
  assert.equal(asked(), 2);
});

test('a record that changes while it is read is not known in its old state: of a verification, and of a first request', async () => {
  const { kept, time, shared, store } = shareWith();
  store.records.set('a.com', route('old'));
  const { read } = store.routes;
  store.routes.read = async (patterns) => {
    const old = await read(patterns);
    // The reply and the word of the change come in one read of the socket.
    shared.changed('routes', ['a.com']);
    return old;
  };
  shared.verify(['routes a.com']);
  await turn();
  await time.pass(50);
  assert.equal(kept.get('routes a.com'), undefined);
  const pair = { certificate: 'old', key: 'k' };
  await shared.readCertificates(['a.com', 'c.com'], async () => {
    shared.changed('certificates', ['a.com']);
    return [pair, pair];
  });
  await time.pass(50);
  assert.deepEqual([kept.get('certificates a.com'), kept.get('certificates c.com') === undefined], [undefined, false]);
  const second = await setUp({ shared });
  second.store.records.set('b.com', ['old', 'http://1:1']);
  const loading = second.cache.load('b.com');
  await turn();
  const deliveries = [...second.store.reads].map((each) => each.take());
  second.store.listener?.changed('routes', ['b.com']);
  shared.changed('routes', ['b.com']);
  for (const deliver of deliveries) deliver();
  await loading;
  await time.pass(50);
  assert.equal(kept.get('routes b.com'), undefined);
});

test('while the alarm of the wipe guard is raised, the records of others are known although the store is there', async () => {
  const { kept, shared, asked } = shareWith();
  kept.add([['routes a.com', routeText(route('1'))]]);
  await shared.hold(true);
  await shared.hold(true);
  assert.equal(asked(), 1);
  shared.routeRead('b.com', route('2'));
  shared.restored();
  assert.deepEqual(shared.route('a.com'), route('1'));
  shared.lost();
  await shared.hold(false);
  assert.deepEqual(shared.route('a.com'), route('1'), 'the store is away');
  shared.restored();
  assert.equal(shared.route('a.com'), undefined);
});

test('a handshake does not wait without end for the judgement', async () => {
  const pair = { certificate: 'c', key: 'k' };
  const { time, shared } = shareWith(undefined, 'push', () => new Promise(() => {}));
  const read = (found: typeof pair | null) => shared.readCertificates(['a.com'], async () => [found]);
  await read(pair);
  await time.pass(50);
  for (let i = 0; i < 2; i++) {
    const reading = read(null);
    await time.pass(2000);
    assert.deepEqual(await reading, [pair], 'not judged');
    // Any other route that is read meanwhile changes nothing.
    shared.routeRead('b.com', route('1'));
  }
});

test('a certificate that was there is gone once the store is judged; if it was wiped, it is served as it was', async () => {
  let judged = 0;
  let isWiped = false;
  const pair = { certificate: 'c', key: 'k' };
  const { kept, time, shared } = shareWith(undefined, 'push', async () => {
    judged++;
    if (isWiped) void shared.hold(true);
  });
  const read = (found: typeof pair | null) => shared.readCertificates(['a.com', '*.com'], async () => [found, null]);
  assert.deepEqual(await read(null), [null, null]);
  assert.equal(judged, 0, 'clients may ask for any name');
  assert.deepEqual(await read(pair), [pair, null]);
  assert.deepEqual(await read(null), [null, null]);
  assert.deepEqual(await read(null), [null, null]);
  assert.equal(judged, 1);
  await read(pair);
  await time.pass(50);
  assert.notEqual(kept.get('certificates a.com'), undefined);
  isWiped = true;
  assert.deepEqual(await read(null), [pair, null]);
  assert.equal(shared.certificate('a.com'), undefined, 'one in the store comes first');
  await shared.hold(false);
  isWiped = false;
  assert.deepEqual(await read(null), [null, null]);
});

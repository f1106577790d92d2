import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, beforeEach, describe, type TestContext, test } from 'node:test';
import { RedisServer } from '../../../test/helpers/redis-server.ts';
import { until } from '../../../test/helpers/until.ts';
import type { InstanceCollection } from '../contract.ts';
import { Watch } from '../watch.suite.ts';
import { openRedis, type RedisStoreOptions } from './redis-store.ts';

describe('redis, what other programs write', () => {
  let server: RedisServer;

  before(async () => {
    server = await RedisServer.start();
  });
  after(() => server.remove());
  beforeEach(() => server.cli('flushall'));

  async function open(t: TestContext, options: RedisStoreOptions = {}) {
    const store = await openRedis([server.url], { serving: true, ...options });
    t.after(() => store.close());
    const seen = new Watch();
    await store.watch(seen);
    const urlsDown = async (pattern: string) => [...((await store.routes.read([pattern]))[0]?.down.keys() ?? [])];
    return { store, seen, urlsDown };
  }

  test('routes made and changed by redis-cli are reported and read as they are', async (t) => {
    const { store, seen } = await open(t);
    const steps: readonly (readonly [command: string, frontend: readonly string[] | undefined])[] = [
      ['rpush frontend:www.a.example app', ['app']],
      ['rpush frontend:www.a.example http://10.0.0.1:80', ['app', 'http://10.0.0.1:80']],
      ['rpush frontend:www.a.example http://10.0.0.2:80', ['app', 'http://10.0.0.1:80', 'http://10.0.0.2:80']],
      ['lset frontend:www.a.example 1 http://10.0.0.3:80', ['app', 'http://10.0.0.3:80', 'http://10.0.0.2:80']],
      ['lrem frontend:www.a.example 0 http://10.0.0.2:80', ['app', 'http://10.0.0.3:80']],
      ['rename frontend:www.a.example frontend:b.example', undefined],
      ['rename frontend:b.example frontend:www.a.example', ['app', 'http://10.0.0.3:80']],
      ['del frontend:www.a.example', undefined],
      ['rpush frontend:www.a.example again', ['again']],
      ['pexpire frontend:www.a.example 1', undefined],
    ];
    for (const [command, frontend] of steps) {
      await store.routes.read(['www.a.example']);
      const told = seen.next('routes', 'www.a.example');
      await server.cli(...command.split(' '));
      await told;
      await until(command, async () => {
        const [host] = await store.routes.read(['www.a.example']);
        return JSON.stringify(host?.frontend) === JSON.stringify(frontend);
      });
    }
  });

  test('marks of a wrong type are named, and the route serves', async (t) => {
    const { store } = await open(t, { deadSet: true });
    await server.cli('rpush', 'frontend:a.example', 'id', 'http://a:1', 'http://b:1');
    await server.cli('set', 'down:a.example', 'text');
    await server.cli('set', 'dead:a.example', 'text');
    const [host] = await store.routes.read(['a.example']);
    assert.equal(host?.problem, undefined);
    assert.match(host?.diagnostics?.[0] ?? '', /the key down:a\.example is not a hash/);
    assert.match(host?.diagnostics?.[1] ?? '', /the key dead:a\.example is not a set/);
    const mark = { untilMs: Date.now() + 30_000, sinceMs: Date.now(), reason: 'test', instance: 'i' };
    await store.marks.write('a.example', 'http://b:1', mark);
    assert.deepEqual([...((await store.routes.read(['a.example']))[0]?.down.keys() ?? [])], ['http://b:1']);
    assert.equal(await server.cli('smembers', 'dead:a.example'), '1');
    await server.cli('set', 'dead:a.example', 'text');
    await store.marks.remove('a.example', 'http://b:1');
    assert.equal(await server.cli('exists', 'down:a.example'), '0');
  });

  test('a revision that is no number is counted anew, and the change is made', async (t) => {
    const log: string[] = [];
    const note = (message: string) => void log.push(message);
    const { store } = await open(t, { log: { info: note, warn: note } });
    for (const command of ['set hipache:revision text', 'hset hipache:revision a b']) {
      await server.cli('del', 'hipache:revision');
      await server.cli(...command.split(' '));
      await store.routes.set('a.example', command, ['http://a:1']);
      assert.equal((await store.routes.read(['a.example']))[0]?.frontend[0], command);
      assert.equal(await server.cli('get', 'hipache:revision'), '1');
    }
    assert.ok(log.includes('the key hipache:revision is not a number: counting starts again at 1'));
  });

  test('the record of an instance does not raise the revision, and a raised revision is reported', async (t) => {
    const { store } = await open(t);
    const instances = store.instances as InstanceCollection;
    assert.equal(await instances.revision(), 0);
    await instances.write('i', { revision: '0', host: 'h' }, 30_000);
    await instances.write('i', { revision: '1' }, 30_000);
    assert.equal(await server.cli('hgetall', 'hipache:instance:i'), 'revision\n1');
    const ttl = Number(await server.cli('ttl', 'hipache:instance:i'));
    assert.ok(ttl > 0 && ttl <= 30, `${ttl} s`);
    assert.equal(await server.cli('exists', 'hipache:revision'), '0');
    await store.routes.set('a.example', null, ['http://a:1']);
    assert.equal(await instances.revision(), 1);
    await instances.remove('i');
    assert.equal(await server.cli('exists', 'hipache:instance:i'), '0');
  });

  test('flushdb makes everything expire', async (t) => {
    const { store, seen } = await open(t);
    await server.cli('rpush', 'frontend:a.example', 'id');
    await store.routes.read(['a.example']);
    const expired = seen.event('expired');
    await server.cli('flushdb');
    await expired;
    assert.deepEqual(await store.routes.read(['a.example']), [null]);
  });

  test('flushdb of another database makes everything expire, and swapdb does once connections are closed', async (t) => {
    const { store, seen } = await open(t);
    await server.cli('rpush', 'frontend:a.example', 'id');
    await server.cli('-n', '1', 'rpush', 'frontend:a.example', 'other');
    await store.routes.read(['a.example']);
    const expired = seen.event('expired');
    await server.cli('-n', '2', 'flushdb');
    await expired;
    const lost = seen.event('lost');
    const restored = seen.event('restored');
    await server.cli('swapdb', '0', '1');
    await server.cli('client', 'kill', 'type', 'normal');
    await Promise.all([lost, restored]);
    assert.deepEqual((await store.routes.read(['a.example']))[0]?.frontend, ['other']);
  });

  test('editing keeps the time to live that another program gave a record', async (t) => {
    const { store } = await open(t);
    await server.cli('rpush', 'frontend:a.example', 'http://a:1', 'http://a:1', 'http://b:1');
    await server.cli('expire', 'frontend:a.example', '1000');
    await store.routes.add('a.example', ['http://c:1', 'http://b:1#weight=3']);
    await store.routes.remove('a.example', ['http://a:1']);
    assert.deepEqual((await store.routes.read(['a.example']))[0]?.frontend, [
      'http://a:1',
      'http://b:1#weight=3',
      'http://c:1',
    ]);
    assert.ok(Number(await server.cli('ttl', 'frontend:a.example')) > 900);
  });

  test('an edit that another program crosses is made on what that has written', async (t) => {
    const { store } = await open(t);
    const own: Promise<void>[] = [];
    const foreign: Promise<string>[] = [];
    for (let i = 0; i < 20; i++) {
      own.push(store.routes.add('a.example', [`http://own-${i}:1`]));
      foreign.push(server.cli('rpush', 'frontend:a.example', `http://foreign-${i}:1`));
    }
    await Promise.all([...own, ...foreign]);
    const [host] = await store.routes.read(['a.example']);
    assert.equal(new Set(host?.frontend.filter((url) => String(url).startsWith('http://'))).size, 40);
  });

  test('every write of ours raises the revision, what changes nothing does not', async (t) => {
    const { store } = await open(t);
    await store.routes.set('a.example', null, ['http://a:1', 'http://b:1']);
    await store.marks.write('a.example', 'http://a:1', markFor(60_000));
    await store.certificates.write('a.example', { certificate: 'c', key: 'k' });
    assert.equal(await server.cli('get', 'hipache:revision'), '3');
    await store.marks.remove('a.example', 'http://b:1');
    await store.routes.remove('none.example', []);
    assert.equal(await server.cli('get', 'hipache:revision'), '3');
  });

  test('a certificate of PlanB is read, and one of ours is in its form', async (t) => {
    const { store, seen } = await open(t);
    await store.certificates.read(['*.a.example']);
    const told = seen.next('certificates', '*.a.example');
    await server.cli('hset', 'tls:*.a.example', 'certificate', 'PEM 1', 'key', 'PEM 2');
    await told;
    assert.deepEqual(await store.certificates.read(['*.a.example']), [{ certificate: 'PEM 1', key: 'PEM 2' }]);
    await store.certificates.write('*.a.example', { certificate: 'PEM 3', key: 'PEM 4' });
    assert.equal(await server.cli('hget', 'tls:*.a.example', 'key'), 'PEM 4');
  });

  test('a mark written by hand holds, and one of ours reads as documented', async (t) => {
    const { store } = await open(t);
    const untilMs = Date.now() + 60_000;
    await server.cli('rpush', 'frontend:a.example', 'id', 'http://a:1', 'http://b:1');
    await server.cli('hset', 'down:a.example', 'http://a:1', `${untilMs};by hand;me`, 'http://b:1', 'nonsense');
    const mark = { untilMs, sinceMs: untilMs, reason: 'by hand', instance: 'me' };
    assert.deepEqual((await store.routes.read(['a.example']))[0]?.down, new Map([['http://a:1', mark]]));
    await store.marks.write('a.example', 'http://b:1', {
      untilMs,
      sinceMs: untilMs - 5,
      reason: 'status 502',
      instance: 'x;y',
    });
    assert.equal(await server.cli('hget', 'down:a.example', 'http://b:1'), `${untilMs};status 502;x,y;${untilMs - 5}`);
    await server.cli('set', 'down:b.example', 'no hash');
    await server.cli('rpush', 'frontend:b.example', 'id', 'http://a:1', 'http://b:1');
    assert.equal((await store.routes.read(['b.example']))[0]?.down.size, 0);
    await store.marks.write('b.example', 'http://b:1', mark);
    assert.deepEqual((await store.routes.read(['b.example']))[0]?.down, new Map([['http://b:1', mark]]));
  });

  test('the marks of a route end with the last of them, and their end is reported', async (t) => {
    const { store, seen } = await open(t);
    await store.routes.set('a.example', null, ['http://a:1', 'http://b:1']);
    await store.marks.write('a.example', 'http://a:1', markFor(300));
    await store.routes.read(['a.example']);
    await seen.next('routes', 'a.example');
    await until('the marks to go', async () => (await server.cli('exists', 'down:a.example')) === '0');
  });

  test('a new mark is published on the channel dead, with the index of its backend', async (t) => {
    const { store } = await open(t);
    const listener = await subscribe(t, server);
    await store.routes.set('a.example', null, ['http://a:1', 'http://b:1#weight=2', 'http://c:1']);
    await store.marks.write('a.example', 'http://b:1', markFor(60_000));
    await until('the message', () => listener.lines().includes('a.example;http://b:1;1;3'));
    assert.equal(await server.cli('exists', 'dead:a.example'), '0', 'by default no dead set is written');
  });

  test('a note that is announced is published on the channel hipache:events, once it is written', async (t) => {
    const { store } = await open(t);
    const listener = await subscribe(t, server, 'hipache:events');
    const condition = { expected: null, ttlMs: 60_000, announce: true };
    assert.equal(await store.notes.write('wake:a.example', 'first', condition), true);
    assert.equal(await store.notes.write('wake:a.example', 'second', condition), false);
    await store.notes.write('wake:b.example', 'third', condition);
    await until('the message', () => listener.lines().includes('third'));
    assert.deepEqual([listener.lines().includes('first'), listener.lines().includes('second')], [true, false]);
  });

  test('compat.deadSet: a mark is in the dead set too, and one there marks the backend that it named', async (t) => {
    const { store, urlsDown, seen } = await open(t, { deadSet: true });
    await server.cli('rpush', 'frontend:a.example', 'id', 'http://a:1', 'http://b:1', 'http://c:1', 'http://d:1');
    await store.marks.write('a.example', 'http://b:1', markFor(20_000));
    assert.equal(await server.cli('smembers', 'dead:a.example'), '1');
    assert.ok(Number(await server.cli('ttl', 'dead:a.example')) > 10);
    assert.deepEqual(await urlsDown('a.example'), ['http://b:1']);
    const told = seen.next('routes', 'a.example');
    await server.cli('sadd', 'dead:a.example', '2', 'x', '77');
    await told;
    assert.deepEqual(await urlsDown('a.example'), ['http://b:1', 'http://c:1']);
    await server.cli('lrem', 'frontend:a.example', '1', 'http://a:1');
    assert.deepEqual(await urlsDown('a.example'), ['http://b:1', 'http://c:1'], 'an edit of the list moves no mark');
    await server.cli('srem', 'dead:a.example', '2');
    assert.deepEqual(await urlsDown('a.example'), ['http://b:1']);
    await server.cli('sadd', 'dead:a.example', '2');
    assert.deepEqual(await urlsDown('a.example'), ['http://b:1', 'http://d:1'], 'a new mark is of the list of now');
    await store.marks.remove('a.example', 'http://b:1');
    await server.cli('del', 'dead:a.example');
    assert.deepEqual(await urlsDown('a.example'), []);
  });

  test('compat.deadSet: a repeated URL is marked and unmarked by all its indexes', async (t) => {
    const { store, urlsDown } = await open(t, { deadSet: true });
    const { store: other } = await open(t, { deadSet: true });
    await server.cli('rpush', 'frontend:a.example', 'd', 'http://b:1', 'http://b:1', 'http://a:1');
    await store.marks.write('a.example', 'http://b:1', markFor(20_000));
    assert.equal(await server.cli('smembers', 'dead:a.example'), '0\n1');
    // The probes that find it recovered run in another process than the one that has set the mark.
    await other.marks.remove('a.example', 'http://b:1');
    assert.equal(await server.cli('exists', 'dead:a.example'), '0');
    await server.cli('sadd', 'dead:a.example', '1');
    await other.marks.remove('a.example', 'http://b:1');
    assert.equal(await server.cli('exists', 'dead:a.example'), '0', 'also an index that the original has added');
    assert.deepEqual(await urlsDown('a.example'), []);
  });

  test('compat.deadSet: after an edit of the list, the indexes that were written are removed', async (t) => {
    const { store, urlsDown } = await open(t, { deadSet: true });
    await server.cli('rpush', 'frontend:a.example', 'd', 'http://a:1', 'http://b:1', 'http://b:1', 'http://c:1');
    await server.cli('sadd', 'dead:a.example', '0');
    assert.deepEqual(await urlsDown('a.example'), ['http://a:1']);
    await store.marks.write('a.example', 'http://b:1', markFor(20_000));
    await server.cli('lrem', 'frontend:a.example', '1', 'http://a:1');
    const { store: later, urlsDown: downLater } = await open(t, { deadSet: true });
    assert.deepEqual(await downLater('a.example'), ['http://b:1'], 'a later process knows what 1 and 2 meant');
    await store.marks.remove('a.example', 'http://b:1');
    assert.equal(await server.cli('smembers', 'dead:a.example'), '0', 'the index of the other backend stays');
    await later.marks.write('a.example', 'http://c:1', markFor(20_000));
    await server.cli('linsert', 'frontend:a.example', 'before', 'http://c:1', 'http://d:1');
    await later.marks.write('a.example', 'http://c:1', markFor(30_000));
    assert.equal(await server.cli('smembers', 'dead:a.example'), '0\n3', 'a longer mark has the indexes of now');
    await store.marks.remove('a.example', 'http://c:1');
    assert.equal(await server.cli('smembers', 'dead:a.example'), '0');
  });

  test('compat.deadSet: an index that two marks have written goes with the later of them', async (t) => {
    const { store } = await open(t, { deadSet: true });
    await server.cli('rpush', 'frontend:a.example', 'd', 'http://a:1', 'http://b:1', 'http://c:1');
    await store.marks.write('a.example', 'http://b:1', markFor(20_000));
    await server.cli('linsert', 'frontend:a.example', 'before', 'http://a:1', 'http://z:1');
    await store.marks.write('a.example', 'http://a:1', markFor(20_000));
    assert.equal(await server.cli('smembers', 'dead:a.example'), '1');
    await store.marks.remove('a.example', 'http://b:1');
    assert.equal(await server.cli('smembers', 'dead:a.example'), '1', 'it is that of a, too');
    await store.marks.remove('a.example', 'http://a:1');
    assert.equal(await server.cli('exists', 'dead:a.example'), '0');
  });

  test('compat.deadSet: a mark that has ended leaves the set with the next one', async (t) => {
    const { store, urlsDown } = await open(t, { deadSet: true });
    await store.routes.set('a.example', null, ['http://a:1', 'http://b:1', 'http://c:1']);
    const ended = markFor(1);
    await store.marks.write('a.example', 'http://c:1', markFor(20_000));
    await store.marks.write('a.example', 'http://a:1', ended);
    await until('its end', () => Date.now() > ended.untilMs);
    await store.marks.write('a.example', 'http://b:1', markFor(20_000));
    assert.equal(await server.cli('smembers', 'dead:a.example'), '1\n2');
    assert.deepEqual(new Set(await urlsDown('a.example')), new Set(['http://b:1', 'http://c:1']));
  });

  test('compat.deadSet: another mark that prolongs the set does not prolong one of ours', async (t) => {
    const { store } = await open(t, { deadSet: true });
    await store.routes.set('a.example', null, ['http://a:1', 'http://b:1']);
    const mark = markFor(30_000);
    await store.marks.write('a.example', 'http://a:1', mark);
    await server.cli('expire', 'dead:a.example', '1000');
    assert.deepEqual((await store.routes.read(['a.example']))[0]?.down, new Map([['http://a:1', mark]]));
  });

  test('while an external checker runs it alone marks, and its set is honoured', async (t) => {
    const { store, urlsDown, seen } = await open(t);
    const listener = await subscribe(t, server);
    await store.routes.set('a.example', null, ['http://a:1', 'http://b:1', 'http://c:1']);
    await store.marks.write('a.example', 'http://b:1', markFor(20_000));
    await server.cli('sadd', 'dead:a.example', '0');
    assert.deepEqual(await urlsDown('a.example'), ['http://b:1'], 'without a checker its set is not read');
    const begins = seen.event('expired');
    await server.cli('set', 'hchecker_ping', String(Math.floor(Date.now() / 1000)));
    await begins;
    assert.deepEqual(new Set(await urlsDown('a.example')), new Set(['http://a:1', 'http://b:1']));
    assert.equal(await store.marks.write('a.example', 'http://c:1', markFor(20_000)), false);
    await until('the message', () => listener.lines().includes('a.example;http://c:1;2;3'));
    assert.equal(await server.cli('hexists', 'down:a.example', 'http://c:1'), '0');
    assert.deepEqual(new Set(await urlsDown('a.example')), new Set(['http://a:1', 'http://b:1']));
    const ends = seen.event('expired');
    await server.cli('set', 'hchecker_ping', String(Math.floor(Date.now() / 1000) - 31));
    await ends;
    assert.deepEqual(await urlsDown('a.example'), ['http://b:1']);
  });

  test('compat.deadSet false: neither a checker nor its set is looked at', async (t) => {
    const { store, urlsDown } = await open(t, { deadSet: false });
    await server.cli('set', 'hchecker_ping', String(Math.floor(Date.now() / 1000)));
    await store.routes.set('a.example', null, ['http://a:1', 'http://b:1', 'http://c:1']);
    await server.cli('sadd', 'dead:a.example', '0');
    await store.marks.write('a.example', 'http://b:1', markFor(20_000));
    assert.deepEqual(await urlsDown('a.example'), ['http://b:1']);
  });

  test('a command sees a checker too', async (t) => {
    await server.cli('set', 'hchecker_ping', String(Math.floor(Date.now() / 1000)));
    await server.cli('rpush', 'frontend:a.example', 'id', 'http://a:1', 'http://b:1');
    await server.cli('sadd', 'dead:a.example', '1');
    const { urlsDown } = await open(t, { serving: false });
    assert.deepEqual(await urlsDown('a.example'), ['http://b:1']);
  });

  test('pages of a list visit every key once while other processes write', async (t) => {
    const { store } = await open(t);
    for (let i = 0; i < 25; i++) await store.routes.set(`h${String(i).padStart(2, '0')}.example`, null, ['http://a:1']);
    await server.cli('config', 'resetstat');
    const seen: string[] = [];
    for (;;) {
      const page = await store.routes.list(seen.at(-1) ?? '', 4);
      if (page.length === 0) break;
      if (seen.length === 0) await server.cli('del', 'frontend:h05.example', 'frontend:h24.example');
      seen.push(...page.map(({ pattern }) => pattern));
    }
    assert.equal(seen.length, 23);
    const stats = await server.cli('info', 'commandstats');
    assert.match(stats, /cmdstat_scan:calls=[12],/);
  });
});

function markFor(ttlMs: number) {
  const nowMs = Date.now();
  return { untilMs: nowMs + ttlMs, sinceMs: nowMs, reason: 'status 502', instance: 'test' };
}

/** Collects everything published on a channel from now on. */
async function subscribe(
  t: TestContext,
  server: RedisServer,
  channel = 'dead',
): Promise<{ lines(): readonly string[] }> {
  const child = spawn('redis-cli', ['-p', String(server.port), 'subscribe', channel], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => void child.kill());
  let output = '';
  child.stdout.on('data', (bytes: Buffer) => {
    output += bytes.toString();
  });
  await until('the subscription', () => output.includes('subscribe'));
  return { lines: () => output.split('\n') };
}

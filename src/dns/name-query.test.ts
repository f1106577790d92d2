import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FakeServers } from '../../test/helpers/fake-channel.ts';
import { FakeTime } from '../../test/helpers/fake-time.ts';
import { NameQuery } from './name-query.ts';
import { ServerPreference } from './server-preference.ts';

const preferenceOfOne = new ServerPreference();

function ask(
  name: string,
  conf: { servers?: string[]; search?: string[]; ndots?: number; preference?: ServerPreference },
) {
  const time = new FakeTime();
  const servers = new FakeServers();
  const results: unknown[] = [];
  const query = new NameQuery(
    name,
    {
      found: ({ addresses, ttlSeconds, missing }) => void results.push([addresses.join(' '), ttlSeconds, missing]),
      failed: ({ code }) => void results.push(code),
    },
    {
      timeoutMs: 5000,
      clock: time.clock,
      setTimer: time.setTimer,
      preference: conf.preference ?? preferenceOfOne,
      openChannel: servers.openChannel,
    },
  );
  query.start({ servers: conf.servers ?? ['s1'], search: conf.search ?? [], ndots: conf.ndots ?? 1 }, []);
  return { time, servers, results, query };
}

describe('both families', () => {
  test('are asked for together; IPv4 is first and the lower TTL counts', () => {
    const { servers, results, time } = ask('a.test', {});
    assert.deepEqual(servers.asked, ['s1 a.test A', 's1 a.test AAAA']);
    servers.reply('s1 a.test AAAA', ['::1'], 5);
    servers.reply('s1 a.test A', ['10.0.0.1', '10.0.0.2'], 7);
    assert.deepEqual(results, [['10.0.0.1 10.0.0.2 ::1', 5, null]]);
    assert.equal(time.pending, 0);
  });

  test('need not both have addresses', () => {
    const { servers, results } = ask('a.test', {});
    servers.reply('s1 a.test A', 'ENODATA');
    servers.reply('s1 a.test AAAA', ['::1']);
    assert.deepEqual(results, [['::1', 10, null]]);
  });

  test('need not both be resolved', () => {
    const { servers, results } = ask('a.test', {});
    servers.reply('s1 a.test A', 'ESERVFAIL');
    servers.reply('s1 a.test AAAA', ['::1']);
    assert.deepEqual(results, [['::1', 10, 4]]);
  });

  test('are not waited for much longer than for the first one with addresses', async () => {
    const { servers, results, time } = ask('a.test', {});
    await time.pass(900);
    servers.reply('s1 a.test A', ['10.0.0.1']);
    await time.pass(249);
    assert.deepEqual(results, []);
    await time.pass(1);
    assert.deepEqual(results, [['10.0.0.1', 10, 6]]);
    assert.deepEqual(servers.asked, [], 'the slow query is cancelled');
  });

  test('that have no addresses are a certain failure', () => {
    for (const [four, six, code] of [
      ['ENOTFOUND', 'ENOTFOUND', 'ENOTFOUND'],
      ['ENODATA', 'ENOTFOUND', 'ENODATA'],
      ['EBADNAME', 'EBADNAME', 'ENOTFOUND'],
      ['ENODATA', 'EREFUSED', 'EREFUSED'],
    ] as const) {
      const { servers, results } = ask('a.test', {});
      servers.reply('s1 a.test A', four);
      servers.reply('s1 a.test AAAA', six);
      assert.deepEqual(results, [code]);
    }
  });
});

describe('name servers', () => {
  test('are asked one after the other until one replies, in rounds, until the time is over', async () => {
    const { servers, results, time } = ask('a.test', { servers: ['s1', 's2'] });
    const asked: string[] = [];
    for (let second = 0; second < 5; second++) {
      asked.push(servers.asked[0]?.slice(0, 2) ?? '');
      await time.pass(1000);
    }
    assert.deepEqual(asked, ['s1', 's2', 's1', 's1', 's2']);
    assert.deepEqual(results, ['ETIMEOUT']);
    assert.deepEqual(servers.asked, []);
    assert.equal(time.pending, 0);
  });

  test('that refuse or fail are passed over at once, and not asked twice', () => {
    const { servers, results } = ask('a.test', { servers: ['s1', 's2'] });
    for (const [server, code] of [
      ['s1', 'ECONNREFUSED'],
      ['s2', 'EREFUSED'],
    ] as const) {
      servers.reply(`${server} a.test A`, code);
      servers.reply(`${server} a.test AAAA`, code);
    }
    assert.deepEqual(results, ['EREFUSED']);
  });

  test('are asked for A alone no further once the name certainly has addresses', async () => {
    const { servers, results } = ask('a.test', { servers: ['s1', 's2'] });
    servers.reply('s1 a.test A', ['10.0.0.1']);
    servers.reply('s1 a.test AAAA', 'ESERVFAIL');
    assert.deepEqual(results, [['10.0.0.1', 10, 6]]);
  });

  test('that helped when another did not are asked first from then on', async () => {
    const preference = new ServerPreference();
    const first = ask('dead.test', { servers: ['s1', 's2'], preference });
    await first.time.pass(5000);
    const second = ask('a.test', { servers: ['s1', 's2'], preference });
    assert.equal(second.servers.asked[0], 's1 a.test A', 'a name that nobody answers changes nothing');
    await second.time.pass(1000);
    second.servers.reply('s2 a.test A', 'ENOTFOUND');
    second.servers.reply('s2 a.test AAAA', 'ENOTFOUND');
    assert.deepEqual(second.results, ['ENOTFOUND']);
    assert.equal(ask('b.test', { servers: ['s1', 's2'], preference }).servers.asked[0], 's2 b.test A');
    assert.equal(ask('b.test', { servers: ['s1', 's3'], preference }).servers.asked[0], 's1 b.test A');
  });

  test('are not asked any longer once the lookup is cancelled', async () => {
    const { servers, results, time, query } = ask('a.test', {});
    query.cancel();
    assert.deepEqual(servers.asked, []);
    assert.equal(time.pending, 0);
    await time.pass(5000);
    assert.deepEqual(results, []);
  });
});

describe('the search list', () => {
  const absent = (servers: FakeServers, name: string, code = 'ENOTFOUND') => {
    servers.reply(`s1 ${name} A`, code);
    servers.reply(`s1 ${name} AAAA`, code);
  };

  test('is tried until a name has addresses', () => {
    const { servers, results } = ask('a', { search: ['x.test', 'y.test'] });
    absent(servers, 'a.x.test', 'ENODATA');
    servers.reply('s1 a.y.test A', ['10.0.0.1']);
    servers.reply('s1 a.y.test AAAA', 'ENODATA');
    assert.deepEqual(results, [['10.0.0.1', 10, null]]);
  });

  test('is tried further after SERVFAIL, which is then the failure', () => {
    const { servers, results } = ask('a', { search: ['x.test'] });
    absent(servers, 'a.x.test', 'ESERVFAIL');
    absent(servers, 'a');
    assert.deepEqual(results, ['ESERVFAIL']);
  });

  test('is not tried further after a timeout', async () => {
    const { servers, results, time } = ask('a', { search: ['x.test'] });
    await time.pass(4999);
    assert.deepEqual(servers.asked, ['s1 a.x.test A', 's1 a.x.test AAAA']);
    await time.pass(1);
    assert.deepEqual(results, ['ETIMEOUT']);
  });
});

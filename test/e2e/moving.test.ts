import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { openStore } from '../../src/stores/open-store.ts';
import { Authority } from '../helpers/authority.ts';
import { EtcdServer } from '../helpers/etcd-server.ts';
import { HipacheHome, runHipache } from '../helpers/hipache.ts';
import { RedisServer } from '../helpers/redis-server.ts';

describe('routes and certificates', () => {
  const home = new HipacheHome();
  const authority = new Authority();
  let redis: RedisServer;
  let etcd: EtcdServer;
  const routes: Record<string, readonly string[]> = {
    '*': ['all', 'http://a:1'],
    '*.example': ['wild', 'http://a:1#weight=3', 'http://b:1', 'http://b:1'],
    'shop.example': ['shop', 'http://a:1', 'not a URL', ''],
  };
  for (let i = 0; i < 2500; i++)
    routes[`host-${String(i).padStart(4, '0')}.example`] = ['id', `http://10.0.0.1:${i + 1}`];

  before(async () => {
    redis = await RedisServer.start();
    etcd = await EtcdServer.start();
    const records = Object.entries(routes).map(([pattern, frontend]) => ({ pattern, frontend }));
    const store = await openStore(home.driver);
    await store.routes.put(records);
    await store.options.put([{ pattern: 'shop.example', options: new Map([['tunnelsMax', '3']]) }]);
    const { certificate, key } = authority.issue(['shop.example']);
    await store.certificates.write('shop.example', { certificate, key });
    await store.close();
  });

  after(async () => {
    await home.remove();
    await redis.remove();
    await etcd.remove();
    authority.dispose();
  });

  async function contentOf(driver: string): Promise<object> {
    const found: Record<string, readonly unknown[]> = {};
    const store = await openStore(driver);
    for (let last = ''; ; ) {
      const page = await store.routes.list(last, 1000);
      if (page.length === 0) break;
      for (const { pattern, frontend } of page) found[pattern] = frontend;
      last = page.at(-1)?.pattern ?? '';
    }
    const [certificate] = await store.certificates.read(['shop.example']);
    const [options] = await store.options.read(['shop.example']);
    await store.close();
    return { found, hasCertificate: certificate !== null, options: Object.fromEntries(options?.options ?? []) };
  }

  const whole = { found: routes, hasCertificate: true, options: { tunnelsMax: '3' } };

  it('are copied from store to store, and only what differs is written again', async () => {
    const drivers = [home.driver, redis.url, etcd.urls[0] ?? '', `sqlite:${home.path('copy.sqlite')}`];
    for (const [i, to] of drivers.entries()) {
      const from = drivers[i - 1];
      if (from === undefined) continue;
      const args = ['route', 'copy', '--from', from, '--to', to, '--certificates'];
      // A file that does not exist is not made to show what would be in it.
      if (!to.startsWith('sqlite:')) {
        const dry = await runHipache([...args, '--dry-run']);
        assert.match(dry.stdout, /^created shop\.example {2}"shop" http:\/\/a:1 not a URL$/m);
        assert.match(
          dry.stdout,
          /2503 routes, options of 1 hosts and 1 certificates: 2505 would be created, 0 would be replaced, 0 already/,
        );
      }
      const first = await runHipache(args);
      assert.equal(
        first.stdout,
        '2503 routes, options of 1 hosts and 1 certificates: 2505 created, 0 replaced, 0 already there\n',
        first.stderr,
      );
      assert.deepEqual(await contentOf(to), whole);
      const again = await runHipache([...args, '--json']);
      assert.deepEqual(JSON.parse(again.stdout), {
        ...{ routes: 2503, options: 1, certificates: 1, created: 0, replaced: 0, same: 2505, skipped: 0 },
        dryRun: false,
      });
    }
  });

  it('are exported as lines and imported again, without keys unless they are asked for', async () => {
    const { stdout } = await runHipache(['route', 'export', '--driver', home.driver]);
    assert.doesNotMatch(stdout, /PRIVATE KEY/);
    assert.equal(
      stdout.split('\n')[2],
      '{"route":{"pattern":"*.example","frontend":["wild","http://a:1#weight=3","http://b:1","http://b:1"]}}',
    );
    const all = await runHipache(['route', 'export', '--certificates', '--driver', home.driver]);
    writeFileSync(home.path('all.jsonl'), all.stdout);
    const target = `sqlite:${home.path('imported.sqlite')}`;
    const { stdout: said, code } = await runHipache(['route', 'import', home.path('all.jsonl'), '--driver', target]);
    assert.deepEqual(
      [code, said],
      [0, '2503 routes, options of 1 hosts and 1 certificates: 2505 created, 0 replaced, 0 already there\n'],
    );
    assert.deepEqual(await contentOf(target), whole);
    const rest = await runHipache(['route', 'export', '--after', 'host-2498.example', '--driver', target]);
    assert.deepEqual(
      rest.stdout.split('\n').map((line) => line.slice(2, 9)),
      ['options', 'route":', 'route":', ''],
    );
  });

  it('that cannot be read are named by their line, and those before them are in the store', async () => {
    const good = Array.from(
      { length: 1000 },
      (_, i) => `{"route":{"pattern":"n${i}.example","id":"x","backends":["http://a:1"]}}`,
    );
    const target = `sqlite:${home.path('partly.sqlite')}`;
    for (const [line, problem] of [
      ['{"route":', /line 1001: it is not JSON/],
      ['[]', /line 1001: it is none of/],
      ['{"route":{"backends":[]}}', /line 1001: it has no text "pattern"/],
      ['{"route":{"pattern":"a.example"}}', /line 1001: a route needs the array/],
      ['{"certificate":{"pattern":"a.example","key":"x"}}', /line 1001: a certificate needs/],
    ] as const) {
      writeFileSync(home.path('bad.jsonl'), [...good, line].join('\n'));
      const { code, stderr, stdout } = await runHipache([
        'route',
        'import',
        home.path('bad.jsonl'),
        '--driver',
        target,
      ]);
      assert.deepEqual([code, stdout], [2, '']);
      assert.match(stderr, problem);
      assert.match(stderr, /run the command again: records that are there already are left alone/);
    }
    assert.equal((await runHipache(['route', 'list', '--driver', target])).stdout.split('\n').length - 1, 1000);
    const missing = await runHipache(['route', 'import', home.path('none.jsonl'), '--driver', target]);
    assert.deepEqual([missing.code, missing.stderr.includes('none.jsonl does not exist')], [2, true]);
  });
});

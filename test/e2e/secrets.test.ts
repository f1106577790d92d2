import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { HipacheHome, runHipache } from '../helpers/hipache.ts';
import { RedisServer } from '../helpers/redis-server.ts';

describe('secrets', () => {
  let home: HipacheHome;

  beforeEach(() => {
    home = new HipacheHome();
  });

  afterEach(() => home.remove());

  const drivers: readonly (string | readonly string[])[] = [
    'redis://S3cret@127.0.0.1:1/0',
    'redis://:S3cret@127.0.0.1:1/0',
    'rediss://user:S3cret@127.0.0.1:1/0',
    'redis+unix://S3cret@/run/none.sock?db=0',
    ['redis://S3cret@127.0.0.1:1', 'redis://u:S3cret@127.0.0.1:2'],
    'redis://127.0.0.1:1/0?password=S3cret',
    'redis://127.0.0.1:1/S3cret@x',
    'redis://S3cret/x@127.0.0.1:1',
    'redis:S3cret@127.0.0.1',
    'redis+unix:///:S3cret@/run/none.sock',
    'etcd://S3cret@127.0.0.1',
    'nothing://S3cret@127.0.0.1',
    ':S3cret@127.0.0.1',
    'sqlite://S3cret@127.0.0.1',
  ];
  for (const driver of drivers) {
    it(`of ${JSON.stringify(driver)} are in no output of --dry, and in no error`, async () => {
      home.configure({ driver });
      const given = typeof driver === 'string' ? [['route', 'list', '--driver', driver]] : [];
      for (const args of [['--dry'], ['route', 'list'], ['explain', 'a.example'], ...given]) {
        const all = args.includes('--driver') ? await runHipache(args) : await home.run(...args);
        assert.doesNotMatch(all.stdout + all.stderr, /S3cret/, args.join(' '));
      }
    });
  }

  it('in a file that cannot be parsed are not quoted', async () => {
    for (const [name, text] of [
      ['broken.yaml', 'driver: ["redis://x"\nfoo: ]"redis://S3cret@h/0" "S3cret"\n'],
      ['broken.yaml', 'driver: "redis://h" redis://S3cret@h\n'],
      ['broken.yaml', 'driver: !S3cret [\n'],
      ['broken.json', '{"driver": "redis://S3cret@h" "x"}'],
    ] as const) {
      writeFileSync(home.path(name), text);
      const { stderr } = await runHipache(['--dry', '--config', home.path(name)]);
      assert.match(stderr, /cannot be read/);
      assert.doesNotMatch(stderr, /S3cret/, text);
    }
  });

  it('in a backend of a record are in no listing and in no message', async () => {
    const server = await RedisServer.start();
    try {
      home.configure({ driver: server.url });
      const urls = ['http://u:S3cret@h:1', 'http://u:S3/cret@h:1', 'http://S3cret@:x', 'ftp://u:S3cret@h'];
      await server.cli('rpush', 'frontend:a.example', 'id', ...urls);
      for (const args of [
        ['route', 'list'],
        ['route', 'list', '--json'],
        ['route', 'show', 'a.example'],
        ['explain', 'a.example', '--json'],
        ['route', 'add', 'a.example', 'http://u:S3/cret@h'],
        ['route', 'remove', 'a.example', ...urls],
      ]) {
        const { stdout, stderr } = await home.run(...args);
        assert.notEqual(stdout + stderr, '');
        assert.doesNotMatch(stdout + stderr, /S3|cret@/, args.join(' '));
      }
    } finally {
      await server.remove();
    }
  });
});

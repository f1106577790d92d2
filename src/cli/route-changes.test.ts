import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { MemcachedServer } from '../../test/helpers/memcached-server.ts';
import { until } from '../../test/helpers/until.ts';
import { recordVersion } from '../stores/record-version.ts';
import { Commands, folder, type Ran } from './commands.suite.ts';

/** Commands of `hipache route` on one store. */
class RouteCommands extends Commands {
  override run(args: readonly string[], stdin = ''): Promise<Ran> {
    return super.run(['route', ...args], stdin);
  }

  apply(lines: readonly object[], ...options: readonly string[]): Promise<Ran> {
    return this.run(['apply', '-', ...options], lines.map((line) => `${JSON.stringify(line)}\n`).join('\n'));
  }
}

const a = 'http://10.0.0.1:80';
const b = 'http://10.0.0.2:80';

describe('--if-version', () => {
  test('writes only a route that has the version, which every command prints', async () => {
    const on = new RouteCommands();
    const { out } = await on.run(['set', 'a.com', a, '--if-version', 'none', '--json']);
    const { version } = JSON.parse(out);
    assert.equal(version, recordVersion(['a.com', a]));
    assert.equal(JSON.parse((await on.run(['show', 'a.com', '--json'])).out).version, version);
    const late = await on.run(['set', 'a.com', b, '--if-version', 'none']);
    assert.deepEqual(late, {
      code: 5,
      out: '',
      err: `hipache: a.com: the change requires no route, but it has version ${version}; nothing is written\n`,
    });
    const added = JSON.parse((await on.run(['add', 'a.com', b, '--if-version', version, '--json'])).out);
    assert.equal(added.version, recordVersion(['a.com', a, b]));
    for (const args of [
      ['add', 'a.com', 'http://c'],
      ['remove', 'a.com', a],
      ['remove', 'a.com'],
    ]) {
      assert.equal((await on.run([...args, '--if-version', version])).code, 5);
    }
    assert.match((await on.run(['remove', 'a.com', a, '--if-version', added.version])).out, /1 backend left; version/);
    assert.match(
      (await on.run(['set', 'b.com', a, '--if-version', version])).err,
      /b\.com: the change requires version [0-9a-f]{16}, but it has no route/,
    );
  });

  test('has to be a version', async () => {
    const { code, err } = await new RouteCommands().run(['set', 'a.com', a, '--if-version', '42']);
    assert.equal(code, 2);
    assert.match(err, /the version "42" is none; "hipache route show" prints it/);
  });
});

describe('--ttl', () => {
  test('is shown until a route is set without it', async () => {
    const on = new RouteCommands();
    assert.match((await on.run(['set', 'a.com', a, '--ttl', '90'])).out, /: http:\S+; expires in 1 min 30 s; version/);
    const { expires } = JSON.parse((await on.run(['show', 'a.com', '--json'])).out);
    assert.ok(expires.remainingMs > 80_000 && expires.remainingMs <= 90_000, JSON.stringify(expires));
    assert.match((await on.run(['add', 'a.com', b])).out, /added/);
    assert.match((await on.run(['show', 'a.com'])).out, /^expires +\S+ \(in 1 min \d+ s\)$/m);
    await on.run(['set', 'a.com', a]);
    assert.doesNotMatch((await on.run(['show', 'a.com'])).out, /expires/);
    assert.match((await on.apply([{ set: 'b.com', backends: [a], ttl: 60 }])).out, /expires in 1 min;/);
  });

  test('ends a route, also if no proxy serves', async () => {
    const on = new RouteCommands();
    await on.run(['set', 'a.com', a, '--ttl', '1']);
    await on.run(['set', 'b.com', a]);
    await until('its end', async () => (await on.run(['show', 'a.com'])).code === 3);
    assert.equal((await on.run(['list'])).out, `b.com  b.com  ${a}\n`);
    assert.match((await on.run(['set', 'a.com', b, '--if-version', 'none'])).out, /route created/);
    assert.doesNotMatch((await on.run(['show', 'a.com'])).out, /expires/);
  });

  test('is a whole number of seconds, and refused where routes do not expire', async () => {
    const on = new RouteCommands();
    for (const ttl of ['0', '-1', '1.5', 'x', '99999999']) {
      const { code, err } = await on.run(['set', 'a.com', a, `--ttl=${ttl}`]);
      assert.equal(code, 2);
      assert.match(
        err,
        /(time to live|--ttl): found \S+, allowed a (whole number of seconds, 1 to 31622400|number of seconds)/,
      );
    }
    const { code, err } = await new RouteCommands(['--driver', `file:${join(folder, 'routes.yaml')}`]).run([
      'set',
      'a.com',
      a,
      '--ttl',
      '9',
    ]);
    assert.equal(code, 1);
    assert.match(err, /a\.com: routes do not expire in this store/);
  });
});

describe('--drain', () => {
  test('removes a backend after its time if the store cannot tell that it has drained', async () => {
    const on = new RouteCommands(['--driver', `file:${join(folder, 'drain.yaml')}`]);
    await on.run(['set', 'a.com', a, b]);
    const command = on.run(['remove', 'a.com', a, '--drain=1']);
    await until('the mark', async () => /^draining +http/m.test((await on.run(['show', 'a.com'])).out));
    const { code, out, err } = await command;
    assert.equal(code, 0, err);
    assert.match(
      out,
      /^a\.com: removed http:\/\/10\.0\.0\.1:80; 1 backend left; version \w+; drained after 1\.\d s\n$/,
    );
    assert.doesNotMatch((await on.run(['show', 'a.com'])).out, /draining/);
  });

  test('ends at once if no instance runs, and needs backends of the route', async () => {
    const on = new RouteCommands();
    await on.run(['set', 'a.com', a, b]);
    const { out } = await on.run(['remove', 'a.com', a, '--drain=3600', '--json']);
    assert.deepEqual([JSON.parse(out).left, JSON.parse(out).drained.instances], [1, 0]);
    await on.run(['add', 'a.com', a]);
    assert.match((await on.run(['remove', 'a.com', a, '--drain=9'])).out, /; no instance runs\n$/);
    assert.equal((await on.run(['remove', 'a.com', a, '--drain=9'])).code, 3);
    assert.equal((await on.run(['remove', 'b.com', a, '--drain=9'])).code, 3);
    assert.equal((await on.run(['remove', 'a.com', b, '--drain=9', '--if-version', 'none'])).code, 5);
    for (const args of [['--drain=9'], [b, '--drain=0'], [b, '--drain=x']]) {
      assert.equal((await on.run(['remove', 'a.com', ...args])).code, 2);
    }
  });
});

describe('route apply', () => {
  test('makes all changes at once, from a file or the standard input', async () => {
    const on = new RouteCommands();
    await on.run(['set', 'b.com', a]);
    await on.run(['set', 'c.com', a]);
    const lines = [
      { set: 'A.com', backends: [a], id: 'shop' },
      { add: 'b.com', backends: [a, b], ifVersion: recordVersion(['b.com', a]) },
      { remove: 'c.com' },
      { remove: 'd.com', backends: [a] },
    ];
    const expected = [
      `a.com: route created, 1 backend: ${a}; version ${recordVersion(['shop', a])}`,
      `b.com: added ${b}; there already: ${a}; version ${recordVersion(['b.com', a, b])}`,
      `c.com: removed ${a}; the route is gone`,
      'd.com: there is no route',
    ];
    const dry = await on.apply(lines, '--dry-run');
    assert.deepEqual(dry.out.split('\n'), [...expected, '4 changes, none of them made: a dry run', '']);
    assert.equal((await on.run(['show', 'a.com'])).code, 3);
    writeFileSync(join(folder, 'changes.jsonl'), lines.map((line) => JSON.stringify(line)).join('\n'));
    const ran = await on.run(['apply', 'changes.jsonl']);
    assert.deepEqual(ran.out.split('\n'), [...expected, '4 changes made', '']);
    assert.equal((await on.run(['list'])).out, `a.com  shop   ${a}\nb.com  b.com  ${a} ${b}\n`);
    const { changes, dryRun } = JSON.parse((await on.apply([{ remove: 'a.com', backends: [b] }], '--json')).out);
    assert.equal(dryRun, false);
    assert.deepEqual(changes, [
      { kind: 'remove', pattern: 'a.com', removed: [], absent: [b], left: 1, version: recordVersion(['shop', a]) },
    ]);
  });

  test('makes none of them if a condition does not hold', async () => {
    const on = new RouteCommands();
    const lines = [
      { set: 'a.com', backends: [a] },
      { set: 'b.com', backends: [a], ifVersion: '0123456789abcdef' },
    ];
    for (const options of [[], ['--dry-run']]) {
      const { code, err } = await on.apply(lines, ...options);
      assert.equal(code, 5);
      assert.match(err, /b\.com: the change requires version 0123456789abcdef, but it has no route; nothing/);
    }
    assert.equal((await on.run(['list'])).out, '');
  });

  test('names every line that is wrong, and makes no change then', async () => {
    const on = new RouteCommands();
    const text = [
      JSON.stringify({ set: 'a.com', backends: [a] }),
      '',
      '{"set": "b.com"',
      '[]',
      '{}',
      JSON.stringify({ set: 'b.com', add: 'b.com', backends: [a] }),
      JSON.stringify({ set: 'b.com', backends: [] }),
      JSON.stringify({ remove: 'b.com', backends: [] }),
      JSON.stringify({ add: 'b.com', backends: [a], id: 'x' }),
      JSON.stringify({ set: 'b.com', backends: ['ftp://x'] }),
      JSON.stringify({ set: 'b com', backends: [a] }),
      JSON.stringify({ set: 7, backends: [a] }),
      JSON.stringify({ set: 'b.com', backends: [a], id: 7 }),
      JSON.stringify({ set: 'b.com', backends: [a], ifVersion: 'x' }),
      JSON.stringify({ set: 'A.com.', backends: [a] }),
    ].join('\n');
    const { code, err } = await on.run(['apply', '-'], text);
    assert.equal(code, 2);
    const lines = err.trimEnd().split('\n');
    assert.deepEqual(
      lines.map((line) => /^hipache: line (\d+): /.exec(line)?.[1]),
      ['3', '4', '5', '6', '7', '8', '9', '10', '11', '12', '13', '14', '15'],
      err,
    );
    assert.match(err, /line 8: .*to remove the whole route, leave it out/);
    assert.match(err, /line 9: "add" has no member "id"; it may have backends, ifVersion/);
    assert.match(err, /line 15: a\.com is changed by line 1 already/);
    assert.equal((await on.run(['list'])).out, '');
  });

  test('says if the store has no transactions', async (t) => {
    const server = await MemcachedServer.start();
    t.after(() => server.stop());
    const on = new RouteCommands(['--driver', server.url]);
    const lines = [
      { set: 'a.com', backends: [a] },
      { set: 'b.com', backends: [a] },
    ];
    for (const options of [[], ['--dry-run']]) {
      const { code, err } = await on.apply(lines, ...options);
      assert.equal(code, 1);
      assert.match(err, /this store has no transactions: 2 changes cannot be made at once; make them one by one/);
    }
    assert.equal((await on.run(['show', 'a.com'])).code, 3);
    assert.equal((await on.apply([{ set: 'a.com', backends: [a] }])).code, 0);
  });
});

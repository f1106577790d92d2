import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { findProgram } from '../../scripts/servers.ts';
import { loadConfig } from '../../src/config/load.ts';
import { fileSchema } from '../../src/config/schema.ts';
import { HipacheHome } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { ask } from '../helpers/http-client.ts';
import { until } from '../helpers/until.ts';

const runFile = promisify(execFile);
const root = join(import.meta.dirname, '..', '..');
const examples = join(root, 'examples');
const isRoot = process.getuid?.() === 0;

describe('the units of systemd', () => {
  const units = readdirSync(join(examples, 'systemd'));

  /** A folder with a service as it is installed, and with the sockets. */
  function install(t: TestContext, service: string): string {
    const folder = mkdtempSync(join(tmpdir(), 'hipache-unit-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    // systemd looks for the program too, which is not installed here.
    const text = readFileSync(join(examples, 'systemd', service), 'utf8');
    const started = text.replace('ExecStart=hipache ', `ExecStart=${join(root, 'bin', 'hipache')} `);
    writeFileSync(join(folder, 'hipache.service'), started);
    copyFileSync(join(examples, 'systemd', 'hipache.socket'), join(folder, 'hipache.socket'));
    return folder;
  }

  for (const name of units.filter((unit) => unit.endsWith('.service'))) {
    const text = readFileSync(join(examples, 'systemd', name), 'utf8');

    test(`${name} is accepted by systemd`, (t) => {
      const folder = install(t, name);
      const files = ['hipache.service', 'hipache.socket'].map((unit) => join(folder, unit));
      const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', ...files], {
        encoding: 'utf8',
      });
      assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: '', stderr: '' });
    });

    test(`${name} leaves room for the defaults of the configuration`, () => {
      const { server } = fileSchema.parse({});
      const value = (key: string): number => Number(new RegExp(`^${key}=(\\d+)$`, 'm').exec(text)?.[1]);
      assert.ok(value('TimeoutStopSec') > server.drainSeconds);
      assert.ok(value('LimitNOFILE') >= 40_000);
    });
  }
});

test('the sockets are those of the configuration', () => {
  const { http } = JSON.parse(readFileSync(join(examples, 'config.json'), 'utf8'));
  const text = readFileSync(join(examples, 'systemd', 'hipache.socket'), 'utf8');
  const listen = [...text.matchAll(/^ListenStream=(.*)$/gm)].map(([, address]) => address);
  assert.deepEqual(listen, [`${http.bind}:${http.port}`]);
});

describe('the configurations of the packages', () => {
  for (const file of ['examples/config.json', 'packaging/docker/config.json']) {
    test(`${file} is accepted without a warning`, () => {
      const { warnings } = loadConfig({ file: join(root, file), env: {}, cwd: root, isRoot: true });
      assert.deepEqual(warnings, []);
    });
  }

  test('the Dockerfile copies only what there is', () => {
    const lines = readFileSync(join(root, 'Dockerfile'), 'utf8').matchAll(/^COPY (?!--)(.+) \S+$/gm);
    const sources = [...lines].flatMap(([, paths = '']) => paths.split(' '));
    assert.ok(sources.length >= 5);
    assert.deepEqual(
      sources.filter((path) => !existsSync(join(root, path))),
      [],
    );
  });
});

describe('the rotation of the access log', () => {
  test('loses no line under traffic, and the next file belongs to the user of the proxy', async (t) => {
    const home = new HipacheHome();
    const backend = await HttpBackend.start('ok');
    t.after(async () => {
      await home.remove();
      await backend.stop();
    });
    const user = await runAs();
    // As on a server: the logs in a directory of root's, the store in one of the user's.
    chmodSync(home.directory, 0o755);
    const logs = home.path('log');
    const store = home.path('store');
    mkdirSync(logs, { mode: 0o755 });
    mkdirSync(store, { mode: 0o750 });
    if (isRoot) chownSync(store, user.uid, user.gid);
    home.configure(
      { user: user.name, driver: `sqlite:${store}/routes.sqlite` },
      { accessLog: join(logs, 'access.log') },
    );
    const proxy = await home.serve();
    await home.route('set', 'a.example', backend.url);
    await until('the route', async () => (await ask(proxy.port, 'a.example', { path: '/first' })).status === 200);

    const configuration = home.path('logrotate.conf');
    const example = readFileSync(join(examples, 'logrotate', 'hipache'), 'utf8');
    writeFileSync(
      configuration,
      example.replace('/var/log/hipache/', `${logs}/`).replace('hipache adm', `${user.name} ${user.group}`),
      { mode: 0o644 },
    );
    const calls = home.path('calls');
    fakeSystemctl(home, proxy.pid, calls);
    const rotate = async (): Promise<void> => {
      const env = { ...process.env, PATH: [home.directory, process.env['PATH']].join(delimiter) };
      const args = ['--force', '--state', home.path('state'), configuration];
      const { stderr } = await runFile(findProgram('logrotate') ?? 'logrotate', args, { env });
      assert.equal(stderr, '');
    };

    const traffic = new Traffic(proxy.port);
    const hasLines = (): boolean => statSync(join(logs, 'access.log')).size > 0;
    for (let rotations = 1; rotations <= 3; rotations++) {
      const before = traffic.sent;
      await until('some requests', () => traffic.sent > before + 200 && hasLines());
      await rotate();
      await until('a line in the new file', hasLines);
    }
    await traffic.stop();
    proxy.signal('SIGTERM');
    assert.equal(await proxy.ended(), 0);

    assert.deepEqual(readdirSync(logs).sort(), ['access.log', 'access.log.1', 'access.log.2.gz', 'access.log.3.gz']);
    const lines = readdirSync(logs).flatMap((name) => readLog(join(logs, name)));
    const found = lines.map((line) => Number(/"GET \/(\d+) HTTP\/1\.1" 200 /.exec(line)?.[1])).filter((n) => n >= 0);
    assert.deepEqual(
      found.sort((a, b) => a - b),
      Array.from({ length: traffic.sent }, (_, index) => index),
    );
    const { mode, uid, gid } = statSync(join(logs, 'access.log'));
    assert.deepEqual({ mode: mode & 0o777, uid, gid }, { mode: 0o640, uid: user.uid, gid: user.gid });
    assert.equal(statSync(logs).uid, process.getuid?.());
    assert.equal(readFileSync(calls, 'utf8'), 'kill\nkill\nkill\n');
  });
});

/** Clients that request /0, /1, … until they are stopped. */
class Traffic {
  sent = 0;
  private stopping = false;
  private readonly clients: readonly Promise<void>[];

  constructor(port: number) {
    this.clients = Array.from({ length: 4 }, () => this.request(port));
  }

  async stop(): Promise<void> {
    this.stopping = true;
    await Promise.all(this.clients);
  }

  private async request(port: number): Promise<void> {
    while (!this.stopping) assert.equal((await ask(port, 'a.example', { path: `/${this.sent++}` })).status, 200);
  }
}

/** Stands for systemd's program, which has no service here: knows the calls of the example and no other. */
function fakeSystemctl(home: HipacheHome, pid: number, calls: string): void {
  const script = `#!/bin/sh
case "$*" in
  '--quiet is-active hipache.service') ;;
  'kill --kill-who=main --signal=USR1 hipache.service') echo kill >> '${calls}'; kill -USR1 ${pid} ;;
  *) echo "systemctl: $*" >&2; exit 64 ;;
esac
`;
  writeFileSync(home.path('systemctl'), script, { mode: 0o755 });
}

/** The user of the proxy: one without rights where the test is root, else the user of the test. */
async function runAs(): Promise<{ name: string; group: string; uid: number; gid: number }> {
  const who = isRoot ? ['nobody'] : [];
  const id = async (...args: string[]): Promise<string> => (await runFile('id', [...args, ...who])).stdout.trim();
  return { name: await id('-un'), group: await id('-gn'), uid: Number(await id('-u')), gid: Number(await id('-g')) };
}

function readLog(path: string): string[] {
  const bytes = readFileSync(path);
  return (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString().split('\n').slice(0, -1);
}

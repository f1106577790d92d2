import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, renameSync, rmSync } from 'node:fs';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { ask } from '../helpers/http-client.ts';
import { metricsUrl, untilSeries } from '../helpers/metrics.ts';
import { until } from '../helpers/until.ts';
import { workerPids } from '../helpers/workers.ts';

const files = ['', '-wal', '-shm'];

describe('workers that start while the store file is away', () => {
  let home: HipacheHome;
  let backend: HttpBackend;
  let proxy: HipacheProcess;
  let path: string;

  beforeEach(async () => {
    home = new HipacheHome();
    path = home.path('routes.sqlite');
    backend = await HttpBackend.start('one');
    home.configure({ metrics: { port: 0 } }, { workers: 2 });
    await home.route('set', 'a.example', backend.url);
    proxy = await home.serve();
    assert.equal(await statusOf('a.example'), 200);
    // The worker has told the primary.
    await until('the metrics', () => metricsUrl(proxy.output) !== '');
    await untilSeries(metricsUrl(proxy.output), 'hipache_shared_record_bytes', (value) => value > 0);
  });

  afterEach(async () => {
    await home.remove();
    await backend.stop();
  });

  const statusOf = async (host: string) => (await ask(proxy.port, host)).status;

  /** Kills every worker that runs now, and waits for as many others that serve. */
  async function replaceWorkers(): Promise<void> {
    const before = workerPids(proxy.pid);
    for (const pid of before) process.kill(pid, 'SIGKILL');
    await until('other workers', () => {
      const pids = workerPids(proxy.pid);
      return pids.length === before.length && !pids.some((pid) => before.includes(pid));
    });
    await until('one that serves', () =>
      statusOf('a.example')
        .then((status) => status > 0)
        .catch(() => false),
    );
  }

  /** Several connections, so that both workers respond. */
  async function assertKnown(): Promise<void> {
    for (let count = 0; count < 10; count++) {
      assert.equal(await statusOf('a.example'), 200);
      assert.equal(await statusOf('unknown.example'), 503);
    }
  }

  async function assertBack(): Promise<void> {
    await home.route('set', 'b.example', backend.url);
    await until('a new route', async () => (await statusOf('b.example')) === 200);
    assert.match(await home.route('list'), /a\.example/);
  }

  it('serve what the instance knows, create no file, and go on when it is back', async () => {
    for (const suffix of files) renameSync(`${path}${suffix}`, `${path}.away${suffix}`);
    await until('the loss', () => proxy.output.includes('was deleted or moved'));
    await replaceWorkers();
    await assertKnown();
    proxy.signal('SIGHUP');
    await until('the reload', () => proxy.output.includes('the new configuration is in use'));
    await assertKnown();
    assert.equal(existsSync(path), false);
    for (const suffix of ['-wal', '-shm', '']) {
      if (existsSync(`${path}.away${suffix}`)) renameSync(`${path}.away${suffix}`, `${path}${suffix}`);
    }
    await assertBack();
  });

  it('serve what the instance knows beside the log of a file that was moved, and go on at once when it is back', async () => {
    renameSync(path, `${path}.away`);
    await until('the loss', () => proxy.output.includes('was deleted or moved'));
    await replaceWorkers();
    await assertKnown();
    renameSync(`${path}.away`, path);
    await assertBack();
  });

  it('do not take an empty store for the one that the instance knows', async () => {
    for (const suffix of files) rmSync(`${path}${suffix}`);
    const other = home.start();
    await other.listening();
    await other.kill();
    assert.equal(existsSync(path), true);
    await replaceWorkers();
    await assertKnown();
    await home.route('set', 'a.example', backend.url);
    await assertBack();
  });

  it('serve on if an upgrade does not find the file, and nothing creates it', async () => {
    for (const suffix of files) renameSync(`${path}${suffix}`, `${path}.away${suffix}`);
    proxy.signal('SIGUSR2');
    await until('the end of the upgrade', () => /code=UPGRADE_FAILED|the new program did not/.test(proxy.output));
    assert.match(proxy.output, /routes\.sqlite does not exist/);
    assert.equal(existsSync(path), false);
    assert.equal(await statusOf('a.example'), 200);
  });

  it('are not asked to use a store that cannot be opened: a reload is refused', async () => {
    home.configure({ driver: `sqlite:${home.path('config.json')}` }, { workers: 2 });
    const before = workerPids(proxy.pid);
    proxy.signal('SIGHUP');
    await until('the refusal', () => /nothing is changed: .*not a SQLite database/.test(proxy.output));
    assert.deepEqual(workerPids(proxy.pid), before);
    assert.equal(await statusOf('a.example'), 200);
    home.configure({ driver: `sqlite:${home.path('another.sqlite')}` }, { workers: 2 });
    proxy.signal('SIGHUP');
    await until('the other store', async () => (await statusOf('a.example')) === 400);
  });
});

describe('a copy that VACUUM INTO made', () => {
  it('is refused beside the log of its original, and stays whole', async () => {
    const home = new HipacheHome();
    const backend = await HttpBackend.start('one');
    const path = home.path('routes.sqlite');
    home.configure({}, { workers: 2 });
    try {
      const proxy = await home.serve();
      for (const host of ['old1.example', 'old2.example', 'old3.example']) await home.route('set', host, backend.url);
      execFileSync('sqlite3', [path, `VACUUM INTO '${home.path('copy')}'`]);
      await home.route('set', 'later.example', backend.url);
      assert.equal((await ask(proxy.port, 'later.example')).status, 200);
      renameSync(home.path('copy'), path);
      const refused = await home.run('route', 'set', 'new.example', backend.url);
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /-wal beside it/);
      await proxy.kill();
      assert.equal((await home.run('route', 'set', 'new.example', backend.url)).code, 1);
      for (const suffix of ['-wal', '-shm']) rmSync(`${path}${suffix}`);
      assert.equal(execFileSync('sqlite3', [path, 'PRAGMA integrity_check'], { encoding: 'utf8' }), 'ok\n');
      assert.match(await home.route('list'), /old3\.example/);
    } finally {
      await home.remove();
      await backend.stop();
    }
  });
});

import assert from 'node:assert/strict';
import { copyFileSync, renameSync, rmSync } from 'node:fs';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { ask } from '../helpers/http-client.ts';
import { until } from '../helpers/until.ts';

describe('a store file that is moved, deleted or overwritten under a proxy', () => {
  let home: HipacheHome;
  let one: HttpBackend;
  let two: HttpBackend;
  let proxy: HipacheProcess;
  let path: string;

  beforeEach(async () => {
    home = new HipacheHome();
    path = home.path('routes.sqlite');
    [one, two] = [await HttpBackend.start('one'), await HttpBackend.start('two')];
    home.configure({}, { workers: 2 });
    await home.route('set', 'a.example', one.url);
    proxy = await home.serve();
    assert.equal(await body('a.example'), 'one');
  });

  afterEach(async () => {
    await home.remove();
    await one.stop();
    await two.stop();
  });

  const body = async (host: string) => (await ask(proxy.port, host)).body;
  const statusOf = async (host: string) => (await ask(proxy.port, host)).status;
  const lossesOf = (text: RegExp) => proxy.output.split('\n').filter((line) => text.test(line)).length;

  /** Another store, in which `a.example` goes to the second backend. */
  async function makeOther(): Promise<string> {
    const other = home.path('other.sqlite');
    const result = await home.run('route', 'set', 'a.example', two.url, '--driver', `sqlite:${other}`);
    assert.equal(result.code, 0, result.stderr);
    return other;
  }

  async function refused(): Promise<string> {
    const { code, stdout, stderr } = await home.run('route', 'set', 'b.example', one.url);
    assert.equal(code, 1, stdout);
    return stderr;
  }

  it('refuses the log of the former file, serves what it knows, and follows once the log is removed', async () => {
    renameSync(await makeOther(), path);
    assert.match(await refused(), /does not belong to .*-wal beside it.*remove/);
    await until('both workers to say so', () => lossesOf(/does not belong to/) === 2);
    assert.equal(await body('a.example'), 'one');
    for (const suffix of ['-wal', '-shm']) rmSync(`${path}${suffix}`);
    await until('the new routes', async () => (await body('a.example')) === 'two');
    await home.route('set', 'b.example', one.url);
    await until('a change of the new file', async () => (await statusOf('b.example')) === 200);
    assert.equal(lossesOf(/does not belong to/), 2, 'said once by each worker');
  });

  it('acknowledges no write beside a deleted file, and goes on when the file is back', async () => {
    renameSync(path, `${path}.away`);
    assert.match(await refused(), /is gone, but .*-wal is there.*Put the file back/);
    await until('both workers to say so', () => lossesOf(/was deleted or moved/) === 2);
    assert.equal(await body('a.example'), 'one');
    renameSync(`${path}.away`, path);
    await until('the connection to be back', () => lossesOf(/connected to the store/) === 2);
    await home.route('set', 'a.example', two.url);
    await until('the change', async () => (await body('a.example')) === 'two');
  });

  it('saves what a removed log held, and serves every write that was acknowledged', async () => {
    for (const suffix of ['-wal', '-shm']) rmSync(`${path}${suffix}`);
    const { code } = await home.run('route', 'set', 'b.example', two.url);
    await until('both workers to use the same file', () => lossesOf(/connected to the store/) === 2);
    if (code === 0) assert.equal(await body('b.example'), 'two');
    await home.route('set', 'c.example', two.url);
    await until('a later change', async () => (await statusOf('c.example')) === 200);
    assert.match(await home.route('list'), /a\.example/);
    assert.equal(await body('a.example'), 'one');
  });

  it('says that the file was overwritten, writes nothing to it, and serves what it knows', async () => {
    // One worker: each of several would know only the hosts that it has served.
    await proxy.kill();
    home.configure({}, { workers: 1 });
    proxy = await home.serve();
    assert.equal(await body('a.example'), 'one');
    copyFileSync(await makeOther(), path);
    await until('the worker to say so', () => lossesOf(/was overwritten while it was open/) === 1);
    assert.equal((await ask(proxy.port, 'unknown.example')).status, 503);
    assert.match(await refused(), /-wal beside it/);
    assert.equal(await body('a.example'), 'one');
  });

  it('recovers what killed processes have left in the log', async () => {
    await home.route('set', 'b.example', two.url);
    await proxy.kill();
    proxy = await home.serve();
    assert.deepEqual([await body('a.example'), await body('b.example')], ['one', 'two']);
  });
});

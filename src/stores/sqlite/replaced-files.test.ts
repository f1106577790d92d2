import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import { until } from '../../../test/helpers/until.ts';
import { Watch } from '../watch.suite.ts';
import { child, killWriter, linesOf, newPath, removeLog } from './sqlite.suite.ts';
import { openSqlite } from './sqlite-store.ts';

const unavailable = { code: 'STORE_UNAVAILABLE' };

/** A store in use by a proxy, with the route `a.example`, whose id is `old`. */
async function setUp(t: TestContext, isLogEmpty = false) {
  const path = newPath();
  let store = await openSqlite(path);
  await store.routes.set('a.example', 'old', ['http://a:1']);
  if (isLogEmpty) {
    await store.close();
    store = await openSqlite(path);
  }
  t.after(() => store.close());
  const watch = new Watch();
  await store.watch(watch);
  return { path, store, watch, idOf: (pattern: string) => idIn(store, pattern) };
}

async function idIn(store: Awaited<ReturnType<typeof openSqlite>>, pattern: string): Promise<unknown> {
  return (await store.routes.read([pattern]))[0]?.frontend[0] ?? null;
}

/** Another store, closed, with the route `a.example`, whose id is `new`. */
async function makeOther(path: string): Promise<string> {
  const other = await openSqlite(`${path}.other`);
  await other.routes.set('a.example', 'new', ['http://b:1']);
  await other.close();
  return `${path}.other`;
}

for (const isLogEmpty of [false, true]) {
  test(`a file that is moved over another one in use ${isLogEmpty ? '' : 'and written '}is refused until the old log is removed, and then followed`, async (t) => {
    const { path, store, watch, idOf } = await setUp(t, isLogEmpty);
    const other = await makeOther(path);
    const lost = watch.event('lost');
    renameSync(other, path);
    await assert.rejects(openSqlite(path), { ...unavailable, message: /-wal beside it.*remove/ });
    await lost;
    assert.equal(await idOf('a.example'), 'old');
    await assert.rejects(store.routes.set('b.example', null, []), unavailable);
    const restored = watch.event('restored');
    removeLog(path);
    await restored;
    assert.equal(await idOf('a.example'), 'new');
    await store.routes.set('b.example', 'written', []);
    const command = await openSqlite(path);
    assert.equal(await idIn(command, 'b.example'), 'written');
    await command.close();
  });

  test(`a deleted file in use ${isLogEmpty ? '' : 'and written '}is not created anew beside its log`, async (t) => {
    const { path, store, idOf } = await setUp(t, isLogEmpty);
    rmSync(path);
    await assert.rejects(openSqlite(path), { ...unavailable, message: /is gone, but .*-wal is there/ });
    assert.equal(existsSync(path), false);
    await assert.rejects(store.routes.set('b.example', null, []), unavailable);
    assert.equal(await idOf('a.example'), 'old');
  });
}

test('opening a file never creates another one in its place while it is moved to and fro', async () => {
  const path = newPath();
  const store = await openSqlite(path);
  await store.routes.set('a.example', 'old', ['http://a:1']);
  const { ino } = statSync(path);
  const mover = child(`
    const { existsSync, renameSync } = await import('node:fs');
    const [path, away] = [${JSON.stringify(path)}, ${JSON.stringify(`${path}.away`)}];
    say('ready');
    let strangers = 0;
    const endMs = performance.now() + 2000;
    while (performance.now() < endMs) {
      renameSync(path, away);
      const pauseEndMs = performance.now() + Math.random();
      while (performance.now() < pauseEndMs);
      if (existsSync(path)) strangers++;
      renameSync(away, path);
      while (performance.now() < pauseEndMs + 1);
    }
    say(strangers);
    process.exit(0);`);
  const lines = linesOf(mover);
  let opened = 0;
  while (mover.exitCode === null) {
    const command = await openSqlite(path, { create: false }).catch(() => null);
    if (command === null) continue;
    opened++;
    await command.close();
  }
  assert.deepEqual(await lines, ['ready', '0']);
  assert.ok(opened > 0);
  assert.equal(statSync(path).ino, ino);
  assert.equal(await idIn(store, 'a.example'), 'old');
  await store.close();
});

test('a file beside a log that a killed process of another file has left is refused and left as it is', async () => {
  const path = newPath();
  await killWriter(path, `await store.routes.set('a.example', 'old', ['http://a:1'])`);
  const other = await makeOther(path);
  renameSync(other, path);
  await assert.rejects(openSqlite(path), { ...unavailable, message: /-wal beside it/ });
  removeLog(path);
  const store = await openSqlite(path);
  assert.equal(await idIn(store, 'a.example'), 'new');
  await store.close();
});

test('a backup of the same store beside a later log is refused', async () => {
  const path = newPath();
  const first = await openSqlite(path);
  await first.routes.set('a.example', 'backup', ['http://a:1']);
  await first.close();
  copyFileSync(path, `${path}.backup`);
  const second = await openSqlite(path);
  await second.routes.set('b.example', 'lost later', ['http://a:1']);
  await second.close();
  await killWriter(path, `await store.routes.set('c.example', 'in the log', ['http://a:1'])`);
  copyFileSync(`${path}.backup`, path);
  await assert.rejects(openSqlite(path), { ...unavailable, message: /-wal beside it/ });
});

test('the log of a killed process is recovered, after any number of checkpoints and also without its index', async () => {
  for (const source of [
    `await store.routes.set('a.example', 'id', ['http://a:1'])`,
    `for (let i = 0; i < 1500; i++) await store.routes.set('a.example', i === 1499 ? 'id' : 'x' + i, ['http://a:1'])`,
    `await Promise.all(Array.from({ length: 300 }, (_, i) => store.routes.set(i + '.example', null, ['http://a:1'])));
     await store.routes.set('a.example', 'id', ['http://a:1'])`,
  ]) {
    for (const withIndex of [true, false]) {
      const path = newPath();
      await killWriter(path, source);
      if (!withIndex) rmSync(`${path}-shm`);
      const store = await openSqlite(path, { create: false });
      assert.equal(await idIn(store, 'a.example'), 'id');
      await store.close();
    }
  }
});

test('a log and an index that are removed while in use lose nothing, and nobody writes to others meanwhile', async (t) => {
  for (const suffixes of [['-wal', '-shm'], ['-wal'], ['-shm']]) {
    const { path, store, watch, idOf } = await setUp(t);
    const second = await openSqlite(path);
    t.after(() => second.close());
    const secondWatch = new Watch();
    await second.watch(secondWatch);
    const restored = [watch.event('restored'), secondWatch.event('restored')];
    for (const suffix of suffixes) rmSync(`${path}${suffix}`);
    // A command at this moment is refused, or works on what the proxies use afterwards.
    const command = await openSqlite(path).catch(() => null);
    await command?.routes.set('b.example', 'command', ['http://a:1']);
    await Promise.all(restored);
    assert.equal(await idOf('a.example'), 'old');
    if (command !== null) await until('the change', async () => (await idIn(second, 'b.example')) === 'command');
    await command?.close();
    const told = secondWatch.next('routes', 'c.example');
    await store.routes.set('c.example', 'after', []);
    await told;
  }
});

test('a log that is removed under a process that does not mend that keeps others from writing', async (t) => {
  const path = newPath();
  const holder = await openSqlite(path);
  t.after(() => holder.close());
  await holder.routes.set('a.example', 'old', ['http://a:1']);
  removeLog(path);
  await assert.rejects(openSqlite(path), { ...unavailable, message: /is in use by processes/ });
  await assert.rejects(holder.routes.set('b.example', null, []), unavailable);
});

test('a file that is overwritten in use is neither read nor written any more', async (t) => {
  const { path, store, watch } = await setUp(t);
  const other = await makeOther(path);
  const lost = watch.event('lost');
  copyFileSync(other, path);
  await assert.rejects(store.routes.set('b.example', null, []), { ...unavailable, message: /overwritten/ });
  await lost;
  await assert.rejects(store.routes.read(['a.example']), { ...unavailable, message: /overwritten.*remove/ });
  await assert.rejects(openSqlite(path), unavailable);
});

test('a new and empty store takes the place of a deleted one only once it has a route', async (t) => {
  const { path, watch, idOf } = await setUp(t);
  const losses: string[] = [];
  watch.lost = (error) => void losses.push(String(error));
  rmSync(path);
  removeLog(path);
  const command = await openSqlite(path);
  await until('the empty store to be noticed', () => losses.some((line) => line.includes('empty store')));
  assert.equal(await idOf('a.example'), 'old');
  const restored = watch.event('restored');
  await command.routes.set('b.example', 'new', ['http://a:1']);
  await restored;
  assert.deepEqual([await idOf('a.example'), await idOf('b.example')], [null, 'new']);
  await command.close();
});

test('a file that is overwritten in use with something else is neither read nor written any more', async (t) => {
  const { path, store, watch } = await setUp(t);
  const lost = watch.event('lost');
  writeFileSync(path, 'these are my notes, not a database\n'.repeat(1000));
  await lost;
  await assert.rejects(store.routes.read(['a.example']), { ...unavailable, message: /overwritten/ });
  await assert.rejects(store.routes.set('b.example', null, []), unavailable);
});

test('a loss is said once for each reason', async (t) => {
  const { path, watch } = await setUp(t);
  const losses: string[] = [];
  watch.lost = (error) => void losses.push(String(error));
  const other = await makeOther(path);
  rmSync(path);
  await until('the loss', () => losses.length === 1);
  renameSync(other, path);
  await until('the foreign log', () => losses.some((line) => line.includes('beside it')));
  const restored = watch.event('restored');
  removeLog(path);
  await restored;
  assert.equal(new Set(losses).size, losses.length, losses.join('\n'));
});

test('a store that is restored through SQLite is followed, also by what is started after a kill', async () => {
  const path = newPath();
  const other = await makeOther(path);
  const store = await openSqlite(path);
  await store.routes.set('a.example', 'old', ['http://a:1']);
  const watch = new Watch();
  await store.watch(watch);
  const restored = watch.event('restored');
  execFileSync('sqlite3', [path, `.restore ${other}`]);
  await restored;
  assert.equal(await idIn(store, 'a.example'), 'new');
  await store.routes.set('b.example', 'after', []);
  await store.close();
  const again = await openSqlite(path);
  assert.equal(await idIn(again, 'b.example'), 'after');
  await again.close();
});

test('a store of an earlier version gets its id, and is then told from others', async () => {
  const path = newPath();
  await (await openSqlite(path)).close();
  const raw = new DatabaseSync(path);
  raw.exec("DELETE FROM sqlite_sequence WHERE name LIKE 'hipache-store:%'");
  raw.close();
  await killWriter(path, `await store.routes.set('a.example', 'id', ['http://a:1'])`);
  const other = await makeOther(path);
  copyFileSync(path, `${path}.kept`);
  renameSync(other, path);
  await assert.rejects(openSqlite(path), unavailable);
  renameSync(`${path}.kept`, path);
  const store = await openSqlite(path);
  assert.equal(await idIn(store, 'a.example'), 'id');
  await store.close();
});

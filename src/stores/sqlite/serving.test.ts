import assert from 'node:assert/strict';
import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import { until } from '../../../test/helpers/until.ts';
import { Watch } from '../watch.suite.ts';
import { killWriter, newPath, removeLog } from './sqlite.suite.ts';
import { openSqlite } from './sqlite-store.ts';

const unavailable = { code: 'STORE_UNAVAILABLE' };

/** A closed store with the route `a.example`. */
async function makeStore(path: string, id = 'own'): Promise<void> {
  const store = await openSqlite(path);
  await store.routes.set('a.example', id, ['http://a:1']);
  await store.close();
}

/** Opens the store of a proxy, and watches it. */
async function serve(t: TestContext, path: string, refuseEmpty = false) {
  const store = await openSqlite(path, { serving: true, refuseEmpty });
  t.after(() => store.close());
  const losses: string[] = [];
  const watch = new Watch();
  watch.lost = (error) => void losses.push(String(error));
  await store.watch(watch);
  const idOf = async (pattern: string): Promise<unknown> => (await store.routes.read([pattern]))[0]?.frontend[0];
  return { store, watch, losses, idOf };
}

test('a proxy starts without its file, creates none, and reads it once it is there', async (t) => {
  const path = newPath();
  await makeStore(`${path}.away`);
  const { store, watch, losses, idOf } = await serve(t, path);
  assert.match(losses.join(), /was deleted or moved/);
  await assert.rejects(idOf('a.example'), { ...unavailable, message: /was deleted or moved/ });
  await assert.rejects(store.routes.set('b.example', null, []), unavailable);
  assert.equal(existsSync(path), false);
  const restored = watch.event('restored');
  renameSync(`${path}.away`, path);
  await restored;
  assert.equal(await idOf('a.example'), 'own');
  const told = watch.next('routes', 'b.example');
  await store.routes.set('b.example', null, []);
  await told;
});

test('a proxy starts beside the log of a file that was moved away, and goes on when the file is back', async (t) => {
  const path = newPath();
  await killWriter(path, `await store.routes.set('a.example', 'in the log', ['http://a:1'])`);
  renameSync(path, `${path}.away`);
  const { watch, losses, idOf } = await serve(t, path);
  assert.match(losses.join(), /was deleted or moved.*Put it back, with its/);
  const restored = watch.event('restored');
  renameSync(`${path}.away`, path);
  await restored;
  assert.equal(await idOf('a.example'), 'in the log');
});

test('a proxy starts beside the log of another file, and follows once that is removed', async (t) => {
  const path = newPath();
  await killWriter(path, `await store.routes.set('a.example', 'old', ['http://a:1'])`);
  await makeStore(`${path}.other`, 'new');
  renameSync(`${path}.other`, path);
  const { watch, losses, idOf } = await serve(t, path);
  assert.match(losses.join(), /-wal beside it/);
  const restored = watch.event('restored');
  removeLog(path);
  await restored;
  assert.equal(await idOf('a.example'), 'new');
});

test('a proxy starts with a file that is no database, and says so', async (t) => {
  const path = newPath();
  await makeStore(path);
  renameSync(path, `${path}.away`);
  writeFileSync(path, 'these are my notes, not a database\n'.repeat(200));
  const { watch, losses, idOf } = await serve(t, path);
  assert.match(losses.join(), /not a SQLite database/);
  await assert.rejects(idOf('a.example'), { code: 'STORE_DAMAGED' });
  const restored = watch.event('restored');
  renameSync(`${path}.away`, path);
  await restored;
  assert.equal(await idOf('a.example'), 'own');
});

test('a proxy starts while another process has locked the file, and goes on after that', async (t) => {
  const path = newPath();
  await makeStore(path);
  const holder = new DatabaseSync(path);
  holder.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; UPDATE meta SET value = value');
  const { watch, losses, idOf } = await serve(t, path);
  assert.match(losses.join(), /is in use by/);
  const restored = watch.event('restored');
  holder.exec('COMMIT');
  holder.close();
  await restored;
  assert.equal(await idOf('a.example'), 'own');
});

test('a proxy that knows records starts with an empty store as without one, until it has a route', async (t) => {
  const path = newPath();
  await (await openSqlite(path)).close();
  const { watch, losses, idOf } = await serve(t, path, true);
  assert.match(losses.join(), /empty store/);
  await assert.rejects(idOf('a.example'), unavailable);
  const restored = watch.event('restored');
  await makeStore(path);
  await restored;
  assert.equal(await idOf('a.example'), 'own');
});

test('a store that nobody watches is opened later as well', async (t) => {
  const path = newPath();
  const store = await openSqlite(path, { serving: true });
  t.after(() => store.close());
  await assert.rejects(store.routes.read(['a.example']), unavailable);
  await makeStore(path);
  await until('the store', () =>
    store.routes.read(['a.example']).then(
      ([route]) => route !== null,
      () => false,
    ),
  );
});

import assert from 'node:assert/strict';
import { chmodSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { Watch } from '../watch.suite.ts';
import { applicationId } from './schema.ts';
import { child, firstLine, newPath } from './sqlite.suite.ts';
import { openSqlite } from './sqlite-store.ts';

/** A store file as version 1 of the format had it, with one route, one mark and a log of changes. */
function makeVersion1(path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  const database = new DatabaseSync(path);
  database.exec(`
    PRAGMA journal_mode = WAL;
    CREATE TABLE frontends (pattern TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE down (
      pattern TEXT NOT NULL, url TEXT NOT NULL, until_ms INTEGER NOT NULL, since_ms INTEGER NOT NULL,
      reason TEXT NOT NULL, instance TEXT NOT NULL, PRIMARY KEY (pattern, url)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX down_until ON down (until_ms);
    CREATE TABLE changes (
      revision INTEGER PRIMARY KEY AUTOINCREMENT, pattern TEXT NOT NULL,
      at_ms INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS INTEGER))
    ) STRICT;
    CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
    INSERT INTO meta VALUES ('trimmed_to', 0);
    CREATE TRIGGER frontends_insert AFTER INSERT ON frontends
      BEGIN INSERT INTO changes (pattern) VALUES (NEW.pattern); END;
    CREATE TRIGGER frontends_update AFTER UPDATE ON frontends BEGIN
      INSERT INTO changes (pattern) VALUES (NEW.pattern);
      INSERT INTO changes (pattern) SELECT OLD.pattern WHERE OLD.pattern <> NEW.pattern;
    END;
    CREATE TRIGGER frontends_delete AFTER DELETE ON frontends
      BEGIN INSERT INTO changes (pattern) VALUES (OLD.pattern); END;
    INSERT INTO frontends VALUES ('a.example', '["id", "http://a:1"]');
    PRAGMA application_id = ${applicationId};
    PRAGMA user_version = 1;`);
  database.close();
}

test('a store file of version 1 keeps its routes, and takes certificates', async () => {
  const path = newPath();
  makeVersion1(path);
  const stores = await Promise.all([openSqlite(path), openSqlite(path), openSqlite(path, { create: false })]);
  const [store, other] = stores;
  assert.ok(store && other);
  assert.deepEqual((await store.routes.read(['a.example']))[0]?.frontend, ['id', 'http://a:1']);
  const seen = new Watch();
  await other.watch(seen);
  const [told, toldCertificate] = [seen.next('routes', 'a.example'), seen.next('certificates', 'a.example')];
  await store.routes.add('a.example', ['http://b:1']);
  await store.certificates.write('a.example', { certificate: 'c', key: 'k' });
  await Promise.all([told, toldCertificate]);
  assert.deepEqual(await other.certificates.read(['a.example']), [{ certificate: 'c', key: 'k' }]);
  await Promise.all(stores.map((each) => each.close()));
});

test('a store file of version 1 that cannot be written is served as it is, without certificates', async () => {
  const path = newPath();
  makeVersion1(path);
  chmodSync(path, 0o444);
  chmodSync(dirname(path), 0o555);
  // Another user, since root may write whatever the mode says.
  const reader = child(
    `const store = await openSqlite(${JSON.stringify(path)});
    await store.watch({ changed() {}, expired() {}, lost() {}, restored() {} });
    const [host] = await store.routes.read(['a.example']);
    say(JSON.stringify([host.frontend, await store.certificates.read(['a.example']), await store.certificates.list('', 9)]));
    await store.close();`,
    process.getuid?.() === 0 ? { uid: 65_534 } : {},
  );
  assert.deepEqual(JSON.parse(await firstLine(reader)), [['id', 'http://a:1'], [null], []]);
});

test('a store file with routes that expire is still one that earlier versions open and edit', async () => {
  const path = newPath();
  const store = await openSqlite(path);
  const expiring = (pattern: string) => ({ kind: 'set' as const, pattern, urls: ['http://a:1'], ttlSeconds: 3600 });
  await store.routes.apply([expiring('a.example'), expiring('b.example')]);
  const database = new DatabaseSync(path);
  assert.equal(Object.values(database.prepare('PRAGMA user_version').get() ?? {})[0], 2);
  // As the sqlite3 shell and earlier versions do, which know nothing of expiries.
  database.exec("DELETE FROM frontends WHERE pattern = 'a.example'");
  database.exec(`INSERT INTO frontends VALUES ('a.example', '["id", "http://a:1"]')`);
  database.close();
  assert.equal(await store.routes.expiry('a.example'), null);
  assert.ok(await store.routes.expiry('b.example'));
  await store.close();
});

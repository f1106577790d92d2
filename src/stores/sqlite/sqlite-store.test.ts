import assert from 'node:assert/strict';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { describeStore } from '../contract.suite.ts';
import { Watch } from '../watch.suite.ts';
import { applicationId } from './schema.ts';
import { child, linesOf, newPath } from './sqlite.suite.ts';
import { openSqlite } from './sqlite-store.ts';

describeStore('sqlite', async () => {
  const path = newPath();
  const write = async (pattern: string, record: string): Promise<void> => {
    const raw = new DatabaseSync(path, { timeout: 5000 });
    raw
      .prepare('INSERT INTO frontends VALUES (?, ?) ON CONFLICT (pattern) DO UPDATE SET record = excluded.record')
      .run(pattern, record);
    raw.close();
  };
  return {
    open: () => openSqlite(path),
    writeRaw: (pattern, record) => write(pattern, JSON.stringify(record)),
    oddElements: true,
    changes: 'poll',
    async writeRawOption(pattern, name, value) {
      const raw = new DatabaseSync(path, { timeout: 5000 });
      raw.prepare('INSERT OR REPLACE INTO options VALUES (?, ?, ?)').run(pattern, name, value);
      raw.close();
    },
    writeBrokenOptions: [],
    writeBroken: ['not json', '{"a": 1}', '"text"', ''].map((text) => (pattern: string) => write(pattern, text)),
    async dispose() {},
  };
});

test('a new store is made with its directory, for its user alone', async () => {
  const path = newPath();
  const store = await openSqlite(path);
  await store.routes.set('a.example', null, ['http://a:1']);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(`${path}-wal`).mode & 0o777, 0o600);
  assert.equal(statSync(join(path, '..')).mode & 0o027, 0);
  await store.close();
  const raw = new DatabaseSync(path, { readOnly: true });
  assert.deepEqual({ ...raw.prepare('PRAGMA application_id').get() }, { application_id: applicationId });
  assert.deepEqual({ ...raw.prepare('PRAGMA user_version').get() }, { user_version: 2 });
  assert.deepEqual({ ...raw.prepare('PRAGMA journal_mode').get() }, { journal_mode: 'wal' });
  raw.close();
});

test('a store that must be there is not made', async () => {
  const path = newPath();
  await assert.rejects(openSqlite(path, { create: false }), { code: 'STORE_UNAVAILABLE', message: /does not exist/ });
  assert.equal(existsSync(path), false);
});

test('many processes may make the same store at once', async () => {
  const path = newPath();
  const children = Array.from({ length: 4 }, (_, i) =>
    linesOf(
      child(`const store = await openSqlite(${JSON.stringify(path)});
        for (let i = 0; i < 20; i++) await store.routes.add('all.example', ['http://h${i}-' + i + ':1']);
        await store.close(); say('done');`),
    ),
  );
  assert.deepEqual(
    await Promise.all(children),
    Array.from({ length: 4 }, () => ['done']),
  );
  const store = await openSqlite(path);
  assert.equal((await store.routes.read(['all.example']))[0]?.frontend.length, 81);
  await store.close();
});

test('every acknowledged write outlives kill -9 of every process at any moment', async () => {
  const path = newPath();
  const acknowledged = new Map<string, string>();
  for (let round = 0; round < 6; round++) {
    const writers = ['x', 'y'].map((writer) =>
      child(`const store = await openSqlite(${JSON.stringify(path)});
        for (let i = 0; ; i++) {
          await Promise.all([0, 1, 2].map(async (j) => {
            const host = '${writer}-' + ((i * 3 + j) % 50) + '.example';
            await store.routes.set(host, '${round}-' + i, ['http://a:1']);
            say(host + ' ${round}-' + i);
          }));
        }`),
    );
    const output = writers.map(async (writer) => {
      assert.ok(writer.stdout);
      let lines = 0;
      const killAt = 1 + Math.floor(Math.random() * 200);
      for await (const line of createInterface({ input: writer.stdout })) {
        const [host = '', id = ''] = line.split(' ');
        acknowledged.set(host, id);
        // All of them at once, as when a machine's memory runs out.
        if (++lines === killAt) for (const each of writers) each.kill('SIGKILL');
      }
    });
    await Promise.all(output);
    const store = await openSqlite(path);
    const hosts = [...acknowledged.keys()];
    const read = await store.routes.read(hosts);
    for (const [i, host] of hosts.entries()) {
      const [wantedRound = 0, wanted = 0] = (acknowledged.get(host) ?? '').split('-').map(Number);
      const [foundRound = -1, found = -1] = String(read[i]?.frontend[0]).split('-').map(Number);
      // One more may have been written, and killed before it was acknowledged.
      assert.ok(
        foundRound > wantedRound || (foundRound === wantedRound && found >= wanted),
        `${host}: ${found} < ${wanted}`,
      );
    }
    await store.close();
  }
  assert.ok(acknowledged.size > 10);
});

test('what was asked for before closing is still written', async () => {
  const path = newPath();
  const store = await openSqlite(path);
  const writes = Array.from({ length: 600 }, (_, i) => store.routes.set(`h${i}.example`, null, []));
  await store.close();
  await Promise.all(writes);
  const again = await openSqlite(path);
  assert.equal((await again.routes.list('', 1000)).length, 600);
  await again.close();
});

test('a change by another process is reported', async () => {
  const path = newPath();
  const store = await openSqlite(path);
  const watch = new Watch();
  await store.watch(watch);
  const told = watch.next('routes', 'other.example');
  await linesOf(
    child(`const store = await openSqlite(${JSON.stringify(path)});
    await store.routes.set('other.example', null, ['http://a:1']); await store.close();`),
  );
  await told;
  await store.close();
});

test('while another process holds the write lock, reads are answered, writes wait for it', async () => {
  const path = newPath();
  const store = await openSqlite(path);
  await store.routes.set('a.example', null, ['http://a:1']);
  const holder = new DatabaseSync(path);
  holder.exec('BEGIN IMMEDIATE');
  let written = false;
  const write = store.routes.set('b.example', null, ['http://b:1']).then(() => {
    written = true;
  });
  const mark = store.marks.write('a.example', 'http://a:1', { untilMs: 1, sinceMs: 0, reason: 'x', instance: 'i' });
  for (let i = 0; i < 20; i++) assert.ok((await store.routes.read(['a.example']))[0]);
  assert.equal(written, false);
  holder.exec('COMMIT');
  holder.close();
  await Promise.all([write, mark]);
  await store.close();
});

test('a write lock that is held for too long is said to be', async () => {
  const path = newPath();
  const store = await openSqlite(path);
  const holder = new DatabaseSync(path);
  holder.exec('BEGIN IMMEDIATE');
  await assert.rejects(store.routes.set('a.example', null, []), (error: Error & { code?: string }) => {
    assert.equal(error.code, 'STORE_BUSY');
    assert.ok(error.message.includes(path));
    return true;
  });
  holder.exec('ROLLBACK');
  holder.close();
  await store.routes.set('a.example', null, []);
  await store.close();
});

test('a watcher that falls behind the log of changes learns that it did', async () => {
  const path = newPath();
  const watcher = await openSqlite(path, { changesKept: 10 });
  const watch = new Watch();
  await watcher.watch(watch);
  const restored = watch.event('restored');
  // All in one transaction, so that the watcher sees either none of it or more than the log keeps.
  const raw = new DatabaseSync(path, { timeout: 5000 });
  raw.exec(`BEGIN IMMEDIATE;
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
      INSERT INTO frontends SELECT 'h' || i, '[]' FROM n;
    DELETE FROM changes WHERE revision < (SELECT max(revision) FROM changes) - 5;
    UPDATE meta SET value = (SELECT max(revision) FROM changes) - 6 WHERE key = 'trimmed_to';
    COMMIT`);
  raw.close();
  await restored;
  assert.equal(watch.losses, 1);
  const told = watch.next('routes', 'after.example');
  await watcher.routes.set('after.example', null, []);
  await told;
  await watcher.close();
});

test('the log of changes is bounded, and ended marks are cleared away', async () => {
  const path = newPath();
  const store = await openSqlite(path, { changesKept: 50 });
  await store.routes.set('a.example', null, ['http://a:1', 'http://b:1']);
  await store.marks.write('a.example', 'http://a:1', {
    untilMs: Date.now() - 1,
    sinceMs: 0,
    reason: 'x',
    instance: 'i',
  });
  for (let i = 0; i < 200; i++) await store.routes.set('b.example', String(i), []);
  await store.close();
  const raw = new DatabaseSync(path);
  const { changes, marks } = raw
    .prepare('SELECT (SELECT count(*) FROM changes) AS changes, (SELECT count(*) FROM down) AS marks')
    .get() as { changes: number; marks: number };
  assert.ok(changes <= 101, `${changes} changes`);
  assert.equal(marks, 0);
  raw.close();
});

test('a file of an earlier version, which has no tables of options and notes, gets them with the first of each', async () => {
  const path = newPath();
  const first = await openSqlite(path);
  await first.routes.set('a.example', null, ['http://a:1']);
  await first.close();
  const raw = new DatabaseSync(path);
  raw.exec('DROP TABLE options; DROP TABLE IF EXISTS notes');
  raw.close();
  const [store, watcher] = [await openSqlite(path), await openSqlite(path)];
  const seen = new Watch();
  await watcher.watch(seen);
  assert.deepEqual(await store.options.read(['a.example']), [null]);
  assert.deepEqual(await store.options.list('', 10), []);
  assert.equal(await store.notes.read('n'), null);
  const told = seen.next('options', 'a.example');
  await store.options.change('a.example', new Map([['requestsMax', '1']]));
  await told;
  assert.deepEqual((await watcher.routes.read(['a.example']))[0]?.options, new Map([['requestsMax', '1']]));
  assert.equal(await store.notes.write('n', 'text', { expected: null }), true);
  assert.equal(await watcher.notes.read('n'), 'text');
  await Promise.all([store.close(), watcher.close()]);
});

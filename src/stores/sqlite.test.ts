import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { describeStore, Watch } from './contract.suite.ts';
import { openSqlite } from './sqlite.ts';
import { storeError } from './sqlite-errors.ts';
import { applicationId } from './sqlite-schema.ts';
import { SqliteTables } from './sqlite-tables.ts';

const directory = mkdtempSync(join(tmpdir(), 'hipache-sqlite-'));
// Children of other users work in it as well.
chmodSync(directory, 0o755);
after(() => rmSync(directory, { recursive: true, force: true }));
let places = 0;
const newPath = () => join(directory, `place-${++places}`, 'routes.db');

describeStore('sqlite', async () => {
  const path = newPath();
  return {
    open: () => openSqlite(path),
    async writeRaw(pattern, record) {
      const raw = new DatabaseSync(path, { timeout: 5000 });
      raw
        .prepare('INSERT INTO frontends VALUES (?, ?) ON CONFLICT (pattern) DO UPDATE SET record = excluded.record')
        .run(pattern, record);
      raw.close();
    },
    async dispose() {},
  };
});

const module = JSON.stringify(new URL('./sqlite.ts', import.meta.url).href);

/** A child process that runs `source`, an async body that has `openSqlite` and `say(text)`. */
function child(source: string, options: { uid?: number } = {}): ChildProcess {
  const script = `
    import { writeSync } from 'node:fs';
    const { openSqlite } = await import(${module});
    const say = (text) => writeSync(1, text + '\\n');
    ${source}`;
  return spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['pipe', 'pipe', 'inherit'],
    ...options,
  });
}

/** The lines that a child says until it ends. */
async function linesOf(process: ChildProcess): Promise<string[]> {
  assert.ok(process.stdout);
  const ended = once(process, 'exit');
  const lines = await Array.fromAsync(createInterface({ input: process.stdout }));
  await ended;
  return lines;
}

async function firstLine(process: ChildProcess): Promise<string> {
  assert.ok(process.stdout);
  for await (const line of createInterface({ input: process.stdout })) return line;
  return '';
}

test('a new store is made with its directory, for its user alone', async () => {
  const path = newPath();
  const store = await openSqlite(path);
  await store.set('a.example', null, ['http://a:1']);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(`${path}-wal`).mode & 0o777, 0o600);
  assert.equal(statSync(join(path, '..')).mode & 0o027, 0);
  await store.close();
  const raw = new DatabaseSync(path, { readOnly: true });
  assert.deepEqual({ ...raw.prepare('PRAGMA application_id').get() }, { application_id: applicationId });
  assert.deepEqual({ ...raw.prepare('PRAGMA user_version').get() }, { user_version: 1 });
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
        for (let i = 0; i < 20; i++) await store.add('all.example', ['http://h${i}-' + i + ':1']);
        await store.close(); say('done');`),
    ),
  );
  assert.deepEqual(
    await Promise.all(children),
    Array.from({ length: 4 }, () => ['done']),
  );
  const store = await openSqlite(path);
  assert.equal((await store.read(['all.example']))[0]?.frontend.length, 81);
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
            await store.set(host, '${round}-' + i, ['http://a:1']);
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
    const read = await store.read(hosts);
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
  const writes = Array.from({ length: 600 }, (_, i) => store.set(`h${i}.example`, null, []));
  await store.close();
  await Promise.all(writes);
  const again = await openSqlite(path);
  assert.equal((await again.list('', 1000)).length, 600);
  await again.close();
});

test('a change by another process is told', async () => {
  const path = newPath();
  const store = await openSqlite(path);
  const watch = new Watch();
  await store.watch(watch);
  const told = watch.next('other.example');
  await linesOf(
    child(`const store = await openSqlite(${JSON.stringify(path)});
    await store.set('other.example', null, ['http://a:1']); await store.close();`),
  );
  await told;
  await store.close();
});

test('while another process holds the write lock, reads are answered, writes wait for it', async () => {
  const path = newPath();
  const store = await openSqlite(path);
  await store.set('a.example', null, ['http://a:1']);
  const holder = new DatabaseSync(path);
  holder.exec('BEGIN IMMEDIATE');
  let written = false;
  const write = store.set('b.example', null, ['http://b:1']).then(() => {
    written = true;
  });
  const mark = store.mark('a.example', 'http://a:1', { untilMs: 1, sinceMs: 0, reason: 'x', instance: 'i' });
  for (let i = 0; i < 20; i++) assert.ok((await store.read(['a.example']))[0]);
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
  await assert.rejects(store.set('a.example', null, []), (error: Error & { code?: string }) => {
    assert.equal(error.code, 'STORE_BUSY');
    assert.ok(error.message.includes(path));
    return true;
  });
  holder.exec('ROLLBACK');
  holder.close();
  await store.set('a.example', null, []);
  await store.close();
});

test('a watcher that falls behind the log of changes is told that it did', async () => {
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
  const told = watch.next('after.example');
  await watcher.set('after.example', null, []);
  await told;
  await watcher.close();
});

test('the log of changes is bounded, and ended marks are cleared away', async () => {
  const path = newPath();
  const store = await openSqlite(path, { changesKept: 50 });
  await store.set('a.example', null, ['http://a:1', 'http://b:1']);
  await store.mark('a.example', 'http://a:1', { untilMs: Date.now() - 1, sinceMs: 0, reason: 'x', instance: 'i' });
  for (let i = 0; i < 200; i++) await store.set('b.example', String(i), []);
  await store.close();
  const raw = new DatabaseSync(path);
  const { changes, marks } = raw
    .prepare('SELECT (SELECT count(*) FROM changes) AS changes, (SELECT count(*) FROM down) AS marks')
    .get() as { changes: number; marks: number };
  assert.ok(changes <= 101, `${changes} changes`);
  assert.equal(marks, 0);
  raw.close();
});

for (const [what, content, message] of [
  ['is not SQLite', 'these are my notes, not a database\n'.repeat(200), /not a SQLite database/],
  ['is a few bytes of something', 'hello', /not a SQLite database/],
] as const) {
  test(`a file that ${what} is refused and left as it is`, async () => {
    const path = newPath();
    mkdirSync(join(path, '..'));
    writeFileSync(path, content);
    await assert.rejects(openSqlite(path), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'STORE_DAMAGED');
      assert.match(error.message, message);
      assert.ok(error.message.includes(path));
      return true;
    });
    assert.equal(readFileSync(path, 'utf8'), content);
  });
}

test("another program's database is refused and left as it is", async () => {
  for (const setup of ['CREATE TABLE notes (text)', 'PRAGMA application_id = 7', 'PRAGMA user_version = 3']) {
    const path = newPath();
    mkdirSync(join(path, '..'));
    const raw = new DatabaseSync(path);
    raw.exec(setup);
    raw.close();
    const before = readFileSync(path);
    await assert.rejects(openSqlite(path), { code: 'STORE_DAMAGED', message: /another program/ });
    assert.deepEqual(readFileSync(path), before);
  }
});

test('the file of a newer version is refused and left as it is', async () => {
  const path = newPath();
  await (await openSqlite(path)).close();
  const raw = new DatabaseSync(path);
  raw.exec('PRAGMA user_version = 99');
  raw.close();
  const before = readFileSync(path);
  await assert.rejects(openSqlite(path), { code: 'STORE_NEWER', message: /newer version.*99/ });
  assert.deepEqual(readFileSync(path), before);
});

test('an empty file is taken over', async () => {
  const path = newPath();
  mkdirSync(join(path, '..'));
  writeFileSync(path, '');
  const store = await openSqlite(path);
  await store.set('a.example', null, []);
  await store.close();
});

test('a damaged file is said to be, and what of it can be read is served', async () => {
  const path = newPath();
  const store = await openSqlite(path);
  const urls = Array.from({ length: 50 }, (_, i) => `http://backend-${i}:1`);
  await Promise.all(Array.from({ length: 500 }, (_, i) => store.set(`host-${i}.example`, null, urls)));
  await store.close();
  const bytes = readFileSync(path);
  // Pages in the middle; the first ones hold the schema.
  bytes.fill(0xff, 4096 * 40, 4096 * 80);
  writeFileSync(path, bytes);
  const damaged = await openSqlite(path);
  const results = await Promise.allSettled(Array.from({ length: 500 }, (_, i) => damaged.read([`host-${i}.example`])));
  const errors = results.filter((result) => result.status === 'rejected');
  assert.ok(errors.length > 0 && errors.length < 500, `${errors.length} of 500 failed`);
  for (const { reason } of errors) {
    assert.equal(reason.code, 'STORE_DAMAGED');
    assert.ok(reason.message.includes(path));
  }
  await damaged.close();
});

test('a path that cannot be a file is said to be', async () => {
  await assert.rejects(openSqlite(directory), { code: 'STORE_UNAVAILABLE', message: /is a directory/ });
  const file = join(directory, 'a-file');
  writeFileSync(file, 'x');
  await assert.rejects(openSqlite(join(file, 'routes.db')), { code: 'STORE_UNAVAILABLE' });
});

/** Root may write everything: as root these run as nobody. */
const unprivileged: { uid?: number } = process.getuid?.() === 0 ? { uid: 65534 } : {};

for (const [what, restrict, release] of [
  ['file', (path: string) => chmodSync(path, 0o444), (path: string) => chmodSync(path, 0o644)],
  [
    'directory',
    (path: string) => chmodSync(join(path, '..'), 0o555),
    (path: string) => chmodSync(join(path, '..'), 0o755),
  ],
] as const) {
  for (const running of [false, true]) {
    test(`a read-only ${what} is served and not written${running ? ', also beside a process that writes' : ''}`, async () => {
      const path = newPath();
      const store = await openSqlite(path);
      await store.set('a.example', null, ['http://a:1']);
      chmodSync(path, 0o644);
      chmodSync(join(path, '..'), 0o755);
      if (running) for (const suffix of ['-wal', '-shm']) chmodSync(`${path}${suffix}`, 0o644);
      else await store.close();
      restrict(path);
      try {
        const lines = await linesOf(
          child(
            `const store = await openSqlite(${JSON.stringify(path)});
            say(JSON.stringify((await store.read(['a.example']))[0].frontend));
            for (const write of [store.set('b', null, []), store.mark('a.example', 'http://a:1', { untilMs: 1, sinceMs: 0, reason: '', instance: '' })])
              await write.then(() => say('written'), (error) => say(error.code + ' ' + error.message.includes(${JSON.stringify(path)})));
            await store.close();`,
            unprivileged,
          ),
        );
        assert.deepEqual(lines, ['["a.example","http://a:1"]', 'STORE_READ_ONLY true', 'STORE_READ_ONLY true']);
      } finally {
        release(path);
        if (running) await store.close();
      }
    });
  }
}

test('a read-only store is written once it may be, without a restart', async () => {
  const path = newPath();
  const store = await openSqlite(path);
  await store.set('a.example', null, ['http://a:1']);
  await store.close();
  const place = join(path, '..');
  if (unprivileged.uid !== undefined) for (const each of [path, place]) chownSync(each, unprivileged.uid, 0);
  chmodSync(place, 0o555);
  const reader = child(
    `import { chmodSync } from 'node:fs';
    const store = await openSqlite(${JSON.stringify(path)});
    const restored = Promise.withResolvers();
    await store.watch({ changed() {}, lost() {}, restored: restored.resolve });
    await store.set('b.example', null, []).catch((error) => say(error.code));
    chmodSync(${JSON.stringify(place)}, 0o755);
    await restored.promise;
    await store.set('b.example', null, []);
    say((await store.read(['b.example']))[0].frontend[0]);
    await store.close();`,
    unprivileged,
  );
  assert.deepEqual(await linesOf(reader), ['STORE_READ_ONLY', 'b.example']);
});

test('a file in a place that cannot be written is refused with the reason', async () => {
  const path = join(directory, 'closed', 'routes.db');
  mkdirSync(join(path, '..'), { mode: 0o555 });
  const lines = await linesOf(
    child(
      `await openSqlite(${JSON.stringify(path)}).catch((error) => say(error.code + ' ' + error.message));`,
      unprivileged,
    ),
  );
  assert.match(lines[0] ?? '', /^STORE_UNAVAILABLE .*routes\.db.*no permission/);
});

test('a write past the room that there is fails whole, and the store goes on', async () => {
  const path = newPath();
  await (await openSqlite(path)).close();
  const connection = new DatabaseSync(path);
  connection.exec('PRAGMA max_page_count = 40');
  const tables = new SqliteTables(connection, 100);
  const urls = Array.from({ length: 20_000 }, (_, i) => `http://backend-${i}.internal.example:80`);
  tables.write([{ kind: 'set', pattern: 'a.example', id: null, urls: ['http://a:1'] }], 0);
  assert.throws(
    () =>
      tables.write(
        [
          { kind: 'set', pattern: 'b.example', id: null, urls: [] },
          { kind: 'set', pattern: 'big.example', id: null, urls },
        ],
        0,
      ),
    (error) => storeError(error, path).code === 'STORE_FULL' && storeError(error, path).message.includes(path),
  );
  assert.deepEqual(
    tables.read(['a.example', 'b.example', 'big.example']).map((row) => row?.record ?? null),
    ['["a.example","http://a:1"]', null, null],
  );
  tables.write([{ kind: 'set', pattern: 'c.example', id: null, urls: [] }], 0);
  connection.close();
});

/** Runs a child on a file system of its own of 1 MiB; not every machine allows that. */
const ownMount = process.getuid?.() === 0 ? ['-m'] : ['-Urm'];
const mayMount = spawnSync('unshare', [...ownMount, 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0;

if (mayMount) {
  test('a full disk refuses writes, goes on serving, also after a restart, and is over when there is room', async () => {
    const mount = join(directory, 'full');
    mkdirSync(mount);
    const path = JSON.stringify(join(mount, 'routes.db'));
    const script = `
      import { rmSync, writeFileSync, writeSync } from 'node:fs';
      const { openSqlite } = await import(${module});
      const say = (text) => writeSync(1, text + '\\n');
      const write = (store) => store.set('big.example', null, Array.from({ length: 5000 }, (_, i) => 'http://b' + i + ':80'))
        .then(() => say('written'), (error) => say(error.code + ' ' + error.message.includes(${path})));
      const read = async (store) => say(JSON.stringify((await store.read(['a.example', 'big.example'])).map((host) => host?.frontend.length)));
      let store = await openSqlite(${path});
      await store.set('a.example', null, ['http://a:1']);
      const fill = () => { try { writeFileSync(${JSON.stringify(join(mount, 'other'))}, Buffer.alloc(4 << 20), { flag: 'a' }) } catch {} };
      fill();
      await write(store); await read(store);
      await store.close();
      fill();
      store = await openSqlite(${path});
      await write(store); await read(store);
      rmSync(${JSON.stringify(join(mount, 'other'))});
      await store.close();
      store = await openSqlite(${path});
      await write(store); await read(store);
      await store.close();`;
    const shell = `mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@"`;
    const limited = spawn(
      'unshare',
      [...ownMount, 'sh', '-c', shell, mount, process.execPath, '--input-type=module', '-e', script],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    assert.deepEqual(await linesOf(limited), [
      'STORE_FULL true',
      '[2,null]',
      'STORE_FULL true',
      '[2,null]',
      'written',
      '[2,5001]',
    ]);
  });
}

test('a file that is deleted while open is not written any more, is told, and goes on being read', async () => {
  const path = newPath();
  const store = await openSqlite(path);
  await store.set('a.example', null, ['http://a:1']);
  const watch = new Watch();
  await store.watch(watch);
  const lost = watch.event('lost');
  for (const suffix of ['', '-wal', '-shm']) renameSync(`${path}${suffix}`, `${path}.away${suffix}`);
  await lost;
  await assert.rejects(store.set('b.example', null, []), { code: 'STORE_UNAVAILABLE', message: /deleted or replaced/ });
  assert.ok((await store.read(['a.example']))[0]);
  assert.equal(existsSync(path), false);
  const restored = watch.event('restored');
  for (const suffix of ['-wal', '-shm', '']) renameSync(`${path}.away${suffix}`, `${path}${suffix}`);
  await restored;
  await store.set('b.example', null, []);
  await store.close();
});

test('a file that is replaced by a backup is taken up, with everything unverified', async () => {
  const path = newPath();
  const store = await openSqlite(path);
  await store.set('a.example', 'old', ['http://a:1']);
  await store.close();
  copyFileSync(path, `${path}.backup`);
  const current = await openSqlite(path);
  await current.set('a.example', 'new', ['http://a:1']);
  const watch = new Watch();
  await current.watch(watch);
  const restored = watch.event('restored');
  rmSync(`${path}-wal`);
  rmSync(`${path}-shm`);
  renameSync(`${path}.backup`, path);
  await restored;
  assert.equal(watch.losses, 1);
  assert.equal((await current.read(['a.example']))[0]?.frontend[0], 'old');
  await current.set('a.example', 'newer', []);
  await current.close();
  const again = await openSqlite(path);
  assert.equal((await again.read(['a.example']))[0]?.frontend[0], 'newer');
  await again.close();
});

test('what is left of a killed process is no obstacle to reading alone', async () => {
  const path = newPath();
  const writer = child(`const store = await openSqlite(${JSON.stringify(path)});
    await store.set('a.example', null, ['http://a:1']); say('ready');`);
  await firstLine(writer);
  const ended = once(writer, 'exit');
  writer.kill('SIGKILL');
  await ended;
  const store = await openSqlite(path, { create: false });
  assert.ok((await store.read(['a.example']))[0]);
  await store.close();
});

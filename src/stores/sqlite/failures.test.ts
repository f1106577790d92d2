import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { Watch } from '../watch.suite.ts';
import { storeError } from './errors.ts';
import { child, directory, firstLine, linesOf, module, newPath } from './sqlite.suite.ts';
import { openSqlite } from './sqlite-store.ts';
import { SqliteTables, type Write } from './tables.ts';

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
  await store.routes.set('a.example', null, []);
  await store.close();
});

test('a damaged file is said to be, and what of it can be read is served', async () => {
  const path = newPath();
  const store = await openSqlite(path);
  const urls = Array.from({ length: 50 }, (_, i) => `http://backend-${i}:1`);
  await Promise.all(Array.from({ length: 500 }, (_, i) => store.routes.set(`host-${i}.example`, null, urls)));
  await store.close();
  const bytes = readFileSync(path);
  // Pages in the middle; the first ones hold the schema.
  bytes.fill(0xff, 4096 * 40, 4096 * 80);
  writeFileSync(path, bytes);
  const damaged = await openSqlite(path);
  const results = await Promise.allSettled(
    Array.from({ length: 500 }, (_, i) => damaged.routes.read([`host-${i}.example`])),
  );
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
      await store.routes.set('a.example', null, ['http://a:1']);
      chmodSync(path, 0o644);
      chmodSync(join(path, '..'), 0o755);
      if (running) for (const suffix of ['-wal', '-shm']) chmodSync(`${path}${suffix}`, 0o644);
      else await store.close();
      restrict(path);
      try {
        const lines = await linesOf(
          child(
            `const store = await openSqlite(${JSON.stringify(path)});
            say(JSON.stringify((await store.routes.read(['a.example']))[0].frontend));
            for (const write of [store.routes.set('b', null, []), store.marks.write('a.example', 'http://a:1', { untilMs: 1, sinceMs: 0, reason: '', instance: '' })])
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
  await store.routes.set('a.example', null, ['http://a:1']);
  await store.close();
  const place = join(path, '..');
  if (unprivileged.uid !== undefined) for (const each of [path, place]) chownSync(each, unprivileged.uid, 0);
  chmodSync(place, 0o555);
  const reader = child(
    `import { chmodSync } from 'node:fs';
    const store = await openSqlite(${JSON.stringify(path)});
    const restored = Promise.withResolvers();
    await store.watch({ changed() {}, lost() {}, restored: restored.resolve });
    await store.routes.set('b.example', null, []).catch((error) => say(error.code));
    chmodSync(${JSON.stringify(place)}, 0o755);
    await restored.promise;
    await store.routes.set('b.example', null, []);
    say((await store.routes.read(['b.example']))[0].frontend[0]);
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

function setRoute(pattern: string, urls: readonly string[]): Write {
  return { kind: 'changeRoutes', changes: [{ kind: 'set', pattern, urls }] };
}

test('a write past the room that there is fails whole, and the store goes on', async () => {
  const path = newPath();
  await (await openSqlite(path)).close();
  const connection = new DatabaseSync(path);
  connection.exec('PRAGMA max_page_count = 40');
  const tables = new SqliteTables(connection, 100);
  const urls = Array.from({ length: 20_000 }, (_, i) => `http://backend-${i}.internal.example:80`);
  tables.write([setRoute('a.example', ['http://a:1'])], 0);
  assert.throws(
    () => tables.write([setRoute('b.example', []), setRoute('big.example', urls)], 0),
    (error) => storeError(error, path).code === 'STORE_FULL' && storeError(error, path).message.includes(path),
  );
  assert.deepEqual(
    tables.readRoutes(['a.example', 'b.example', 'big.example']).map((row) => row?.record ?? null),
    ['["a.example","http://a:1"]', null, null],
  );
  tables.write([setRoute('c.example', [])], 0);
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
      const write = (store) => store.routes.set('big.example', null, Array.from({ length: 5000 }, (_, i) => 'http://b' + i + ':80'))
        .then(() => say('written'), (error) => say(error.code + ' ' + error.message.includes(${path})));
      const read = async (store) => say(JSON.stringify((await store.routes.read(['a.example', 'big.example'])).map((host) => host?.frontend.length)));
      let store = await openSqlite(${path});
      await store.routes.set('a.example', null, ['http://a:1']);
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

test('a file that is deleted while open is reported, no longer written, and still read', async () => {
  const path = newPath();
  const store = await openSqlite(path);
  await store.routes.set('a.example', null, ['http://a:1']);
  const watch = new Watch();
  await store.watch(watch);
  const lost = watch.event('lost');
  for (const suffix of ['', '-wal', '-shm']) renameSync(`${path}${suffix}`, `${path}.away${suffix}`);
  await lost;
  await assert.rejects(store.routes.set('b.example', null, []), {
    code: 'STORE_UNAVAILABLE',
    message: /deleted or moved/,
  });
  assert.ok((await store.routes.read(['a.example']))[0]);
  assert.equal(existsSync(path), false);
  const restored = watch.event('restored');
  for (const suffix of ['-wal', '-shm', '']) renameSync(`${path}.away${suffix}`, `${path}${suffix}`);
  await restored;
  await store.routes.set('b.example', null, []);
  await store.close();
});

test('a file that is replaced by a backup is taken up, with everything unverified', async () => {
  const path = newPath();
  const store = await openSqlite(path);
  await store.routes.set('a.example', 'old', ['http://a:1']);
  await store.close();
  copyFileSync(path, `${path}.backup`);
  const current = await openSqlite(path);
  await current.routes.set('a.example', 'new', ['http://a:1']);
  const watch = new Watch();
  await current.watch(watch);
  const restored = watch.event('restored');
  rmSync(`${path}-wal`);
  rmSync(`${path}-shm`);
  renameSync(`${path}.backup`, path);
  await restored;
  assert.equal(watch.losses, 1);
  assert.equal((await current.routes.read(['a.example']))[0]?.frontend[0], 'old');
  await current.routes.set('a.example', 'newer', []);
  await current.close();
  const again = await openSqlite(path);
  assert.equal((await again.routes.read(['a.example']))[0]?.frontend[0], 'newer');
  await again.close();
});

test('what is left of a killed process is no obstacle to reading alone', async () => {
  const path = newPath();
  const writer = child(`const store = await openSqlite(${JSON.stringify(path)});
    await store.routes.set('a.example', null, ['http://a:1']); say('ready');`);
  await firstLine(writer);
  const ended = once(writer, 'exit');
  writer.kill('SIGKILL');
  await ended;
  const store = await openSqlite(path, { create: false });
  assert.ok((await store.routes.read(['a.example']))[0]);
  await store.close();
});

test('a store whose thread ends is opened again, and says what happened meanwhile', async () => {
  const path = newPath();
  const large = await openSqlite(path);
  await large.routes.set('a.example', null, ['http://127.0.0.1:1']);
  const longUrl = `http://127.0.0.1:1/${'x'.repeat(1_000_000)}`;
  for (let count = 0; count < 60; count++) await large.routes.set(`${count}.example`, null, [longUrl]);
  const small = await openSqlite(path, { threadMemoryMib: 16 });
  const watch = new Watch();
  await small.watch(watch);
  const lost = watch.event('lost');
  const restored = watch.event('restored');
  await assert.rejects(small.routes.list('', 1000), { code: 'STORE_UNAVAILABLE' });
  await lost;
  await restored;
  assert.deepEqual((await small.routes.read(['a.example']))[0]?.frontend, ['a.example', 'http://127.0.0.1:1']);
  const told = watch.next('routes', 'b.example');
  await large.routes.set('b.example', null, ['http://127.0.0.1:2']);
  await told;
  await small.close();
  await large.close();
});

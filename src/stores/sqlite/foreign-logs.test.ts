import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import { until } from '../../../test/helpers/until.ts';
import { Watch } from '../watch.suite.ts';
import { markTransaction } from './schema.ts';
import { child, firstLine, kill, killWriter, newPath, removeLog } from './sqlite.suite.ts';
import { openSqlite } from './sqlite-store.ts';
import { compareWithLog } from './write-ahead-log.ts';

type Store = Awaited<ReturnType<typeof openSqlite>>;

const unavailable = { code: 'STORE_UNAVAILABLE' };
const url = 'http://a:1';

const shell = (path: string, sql: string): string => execFileSync('sqlite3', [path, sql], { encoding: 'utf8' });

test('a log that is written, moved to the file and begun anew all the time is never taken for one of another file', async () => {
  const path = newPath();
  await setIn(path, 'a.example');
  const writer = child(`
    const { DatabaseSync } = await import('node:sqlite');
    const store = await openSqlite(${JSON.stringify(path)});
    const other = new DatabaseSync(${JSON.stringify(path)});
    say('ready');
    for (const endMs = performance.now() + 3000; performance.now() < endMs; ) {
      const sets = Array.from({ length: 5 }, (_, i) => store.routes.set(i + '.example', null, ['${url}']));
      other.prepare('PRAGMA wal_checkpoint(RESTART)').get();
      await Promise.all(sets);
    }
    await store.close();
    process.exit(0);`);
  await firstLine(writer);
  const fits = new Map<string, number>();
  while (writer.exitCode === null) {
    const fit = compareWithLog(path);
    fits.set(fit, (fits.get(fit) ?? 0) + 1);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok((fits.get('fits') ?? 0) > 10, JSON.stringify([...fits]));
  for (const wrong of ['foreign', 'diverged']) assert.equal(fits.get(wrong), undefined, JSON.stringify([...fits]));
});

test('a file that a checkpoint has left shorter than its header says is still compared', async (t) => {
  const path = newPath();
  const store = await openSqlite(path);
  t.after(() => store.close());
  await setRoutes(store, 'a.example');
  const [writer, reader] = [new DatabaseSync(path), new DatabaseSync(path)];
  const write = (sql: string, ...values: string[]): void => {
    writer.exec('BEGIN IMMEDIATE');
    markTransaction((text) => writer.prepare(text));
    writer.prepare(sql).run(...values);
    writer.exec('COMMIT');
  };
  write('INSERT INTO frontends VALUES (?, ?)', 'large.example', 'x'.repeat(100_000));
  // From here on a checkpoint cannot reach the end of the log. It leaves out the pages that are written again after this.
  reader.exec('BEGIN');
  reader.prepare('SELECT count(*) FROM frontends').get();
  write("UPDATE frontends SET record = ? WHERE pattern = 'large.example'", 'y'.repeat(100_000));
  writer.prepare('PRAGMA wal_checkpoint(PASSIVE)').get();
  const { page_count: pages } = reader.prepare('PRAGMA page_count').get() ?? {};
  assert.ok(statSync(path).size < Number(pages) * 4096, 'the file is short');
  assert.equal(compareWithLog(path), 'fits');
  await setRoutes(store, 'c.example');
  reader.close();
  writer.close();
});

/** The patterns of a store, which is whole. */
async function patternsIn(path: string): Promise<string[]> {
  const store = await openSqlite(path, { create: false });
  const patterns = (await store.routes.list('', 1000)).map(({ pattern }) => pattern);
  await store.close();
  assertWhole(path);
  return patterns;
}

function assertWhole(path: string): void {
  assert.equal(shell(path, 'PRAGMA integrity_check').trim(), 'ok');
}

async function setRoutes(store: Store, ...patterns: string[]): Promise<void> {
  for (const pattern of patterns) await store.routes.set(pattern, null, [url]);
}

async function setIn(path: string, ...patterns: string[]): Promise<void> {
  const store = await openSqlite(path);
  await setRoutes(store, ...patterns);
  await store.close();
}

const setting = (...patterns: string[]) =>
  patterns.map((pattern) => `await store.routes.set('${pattern}', null, ['${url}'])`).join(';');

const addFailure = `store.failures.add('a.example', new Map([['${url}',
  { count: 1, firstMs: Date.now(), lastMs: Date.now(), reason: 'x', instance: 'i' }]]))`;

/** Ways to make a copy of a store in use that has the id of its original. */
const copies: Readonly<Record<string, (path: string, copy: string) => void | Promise<void>>> = {
  'that VACUUM INTO made': (path, copy) => void shell(path, `VACUUM INTO '${copy}'`),
  'that VACUUM INTO made and the sqlite3 shell gave a log': (path, copy) => {
    shell(path, `VACUUM INTO '${copy}'`);
    shell(copy, 'PRAGMA journal_mode = WAL');
  },
  'that VACUUM INTO made and that was changed': async (path, copy) => {
    shell(path, `VACUUM INTO '${copy}'`);
    await setIn(copy, 'copy.example');
  },
  'that was changed': async (path, copy) => {
    shell(path, `.backup '${copy}'`);
    await setIn(copy, 'copy.example');
  },
};

/** Other layouts of the original. */
const originals: Readonly<Record<string, (path: string) => void>> = {
  '': () => {},
  ', after VACUUM': (path) => void shell(path, 'VACUUM'),
};

for (const [what, makeCopy] of Object.entries(copies)) {
  for (const [after, prepare] of Object.entries(originals)) {
    for (const [over, place] of [
      ['moved', renameSync],
      ['copied', copyFileSync],
    ] as const) {
      if (after !== '' && over === 'copied') continue;
      test(`a copy ${what}, ${over} over its original${after}, is refused beside the log, in use and after a kill`, async (t) => {
        for (const isKilled of [false, true]) await refuse(t, makeCopy, prepare, place, isKilled);
      });
    }
  }
}

async function refuse(
  t: TestContext,
  makeCopy: (typeof copies)[string],
  prepare: (path: string) => void,
  place: (from: string, to: string) => void,
  isKilled: boolean,
): Promise<void> {
  const path = newPath();
  const copy = `${path}.copy`;
  await setIn(path, 'a.example', 'old1.example', 'old2.example');
  prepare(path);
  const writer = child(
    `const store = await openSqlite(${JSON.stringify(path)}); ${setting('old3.example')};
    await store.watch({ changed() {}, expired() {}, lost() {}, restored() {} });
    say('ready');
    process.stdin.on('data', async (data) => {
      const set = await store.routes.set(String(data), null, ['${url}']).then(() => 'set', (error) => error.code);
      // The first failure creates a table.
      await ${addFailure}.catch(() => {});
      say(set);
    });`,
  );
  t.after(() => kill(writer));
  const says = lines(writer);
  await until('the writer', () => says.length === 1);
  await makeCopy(path, copy);
  writer.stdin?.write('later.example');
  await until('the later route', () => says[1] === 'set');
  if (isKilled) await kill(writer);
  // A copy over the file leaves nothing of it.
  if (place === renameSync) linkSync(path, `${path}.former`);
  copyFileSync(copy, `${path}.placed`);
  place(copy, path);
  await assert.rejects(openSqlite(path), { ...unavailable, message: /-wal beside it/ });
  if (!isKilled) {
    writer.stdin?.write('new.example');
    await until('the refusal', () => says[2] !== undefined);
    assert.equal(says[2], 'STORE_UNAVAILABLE');
    await kill(writer);
  }
  assert.deepEqual(readFileSync(path), readFileSync(`${path}.placed`), 'nothing is changed in it');
  if (place === renameSync) {
    copyFileSync(`${path}-wal`, `${path}.former-wal`);
    assert.deepEqual(await patternsIn(`${path}.former`), [
      'a.example',
      'later.example',
      'old1.example',
      'old2.example',
      'old3.example',
    ]);
  }
  removeLog(path);
  const patterns = await patternsIn(path);
  assert.deepEqual(
    patterns.filter((pattern) => pattern !== 'copy.example'),
    ['a.example', 'old1.example', 'old2.example', 'old3.example'],
  );
}

/** The lines that a child says, as it says them. */
function lines(process: ReturnType<typeof child>): string[] {
  const said: string[] = [];
  process.stdout?.on('data', (bytes: Buffer) => said.push(...String(bytes).trim().split('\n')));
  return said;
}

/** A closed store with routes and failures, and a log of the sqlite3 shell's that has no mark. */
async function leaveUnmarkedLog(path: string): Promise<void> {
  const store = await openSqlite(path);
  await setRoutes(store, 'a.example');
  const failure = { count: 1, firstMs: Date.now(), lastMs: Date.now(), reason: 'x', instance: 'i' };
  await store.failures.add('a.example', new Map([[url, failure]]));
  await store.close();
  const other = child(
    `const { DatabaseSync } = await import('node:sqlite');
    new DatabaseSync(${JSON.stringify(path)}).exec('DELETE FROM failed'); say('ready'); setInterval(() => {}, 1000);`,
  );
  await firstLine(other);
  await kill(other);
}

test('another file beside a log without any mark is refused and left as it is', async () => {
  const path = newPath();
  await leaveUnmarkedLog(path);
  await setIn(`${path}.other`, 'b.example', 'c.example');
  const before = readFileSync(`${path}.other`);
  renameSync(`${path}.other`, path);
  await assert.rejects(openSqlite(path), { ...unavailable, message: /does not say which file/ });
  assert.deepEqual(readFileSync(path), before);
  removeLog(path);
  assert.deepEqual(await patternsIn(path), ['b.example', 'c.example']);
});

test('a log without any mark is refused until the sqlite3 shell has moved it to its file', async () => {
  const path = newPath();
  await leaveUnmarkedLog(path);
  const error: Error = await openSqlite(path).then(
    () => assert.fail(),
    (error: Error) => error,
  );
  const [, advice] = /: sqlite3 \S+ "([^"]+)"/.exec(error.message) ?? [];
  assert.ok(advice !== undefined, error.message);
  shell(path, advice);
  assert.deepEqual(await patternsIn(path), ['a.example']);
});

test('every transaction marks the log, also one that changes nothing', async (t) => {
  const path = newPath();
  const store = await openSqlite(path);
  t.after(() => store.close());
  await setRoutes(store, 'a.example');
  for (let round = 0; round < 3; round++) {
    shell(path, 'PRAGMA wal_checkpoint(RESTART)');
    await store.marks.remove('a.example', url);
    assert.equal(compareWithLog(path), 'fits');
  }
});

test('a proxy marks a round that the sqlite3 shell has begun', async (t) => {
  const path = newPath();
  const store = await openSqlite(path);
  t.after(() => store.close());
  await setRoutes(store, 'a.example');
  const failure = { count: 1, firstMs: Date.now(), lastMs: Date.now(), reason: 'x', instance: 'i' };
  await store.failures.add('a.example', new Map([[url, failure]]));
  const watch = new Watch();
  await store.watch(watch);
  for (const sql of ['DELETE FROM failed', 'VACUUM', 'VACUUM; PRAGMA wal_checkpoint(RESTART); DELETE FROM failed']) {
    shell(path, `PRAGMA wal_checkpoint(RESTART); ${sql}`);
    await until('the mark', () => compareWithLog(path) === 'fits');
    await setRoutes(store, 'b.example');
  }
  assert.equal(watch.losses, 0);
});

/** The writes of a process that is killed; `sql` runs in the sqlite3 shell between them. */
const histories: Readonly<Record<string, { readonly before: string; readonly sql: string; readonly after: string }>> = {
  'a table that is created': {
    before: setting('b.example'),
    sql: '',
    after: `await ${addFailure}; ${setting('c.example')}`,
  },
  'an index that is removed': {
    before: setting('b.example'),
    sql: 'DROP INDEX down_until',
    after: setting('c.example'),
  },
  'a VACUUM': { before: setting('b.example'), sql: 'VACUUM', after: setting('c.example') },
  'a VACUUM at its start': {
    before: setting('b.example'),
    sql: 'PRAGMA wal_checkpoint(TRUNCATE); VACUUM',
    after: setting('c.example'),
  },
};

for (const [what, { before, sql, after }] of Object.entries(histories)) {
  test(`a log with ${what} is recovered, at whatever page a kill has ended its checkpoint`, async () => {
    const path = newPath();
    await setIn(path, 'a.example');
    await killWriter(
      path,
      `${before}; const { execFileSync } = await import('node:child_process');
      execFileSync('sqlite3', [${JSON.stringify(path)}, ${JSON.stringify(sql)}]); ${after}`,
    );
    const pages = latestPages(path);
    for (let count = 0; count <= pages.length; count++) {
      const copy = newPath();
      mkdirSync(dirname(copy));
      for (const suffix of ['', '-wal']) copyFileSync(`${path}${suffix}`, `${copy}${suffix}`);
      writePages(copy, pages.slice(0, count));
      assert.deepEqual(await patternsIn(copy), ['a.example', 'b.example', 'c.example'], `${count} pages`);
    }
  });
}

type Page = readonly [page: number, content: Buffer];

/** The last version of each page in the log, in the order in which a checkpoint writes them. */
function latestPages(path: string): readonly Page[] {
  const log = readFileSync(`${path}-wal`);
  const pageBytes = log.readUInt32BE(8);
  const pages = new Map<number, Buffer>();
  for (let at = 32; at < log.length; at += 24 + pageBytes) {
    if (!log.subarray(at + 8, at + 16).equals(log.subarray(16, 24))) break;
    pages.set(log.readUInt32BE(at), log.subarray(at + 24, at + 24 + pageBytes));
  }
  return [...pages].sort(([one], [other]) => one - other);
}

function writePages(path: string, pages: readonly Page[]): void {
  const fd = openSync(path, 'r+');
  for (const [page, content] of pages) writeSync(fd, content, 0, content.length, (page - 1) * content.length);
  closeSync(fd);
}

test('a copy that gets a log of its own gets an id of its own', async () => {
  const path = newPath();
  await setIn(path, 'a.example');
  shell(path, `VACUUM INTO '${path}.copy'`);
  const idOf = (file: string): string =>
    shell(file, "SELECT name FROM sqlite_sequence WHERE name GLOB 'hipache-store:*'");
  assert.equal(idOf(`${path}.copy`), idOf(path));
  const id = idOf(path);
  await setIn(`${path}.copy`, 'b.example');
  await setIn(path, 'b.example');
  assert.notEqual(idOf(`${path}.copy`), id);
  assert.equal(idOf(path), id);
  const raw = new DatabaseSync(`${path}.copy`, { readOnly: true });
  assert.deepEqual({ ...raw.prepare('PRAGMA journal_mode').get() }, { journal_mode: 'wal' });
  raw.close();
});

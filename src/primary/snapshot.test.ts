import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { until } from '../../test/helpers/until.ts';
import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import { KnownRecords } from '../route-cache/known-records.ts';
import { Snapshot, snapshotPath } from './snapshot.ts';

describe('a snapshot', () => {
  let directory: string;
  let warnings: string[];

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'hipache-snapshot-'));
    warnings = [];
  });

  afterEach(() => rmSync(directory, { recursive: true }));

  const log = { info: () => {}, warn: (what: string) => void warnings.push(what) };

  function configOf(driver: string, env: NodeJS.ProcessEnv = { STATE_DIRECTORY: join(directory, 'state') }): Config {
    return loadConfig({ env, cwd: '/', driver, isRoot: false }).config;
  }

  function open(config = configOf('redis://a.test')): { snapshot: Snapshot; known: KnownRecords } {
    const known = new KnownRecords(1_000_000);
    const snapshot = new Snapshot(known, log);
    snapshot.follow(config);
    return { snapshot, known };
  }

  test('keeps what was read, and what was found to be absent, for the next program', () => {
    const { snapshot } = open();
    snapshot.add(
      [
        ['routes a', '[["a","http://a:1"],[]]'],
        ['routes b', 'null'],
        ['routes c', '[["c"],[]]'],
      ],
      1,
    );
    snapshot.add([['routes c', '']], 1);
    snapshot.close();
    const { snapshot: next, known } = open();
    assert.equal(known.get('routes a'), '[["a","http://a:1"],[]]');
    assert.equal(known.get('routes b'), 'null');
    assert.equal(known.get('routes c'), undefined);
    assert.equal(known.unverified, 2);
    assert.deepEqual(next.assign(10, 7).toSorted(), ['routes a', 'routes b']);
    next.close();
    assert.deepEqual(warnings, []);
  });

  test('of more records than one page is known as a whole, and replaces nothing that is newer', () => {
    const { snapshot, known: before } = open();
    before.bytesMax = 100_000_000;
    const records = Array.from({ length: 12_000 }, (_, i) => [`routes ${i}`, `"${i}"`] as const);
    snapshot.add(records, 1);
    snapshot.close();
    const { snapshot: next, known } = open();
    assert.equal(known.size, 12_000);
    next.add([['routes 11000', '"new"']], 2);
    next.add([['routes 11001', '"new"']], 2);
    next.add([['routes 11001', '']], 2);
    assert.equal(known.size, 11_999);
    assert.deepEqual([known.get('routes 11000'), known.get('routes 11001')], ['"new"', undefined]);
    assert.equal(known.unverified, 11_998);
    next.close();
    const { snapshot: last } = open();
    assert.equal([...last.chunks(100_000)][0]?.length, 11_999);
    last.close();
  });

  test('is written by itself', async () => {
    const { snapshot } = open();
    snapshot.add([['routes a', '[["a"],[]]']], 1);
    const path = snapshotPath(configOf('redis://a.test')) ?? '';
    const other = new DatabaseSync(path, { readOnly: true });
    await until('the row', () => other.prepare('SELECT 1 FROM records').get() !== undefined);
    other.close();
    snapshot.close();
  });

  test('is one file for each store that is a server, and none for others, or if it is turned off', () => {
    const path = (driver: string, env?: NodeJS.ProcessEnv) => snapshotPath(configOf(driver, env));
    assert.notEqual(path('redis://a.test'), path('redis://b.test'));
    assert.equal(path('redis://:one@a.test'), path('redis://:two@a.test'));
    assert.equal(path('sqlite:/x.db'), null);
    assert.equal(path('redis://a.test', {}), null);
    const { snapshot, known } = open();
    snapshot.add([['routes a', '[["a"],[]]']], 1);
    known.clear();
    snapshot.follow(configOf('redis://b.test'));
    assert.equal(known.size, 0);
    snapshot.close();
    assert.equal(readdirSync(join(directory, 'state')).filter((name) => name.endsWith('.sqlite')).length, 2);
  });

  for (const [what, make] of [
    ['no database', (path: string) => writeFileSync(path, 'text that is longer than a header'.repeat(200))],
    ['of another program', (path: string) => new DatabaseSync(path).exec('CREATE TABLE other (x)')],
  ] as const) {
    test(`that is ${what} is made anew`, () => {
      open().snapshot.close();
      const path = snapshotPath(configOf('redis://a.test')) ?? '';
      for (const name of readdirSync(join(directory, 'state'))) rmSync(join(directory, 'state', name));
      make(path);
      const { snapshot } = open();
      snapshot.add([['routes a', '[["a"],[]]']], 1);
      snapshot.close();
      const { snapshot: next, known } = open();
      assert.equal(known.size, 1);
      next.close();
      assert.deepEqual(warnings, []);
    });
  }

  test('is behind until its changes are written, and stays so while it cannot be', async () => {
    const { snapshot } = open();
    assert.equal(snapshot.unwrittenSeconds, 0);
    snapshot.add([['routes a', '[["a"],[]]']], 1);
    await until('some time', () => snapshot.unwrittenSeconds > 0);
    await until('the file', () => snapshot.unwrittenSeconds === 0);
    const other = new DatabaseSync(snapshotPath(configOf('redis://a.test')) ?? '');
    other.exec('DROP TABLE records');
    other.close();
    snapshot.add([['routes b', '[["b"],[]]']], 1);
    await until('the failure', () => warnings.length > 0);
    assert.deepEqual(warnings, ['the snapshot cannot be written']);
    assert.ok(snapshot.unwrittenSeconds > 0.5);
    snapshot.close();
    assert.equal(snapshot.unwrittenSeconds, 0);
  });

  test('that has no place is reported, and nothing else happens', async () => {
    writeFileSync(join(directory, 'file'), '');
    const { snapshot, known } = open(configOf('redis://a.test', { STATE_DIRECTORY: join(directory, 'file') }));
    snapshot.add([['routes a', '[["a"],[]]']], 1);
    assert.equal(known.size, 1);
    await until('some time', () => snapshot.unwrittenSeconds > 0);
    snapshot.close();
    assert.deepEqual(warnings, ['the snapshot cannot be used']);
  });
});

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { until } from '../../test/helpers/until.ts';
import type { Log } from '../base/log.ts';
import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import { openStore } from '../stores/open-store.ts';
import { Ordering } from './ordering.ts';

describe('the orders of an instance', () => {
  const folder = mkdtempSync(join(tmpdir(), 'hipache-ordering-'));
  after(() => rmSync(folder, { recursive: true, force: true }));

  function configOf(driver: string, acme: object): Config {
    const file = join(folder, 'config.json');
    writeFileSync(file, JSON.stringify({ driver, acme, https: { bind: '127.0.0.1' } }));
    return loadConfig({ file, env: { HOME: folder }, cwd: folder, isRoot: false }).config;
  }

  function start(config: Config): { ordering: Ordering; lines: string[]; looked: string[] } {
    const [lines, looked]: [string[], string[]] = [[], []];
    const write = (what: string): void => void lines.push(what);
    const log: Log = { debug: write, info: write, warn: write, error: write };
    const ordering = new Ordering(config, 'test', log, (name) => void looked.push(name));
    ordering.start();
    return { ordering, lines, looked };
  }

  const directory = 'https://127.0.0.1:1/directory';

  test('are none without an authority: a handshake that asks does not wait, and nothing is opened', async () => {
    const { lines, looked, ordering } = start(configOf(`sqlite:${join(folder, 'none.db')}`, {}));
    ordering.wanted('a.example', '192.0.2.1');
    await ordering.close();
    assert.deepEqual([lines, looked], [[], ['a.example']]);
  });

  test('need a store that can tell what is due, and say so once', async () => {
    const routes = join(folder, 'routes.yaml');
    writeFileSync(routes, 'routes: {}\n');
    const { lines, ordering } = start(configOf(`file:${routes}`, { directory }));
    await until('the reason', () => lines.length > 0);
    await ordering.close();
    assert.deepEqual(lines, [
      'no certificates are ordered: this store cannot tell what is due; Redis, etcd, ZooKeeper and SQLite can',
    ]);
  });

  test('leave the state of a wildcard to instances that can prove it', async () => {
    const driver = `sqlite:${join(folder, 'wildcards.db')}`;
    const store = await openStore([driver]);
    const issued = { authority: directory, identifier: null, fingerprint: '', notBeforeMs: 0, notAfterMs: 0, atMs: 0 };
    for (const [pattern, state] of [
      ['*.shop.example', { issued }],
      ['*.made-up.example', {}],
      ['under_score.example', {}],
      ['', { of: 'a version to come' }],
    ] as const) {
      await store.notes.write(`order:${pattern}`, JSON.stringify({ pattern, ...state }), { dueMs: 1 });
    }
    const { ordering } = start(configOf(driver, { directory }));
    await until('a look at what is due', async () => (await store.notes.due(Date.now(), 10)).length === 0);
    await ordering.close();
    const later = (await store.notes.due(Date.now() + 2 * 3600_000, 10)).map(({ name }) => name);
    await store.close();
    assert.deepEqual(later.toSorted(), ['order:', 'order:*.made-up.example', 'order:*.shop.example']);
  });

  test('of names that one client makes up are bounded, whatever else it has asked for', async () => {
    const driver = `sqlite:${join(folder, 'guests.db')}`;
    const store = await openStore([driver]);
    await store.routes.set('*', null, ['http://127.0.0.1:1']);
    await store.close();
    const acme = { directory, hosts: 'all', ordersPerAddressMax: 3, nameServers: ['127.0.0.1:1'] };
    const { lines, looked, ordering } = start(configOf(driver, acme));
    await until('the start', async () => {
      ordering.wanted('under_score.example', '192.0.2.1');
      return looked.length > 0;
    });
    for (let i = 0; i < 10_050; i++) ordering.wanted(`x_${i}.example`, '192.0.2.1');
    await until('a look at each', () => looked.length > 10_050, 30_000);
    const names = Array.from({ length: 8 }, (_, i) => `n${i}.example`);
    // Nor does a strange name hide its client.
    for (const name of names) ordering.wanted(`${name}  `, '192.0.2.1');
    for (const name of names) ordering.wanted(name, '192.0.2.1');
    await until('a look at each', () => names.every((name) => looked.includes(name)), 30_000);
    await ordering.close();
    assert.equal(ordering.counters.checkFailed, 3);
    // One line for all that are refused.
    assert.equal(lines.filter((line) => line === 'no certificate is ordered').length, 1);
  });

  test('need the file of trusted authorities, and begin with a configuration that has it', async () => {
    const driver = `sqlite:${join(folder, 'routes.db')}`;
    const { lines, looked, ordering } = start(configOf(driver, { directory, ca: join(folder, 'ca.pem') }));
    await until('the reason', () => lines.length > 0);
    assert.match(lines[0] ?? '', /^no certificates are ordered: .*ca\.pem/);
    ordering.follow(configOf(driver, { directory }));
    await until('the end of a look', async () => {
      ordering.wanted('a.example', '192.0.2.1');
      return looked.length > 0;
    });
    await ordering.close();
    assert.equal(looked[0], 'a.example');
  });
});

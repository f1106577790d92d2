import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { until } from '../../test/helpers/until.ts';
import type { Log } from '../base/log.ts';
import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
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

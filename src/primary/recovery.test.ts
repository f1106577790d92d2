import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { until } from '../../test/helpers/until.ts';
import type { Log } from '../base/log.ts';
import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import type { MarkReport } from '../processes/messages.ts';
import type { Store } from '../stores/contract.ts';
import { Recovery } from './recovery.ts';

const sinceMs = Date.now();
const mark: MarkReport = {
  pattern: 'a.com',
  url: 'http://127.0.0.1:1',
  sinceMs,
  untilMs: sinceMs + 60_000,
  reason: 'connect',
};

describe('the recovery of an instance', () => {
  let events: string[];
  let problems: string[];
  let openFails: boolean;
  let recovery: Recovery;

  const { config } = loadConfig({ env: {}, cwd: '/', driver: 'redis://one', isRoot: true });

  const withServer = (settings: Partial<Config['server']>, driver: readonly string[] = config.driver): Config =>
    ({ ...config, driver, server: { ...config.server, ...settings } }) as Config;

  beforeEach(() => {
    events = [];
    problems = [];
    openFails = false;
    const log = { warn: (message: string) => void problems.push(message), info: () => {} } as unknown as Log;
    const open = async (driver: string | readonly string[]) => {
      events.push(`open ${driver}`);
      if (openFails) throw new Error('refused');
      const close = async () => void events.push(`close ${driver}`);
      const routes = { read: async (patterns: readonly string[]) => patterns.map(() => null) };
      return { routes, close } as unknown as Store;
    };
    recovery = new Recovery(
      withServer({ recoveryProbeSeconds: 3600 }),
      'me',
      log,
      (pattern) => pattern === 'checked.com',
      open,
    );
  });

  afterEach(() => recovery.close());

  test('opens the store with the first mark only, and once', async () => {
    assert.deepEqual(events, []);
    recovery.marked(mark);
    recovery.marked({ ...mark, url: 'http://127.0.0.1:2' });
    await until('two backends', () => recovery.size === 2);
    assert.deepEqual(events, ['open redis://one']);
  });

  test('opens nothing when marks end by themselves', async () => {
    recovery.follow(withServer({ recoveryProbeSeconds: 0 }));
    recovery.marked(mark);
    await recovery.close();
    assert.deepEqual(events, []);
  });

  test('tracks the marks of hosts with health checks, which may be turned off before the marks end', async () => {
    recovery.marked({ ...mark, pattern: 'checked.com' });
    await until('one backend', () => recovery.size === 1);
  });

  test('reports a store that cannot be opened, and tries again with the next mark', async () => {
    openFails = true;
    recovery.marked(mark);
    await until('a problem', () => problems.length === 1);
    openFails = false;
    recovery.marked(mark);
    await until('one backend', () => recovery.size === 1);
    assert.deepEqual(events, ['open redis://one', 'open redis://one']);
    assert.deepEqual(problems, ['marked backends cannot be probed']);
  });

  test('keeps its store if a new configuration changes nothing for it', async () => {
    recovery.marked(mark);
    await until('one backend', () => recovery.size === 1);
    recovery.follow(withServer({ recoveryProbeSeconds: 3600, drainSeconds: 1 }));
    recovery.marked({ ...mark, url: 'http://127.0.0.1:2' });
    await until('two backends', () => recovery.size === 2);
    assert.deepEqual(events, ['open redis://one']);
  });

  test('takes its marks along to another store', async () => {
    recovery.marked(mark);
    await until('one backend', () => recovery.size === 1);
    recovery.follow(withServer({ recoveryProbeSeconds: 3600 }, ['redis://two']));
    await until('the former store is closed', () => events.includes('close redis://one'));
    assert.deepEqual(events, ['open redis://one', 'open redis://two', 'close redis://one']);
    assert.equal(recovery.size, 1);
  });

  test('keeps the former store if the new one cannot be opened', async () => {
    recovery.marked(mark);
    await until('one backend', () => recovery.size === 1);
    openFails = true;
    recovery.follow(withServer({ recoveryProbeSeconds: 3600 }, ['redis://two']));
    await until('a problem', () => problems.length === 1);
    recovery.marked({ ...mark, url: 'http://127.0.0.1:2' });
    await until('two backends', () => recovery.size === 2);
    assert.deepEqual(events, ['open redis://one', 'open redis://two']);
  });

  test('closes its store when probes are turned off, and takes no mark after its end', async () => {
    recovery.marked(mark);
    await until('one backend', () => recovery.size === 1);
    recovery.follow(withServer({ recoveryProbeSeconds: 0 }));
    await until('closed', () => events.includes('close redis://one'));
    recovery.follow(withServer({ recoveryProbeSeconds: 3600 }));
    await recovery.close();
    recovery.marked(mark);
    await recovery.close();
    assert.deepEqual(events, ['open redis://one', 'close redis://one']);
  });
});

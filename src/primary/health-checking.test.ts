import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { until } from '../../test/helpers/until.ts';
import type { Log } from '../base/log.ts';
import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import type { Store } from '../stores/contract.ts';
import { HealthChecking } from './health-checking.ts';

describe('the health checks of an instance', () => {
  let events: string[];
  let problems: string[];
  let openFails: boolean;
  let backend: Server;
  let requests: string[];
  let health: HealthChecking;

  const { config } = loadConfig({ env: {}, cwd: '/', driver: 'redis://one', isRoot: true });
  const withDriver = (driver: string): Config => ({ ...config, driver: [driver] }) as Config;

  beforeEach(async () => {
    events = [];
    problems = [];
    openFails = false;
    requests = [];
    backend = createServer((request, response) => {
      requests.push(`${request.url} ${request.headers.host} ${request.headers['user-agent']?.split('/')[0]}`);
      response.end('well');
    });
    await new Promise<void>((resolve) => backend.listen(0, '127.0.0.1', resolve));
    const { port } = backend.address() as AddressInfo;
    const record = {
      frontend: ['a.com', `http://127.0.0.1:${port}`],
      down: new Map(),
      options: new Map([
        ['healthPath', '/up'],
        ['healthInterval', '1s'],
        ['healthText', 'well'],
      ]),
    };
    const log = { warn: (message: string) => void problems.push(message), info: () => {} } as unknown as Log;
    const open = async (driver: string | readonly string[]) => {
      events.push(`open ${driver}`);
      if (openFails) throw new Error('refused');
      const close = async () => void events.push(`close ${driver}`);
      const routes = { read: async (keys: readonly string[]) => keys.map((key) => (key === 'a.com' ? record : null)) };
      return { routes, close, instances: null } as unknown as Store;
    };
    health = new HealthChecking(config, 'me', log, open);
  });

  afterEach(async () => {
    await health.close();
    backend.closeAllConnections();
    backend.close();
  });

  test('open the store with the first host, and ask as the options want it', async () => {
    assert.equal(health.isChecked('a.com'), false);
    assert.deepEqual(events, []);
    health.confirm(['a.com']);
    health.confirm(['a.com']);
    await until('two checks', () => health.counters.succeeded >= 2);
    assert.deepEqual(new Set(requests), new Set(['/up a.com hipache-probe']));
    assert.deepEqual([health.size, health.downCount, health.isChecked('a.com')], [1, 0, true]);
    assert.deepEqual(events, ['open redis://one']);
  });

  test('try again with the next report if the store cannot be opened', async () => {
    openFails = true;
    health.confirm(['a.com']);
    await until('a problem', () => problems.includes('backends cannot be checked'));
    openFails = false;
    health.confirm(['a.com']);
    await until('a backend', () => health.size === 1);
  });

  test('take their hosts along to another store, and keep the former one if that cannot be opened', async () => {
    health.confirm(['a.com']);
    await until('a backend', () => health.size === 1);
    health.follow(withDriver('redis://one'));
    openFails = true;
    health.follow(withDriver('redis://two'));
    await until('a problem', () => problems.includes('backends are checked with the configuration before'));
    assert.equal(health.size, 1);
    openFails = false;
    health.follow(withDriver('redis://three'));
    await until('the former store to be closed', () => events.includes('close redis://one'));
    await until('a backend', () => health.size === 1);
    assert.deepEqual(events, ['open redis://one', 'open redis://two', 'open redis://three', 'close redis://one']);
  });

  test('end, with their store, and take no host afterwards', async () => {
    health.confirm(['a.com']);
    await until('a backend', () => health.size === 1);
    await health.close();
    assert.deepEqual(events, ['open redis://one', 'close redis://one']);
    health.confirm(['a.com']);
    await health.close();
    assert.deepEqual([health.size, health.isChecked('a.com')], [0, false]);
    assert.equal(events.length, 2);
  });
});

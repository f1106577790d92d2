import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer, type Server as TcpServer } from 'node:net';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { orderNoteName, readOrderState } from '../../src/acme/order-state.ts';
import type { Store } from '../../src/stores/contract.ts';
import { openStore } from '../../src/stores/open-store.ts';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { longCase } from '../helpers/long-case.ts';
import { Pebble } from '../helpers/pebble.ts';
import { RedisServer } from '../helpers/redis-server.ts';
import { seeded } from '../helpers/seeded-random.ts';
import { until } from '../helpers/until.ts';

const instances = 3;

describe('the certificates of a fleet whose instances are killed', () => {
  let pebble: Pebble;
  let redis: RedisServer;
  let backend: Server;
  let homes: HipacheHome[];
  let running: HipacheProcess[];
  let balancer: TcpServer;
  let store: Store;

  before(async () => {
    pebble = await Pebble.start();
    backend = createServer((_request, response) => response.end('served'));
    await new Promise<void>((resolve) => void backend.listen(0, '127.0.0.1', resolve));
  });
  after(async () => {
    backend?.close();
    await pebble?.remove();
  });
  beforeEach(async () => {
    redis = await RedisServer.start();
    store = await openStore(redis.url);
    homes = Array.from({ length: instances }, () => new HipacheHome());
    const acme = { directory: pebble.directoryUrl, ca: pebble.caFile, ...pebble.settings, hosts: 'all' };
    for (const home of homes) home.configure({ acme, driver: redis.url }, { workers: 1 });
    running = [];
    // In front of the instances, as of most fleets: it goes to the next one if one does not listen.
    balancer = createTcpServer({ pauseOnConnect: true }, (client) => {
      client.on('error', () => {});
      const ports = running.map(({ port }) => port).sort(() => Math.random() - 0.5);
      const tryNext = (): void => {
        const port = ports.pop();
        if (port === undefined) {
          client.destroy();
          return;
        }
        const instance = connect({ port, host: '127.0.0.1' });
        let isOpen = false;
        instance.once('connect', () => {
          isOpen = true;
          client.pipe(instance).pipe(client);
        });
        instance.on('error', () => (isOpen ? client.destroy() : tryNext()));
      };
      tryNext();
    });
    await new Promise<void>((resolve) => void balancer.listen(pebble.httpPort, '127.0.0.1', resolve));
  });
  afterEach(async () => {
    balancer.close();
    for (const home of homes) await home.remove();
    await store.close();
    await redis.remove();
  });

  /** The names without a certificate, with what is known of their orders. */
  async function missing(names: readonly string[]): Promise<string> {
    const found = new Set(await store.certificates.list('', names.length));
    const lines = names
      .filter((name) => !found.has(name))
      .map(async (name) => `${name}: ${await store.notes.read(orderNoteName(name))}`);
    const logs = running.map(({ output }) => output.split('\n').slice(-10).join('\n'));
    return [...(await Promise.all(lines)), ...logs].join('\n');
  }

  /** @param seconds for which an instance is killed again and again, and started again. */
  async function disturbed(names: readonly string[], seconds: number, seed: number): Promise<void> {
    const random = seeded(seed);
    const url = `http://127.0.0.1:${(backend.address() as AddressInfo).port}`;
    running = await Promise.all(homes.map((home) => home.serve()));
    await Promise.all(names.map((name) => store.routes.set(name, null, [url])));
    const endMs = performance.now() + seconds * 1000;
    let kills = 0;
    while (performance.now() < endMs) {
      await delay(500 + random() * 2000);
      const i = Math.floor(random() * instances);
      await running[i]?.kill();
      kills++;
      await delay(random() * 1000);
      running[i] = await (homes[i] as HipacheHome).serve();
    }
    assert.ok(kills > 0);
    const issued = async (): Promise<boolean> =>
      (await store.certificates.list('', names.length)).length === names.length;
    await until('all certificates', issued, 180_000).catch(async (error) => {
      throw new Error(`${error}\n${await missing(names)}`);
    });
    const states = await Promise.all(
      names.map(async (name) => readOrderState(await store.notes.read(orderNoteName(name)))),
    );
    const orders = states.map((state) => state.orders);
    const average = orders.reduce((sum, count) => sum + count, 0) / orders.length;
    process.stdout.write(`# ${kills} kills; orders per name ${average.toFixed(3)}, at most ${Math.max(...orders)}\n`);
    assert.ok(Math.max(...orders) <= 2, `a name was ordered ${Math.max(...orders)} times`);
    assert.ok(average < 1.1, `${average} orders per name`);
  }

  // An order whose holder was killed is gone on with after up to a minute.
  test('30 names, killed for 8 seconds: each is ordered once, hardly ever twice', longCase, async () => {
    const names = Array.from({ length: 30 }, (_, i) => `short-${i}.example`);
    await disturbed(names, 8, 1);
  });

  test('200 names, killed for a minute', longCase, async () => {
    const names = Array.from({ length: 200 }, (_, i) => `long-${i}.example`);
    await disturbed(names, 60, 2);
  });
});

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { EtcdServer } from '../../test/helpers/etcd-server.ts';
import { MemcachedServer } from '../../test/helpers/memcached-server.ts';
import { RedisServer } from '../../test/helpers/redis-server.ts';
import { ZooKeeperServer } from '../../test/helpers/zookeeper-server.ts';
import type { Store } from '../stores/contract.ts';
import { openStore } from '../stores/open-store.ts';
import { forgetSource, listOwnedHosts, listOwners, setOwnedRoutes } from './owned-routes.ts';

interface Place {
  readonly url: string;
  remove(): Promise<void>;
}

async function etcd(): Promise<Place> {
  const server = await EtcdServer.start();
  return { url: server.urls[0] ?? '', remove: () => server.remove() };
}

async function file(): Promise<Place> {
  const folder = mkdtempSync(join(tmpdir(), 'hipache-owned-'));
  // Its notes are beside it.
  process.env['STATE_DIRECTORY'] = folder;
  return {
    url: `file:${join(folder, 'routes.json')}`,
    remove: async () => rmSync(folder, { recursive: true, force: true }),
  };
}

const places: readonly (readonly [name: string, make: () => Promise<Place>])[] = [
  ['Redis', () => RedisServer.start()],
  ['etcd', etcd],
  ['memcached', () => MemcachedServer.start()],
  ['ZooKeeper', () => ZooKeeperServer.start()],
  ['a file', file],
];

/** Hosts that each source has of its own; an edit of a file takes its time. */
const hostsUsual = 30;
const hostsOfFile = 3;

for (const [name, make] of places) {
  test(`two sources that share hosts in ${name} lose nothing, and are forgotten one by one`, async (t) => {
    const hostsEach = make === file ? hostsOfFile : hostsUsual;
    const place = await make();
    const stores: Store[] = [];
    t.after(async () => {
      for (const store of stores) await store.close();
      await place.remove();
    });
    for (let i = 0; i < 2; i++) stores.push(await openStore(place.url, { create: true }));
    const [store] = stores as [Store];
    const set = (at: number, hosts: readonly string[]) =>
      setOwnedRoutes(
        {
          ...{ owner: 'docker', source: `s${at}`, complete: true, adopt: false, holder: null, release: false },
          routes: hosts.map((host) => ({
            host,
            backends: [`http://10.0.0.${at}:80`],
            options: { hold: `${at + 1}s` },
          })),
        },
        Date.now,
      )(stores[at] as Store);
    const shared = ['a.test', 'b.test', 'b.test/api'];
    const own = (at: number): string[] => Array.from({ length: hostsEach }, (_, i) => `h${i}.s${at}.test`);
    const changes = await Promise.all([0, 1].map((at) => set(at, [...shared, ...own(at)])));
    assert.deepEqual(
      changes.map(({ added, refused }) => [added.length, refused]),
      [
        [hostsEach + 3, []],
        [hostsEach + 3, []],
      ],
    );
    const backends = async (host: string): Promise<unknown[]> => {
      const [record = null] = await store.routes.read([host]);
      return record === null ? [] : record.frontend.slice(1).sort();
    };
    for (const host of shared) assert.deepEqual(await backends(host), ['http://10.0.0.0:80', 'http://10.0.0.1:80']);
    assert.deepEqual((await set(0, own(0))).removed, shared);
    assert.deepEqual((await listOwnedHosts(store, { owner: 'docker', source: 's0' })).length, hostsEach);
    assert.deepEqual(await backends('b.test/api'), ['http://10.0.0.1:80']);
    const [options = null] = await store.options.read(['b.test']);
    assert.deepEqual(Object.fromEntries(options?.options ?? []), { hold: '2s', paths: '/api' });
    for (const source of ['s0', 's1']) await forgetSource(store, { owner: 'docker', source }, Date.now());
    for (const host of [...shared, ...own(0), ...own(1)]) assert.deepEqual(await backends(host), []);
    assert.deepEqual(
      await store.options.read([...shared, ...own(1)]),
      [...shared, ...own(1)].map(() => null),
    );
    assert.deepEqual(await listOwners(store), []);
  });
}

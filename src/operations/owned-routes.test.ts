import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { seeded } from '../../test/helpers/seeded-random.ts';
import type { Store } from '../stores/contract.ts';
import { openStore } from '../stores/open-store.ts';
import type { OwnedStore } from './owned-host.ts';
import { forgetSource, listOwnedHosts, listOwners, setOwnedRoutes, showOwner, type Wish } from './owned-routes.ts';

const folder = mkdtempSync(join(tmpdir(), 'hipache-owned-'));
let store: Store;
/** Hosts of one test each. */
let hosts = 0;
let nowMs = 1_000_000;

before(async () => {
  store = await openStore(`sqlite:${join(folder, 'routes.sqlite')}`, { create: true });
});
after(async () => {
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

const newHost = (): string => `h${hosts++}.example`;

interface Given {
  readonly owner?: string;
  readonly adopt?: boolean;
  readonly complete?: boolean;
  readonly holder?: string;
  readonly release?: boolean;
  readonly on?: OwnedStore;
}

type Routes = Readonly<Record<string, readonly string[] | readonly [readonly string[], Record<string, string>]>>;

/** Sets routes: by host, the backends, or the backends with options. */
async function set(source: string, routes: Routes, { on = store, ...given }: Given = {}) {
  const wish: Wish = {
    ...{ owner: 'docker', source, complete: false, adopt: false, holder: null, release: false, ...given },
    routes: Object.entries(routes).map(([host, value]) => {
      const [first, second] = value;
      return Array.isArray(first)
        ? { host, backends: first, options: second as Record<string, string> }
        : { host, backends: value as readonly string[], options: {} };
    }),
  };
  return setOwnedRoutes(wish, () => nowMs)(on);
}

async function backends(host: string): Promise<readonly unknown[] | null> {
  const [record = null] = await store.routes.read([host]);
  return record === null || record.frontend.length === 0 ? null : record.frontend.slice(1);
}

async function options(host: string): Promise<Record<string, string>> {
  const [stored = null] = await store.options.read([host]);
  return Object.fromEntries([...(stored?.options ?? [])].sort());
}

test('a route comes with its source and goes with it', async () => {
  const host = newHost();
  const added = await set('one', { [host]: [['http://a:1', 'http://b:1#weight=2'], { requestsMax: '5' }] });
  assert.deepEqual({ ...added }, { added: [host], changed: [], removed: [], unchanged: 0, refused: [], conflicts: [] });
  assert.deepEqual(await backends(host), ['http://a:1', 'http://b:1#weight=2']);
  assert.deepEqual(await options(host), { requestsMax: '5' });
  const same = await set('one', { [host]: [['http://a:1', 'http://b:1#weight=2'], { requestsMax: '5' }] });
  assert.equal(same.unchanged, 1);
  const changed = await set('one', { [host]: ['http://b:1', 'http://c:1'] });
  assert.deepEqual(changed.changed, [host]);
  assert.deepEqual(await backends(host), ['http://b:1', 'http://c:1']);
  assert.deepEqual(await options(host), {});
  assert.deepEqual((await set('one', { [host]: [] })).removed, [host]);
  assert.equal(await backends(host), null);
  assert.equal((await showOwner(host)(store)).owner, null);
});

test('sources share a host, and each takes away only its own backends', async () => {
  const host = newHost();
  await set('one', { [host]: ['http://a:1'] });
  assert.deepEqual((await set('two', { [host]: ['http://b:1'] })).added, [host]);
  assert.deepEqual(await backends(host), ['http://a:1', 'http://b:1']);
  assert.deepEqual(await showOwner(host)(store), {
    pattern: host,
    owner: 'docker',
    sources: [
      { source: 'one', backends: ['http://a:1'] },
      { source: 'two', backends: ['http://b:1'] },
    ],
    options: [],
  });
  await set('one', { [host]: [] });
  assert.deepEqual(await backends(host), ['http://b:1']);
  await set('two', { [host]: [] });
  assert.equal(await backends(host), null);
});

test('a complete wish removes what the source has made and does not name, and nothing of others', async () => {
  const [kept, left, ofTwo, byHand] = [newHost(), newHost(), newHost(), newHost()];
  await store.routes.set(byHand, null, ['http://x:1']);
  await set('complete', { [kept]: ['http://a:1'], [left]: ['http://a:1'] });
  await set('two', { [ofTwo]: ['http://a:1'] });
  const done = await set('complete', { [kept]: ['http://a:1'] }, { complete: true });
  assert.deepEqual([done.removed, done.unchanged], [[left], 1]);
  assert.deepEqual(await listOwnedHosts(store, { owner: 'docker', source: 'complete' }), [kept]);
  for (const host of [kept, ofTwo, byHand]) assert.notEqual(await backends(host), null);
});

test('a host that was made by hand is refused and left as it is, unless it is adopted', async () => {
  const host = newHost();
  await store.routes.set(host, 'shop', ['http://x:1', 'http://a:1#weight=3']);
  const { added, refused } = await set('one', { [host]: ['http://a:1'] });
  assert.deepEqual(added, []);
  assert.deepEqual(refused, [{ host, reason: 'it has a route that was made by hand', owner: null }]);
  assert.deepEqual(await backends(host), ['http://x:1', 'http://a:1#weight=3']);
  assert.deepEqual((await set('one', { [host]: ['http://a:1'] }, { adopt: true })).added, [host]);
  assert.deepEqual(await backends(host), ['http://x:1', 'http://a:1']);
  await set('one', { [host]: [] });
  assert.deepEqual((await store.routes.read([host]))[0]?.frontend, ['shop', 'http://x:1']);
});

test('a host of another owner is refused, and the answer names it', async () => {
  const host = newHost();
  await set('one', { [host]: ['http://a:1'] });
  const { refused } = await set('web', { [host]: ['http://b:1'] }, { owner: 'panel', complete: true });
  assert.deepEqual(refused, [{ host, reason: 'it belongs to the owner docker (one)', owner: 'docker' }]);
  await set('web', {}, { owner: 'panel', complete: true });
  assert.deepEqual(await backends(host), ['http://a:1']);
});

test('backends and options that were set by hand on an owned host are kept', async () => {
  const host = newHost();
  await store.options.change(
    host,
    new Map([
      ['requestsMax', '9'],
      ['tunnelsMax', '7'],
    ]),
  );
  await set('one', { [host]: [['http://a:1'], { requestsMax: '5' }] });
  assert.deepEqual(await options(host), { tunnelsMax: '7', requestsMax: '5' });
  await store.routes.add(host, ['http://hand:1']);
  await store.options.change(host, new Map([['websockets', 'off']]));
  assert.equal((await set('one', { [host]: [['http://a:1'], { requestsMax: '5' }] })).unchanged, 1);
  await set('one', { [host]: ['http://hand:1', 'http://a:1'] });
  assert.deepEqual(await backends(host), ['http://a:1', 'http://hand:1']);
  await set('one', { [host]: [] });
  assert.deepEqual(await backends(host), ['http://hand:1']);
  // The value that the label has replaced is there again.
  assert.deepEqual(await options(host), { tunnelsMax: '7', requestsMax: '9', websockets: 'off' });
});

test('what somebody removes by hand comes back with the next wish', async () => {
  const host = newHost();
  await set('one', { [host]: [['http://a:1', 'http://b:1'], { requestsMax: '5' }] });
  await store.routes.remove(host, ['http://a:1']);
  await store.options.change(host, new Map([['requestsMax', null]]));
  assert.deepEqual((await set('one', { [host]: [['http://a:1', 'http://b:1'], { requestsMax: '5' }] })).changed, [
    host,
  ]);
  assert.deepEqual([await backends(host), await options(host)], [['http://b:1', 'http://a:1'], { requestsMax: '5' }]);
});

test('of contradicting options the first one holds until its source has gone', async () => {
  const host = newHost();
  await set('one', { [host]: [['http://a:1'], { requestsMax: '5' }] });
  const second = await set('two', { [host]: [['http://b:1'], { requestsMax: '6', websockets: 'off' }] });
  assert.deepEqual(second.conflicts, [{ host, option: 'requestsMax', holder: 'one' }]);
  assert.deepEqual(await options(host), { requestsMax: '5', websockets: 'off' });
  await set('one', { [host]: [] });
  assert.deepEqual(await options(host), { requestsMax: '6', websockets: 'off' });
  await set('two', { [host]: [] });
  assert.deepEqual(await options(host), {});
});

test('wrong routes are refused one by one, and what the source has there stays', async () => {
  const [good, bad] = [newHost(), newHost()];
  await set('wrong', { [bad]: ['http://a:1'] });
  const { added, refused, removed } = await set(
    'wrong',
    {
      [good]: ['http://a:1'],
      [bad]: [['http://b:1'], { requestMax: '5' }],
      'a b': ['http://a:1'],
      'c.example': ['ftp://a'],
      'd.example': [['http://a:1'], { paths: '/api' }],
    },
    { complete: true },
  );
  assert.deepEqual([added, removed], [[good], []]);
  assert.deepEqual(
    refused.map(({ host }) => host),
    ['a b', 'c.example', 'd.example', bad],
  );
  assert.match(refused[3]?.reason ?? '', /requestMax.*did you mean requestsMax/);
  assert.deepEqual(await backends(bad), ['http://a:1']);
  await assert.rejects(set('wrong', { [good]: ['http://a'], [good.toUpperCase()]: ['http://b'] }), /is named twice/);
});

test('a route of a path is named by its host, also if a crash has come between', async () => {
  const host = newHost();
  await set('one', { [host]: ['http://a:1'], [`${host}/api`]: ['http://b:1'], [`${host}/web`]: ['http://b:1'] });
  assert.deepEqual(await options(host), { paths: '/api, /web' });
  await store.options.change(host, new Map([['paths', null]]));
  await set('one', { [`${host}/api`]: ['http://b:1'] });
  assert.deepEqual(await options(host), { paths: '/api' });
  await set('one', { [`${host}/api`]: [], [host]: [] });
  assert.deepEqual(await options(host), {});
});

test('a source is kept by one process, until it gives it up or is silent', async () => {
  const host = newHost();
  const routes: Routes = { [host]: ['http://a:1'] };
  await set('held', routes, { complete: true, holder: 'web-1 unix:/a' });
  await assert.rejects(
    set('held', {}, { complete: true, holder: 'web-1 unix:/b' }),
    /source held of the owner docker is kept by another process: web-1 unix:\/a, seen 0 s ago; give each/,
  );
  await assert.rejects(forgetSource(store, { owner: 'docker', source: 'held' }, nowMs), /is kept by another process/);
  assert.deepEqual(await backends(host), ['http://a:1']);
  nowMs += 90_000;
  assert.equal((await set('held', routes, { complete: true, holder: 'web-1 unix:/b' })).unchanged, 1);
  await set('held', routes, { complete: true, holder: 'web-1 unix:/b', release: true });
  await set('held', routes, { complete: true, holder: 'web-2 unix:/c' });
  const listed = (await listOwners(store)).find(({ source }) => source === 'held');
  const seen = new Date(nowMs).toISOString();
  assert.deepEqual(listed, { owner: 'docker', source: 'held', hosts: 1, seen, holder: 'web-2 unix:/c' });
  nowMs += 90_000;
});

test('a source that is forgotten leaves nothing but what belongs to others', async () => {
  const [own, shared] = [newHost(), newHost()];
  await set('gone', { [own]: [['http://a:1'], { requestsMax: '5' }], [shared]: ['http://a:1'] });
  await set('stays', { [shared]: ['http://b:1'] });
  const done = await forgetSource(store, { owner: 'docker', source: 'gone' }, nowMs);
  assert.deepEqual(done.removed, [own, shared].sort());
  assert.deepEqual([await backends(own), await backends(shared)], [null, ['http://b:1']]);
  assert.deepEqual(await options(own), {});
  assert.ok((await listOwners(store)).every(({ source }) => source !== 'gone'));
  await assert.rejects(forgetSource(store, { owner: 'docker', source: 'gone' }, nowMs), /has no source gone/);
});

/** A store whose writes fail from a given one on, before or after they are made. */
function failing(writes: number, isMade: boolean): OwnedStore {
  let left = writes;
  const broken = <Args extends unknown[], Result>(act: (...args: Args) => Promise<Result>) => {
    return async (...args: Args): Promise<Result> => {
      if (left-- > 0) return act(...args);
      if (isMade && left === -1) await act(...args);
      throw new Error('crash');
    };
  };
  const { capabilities, notes, options: stored, routes } = store;
  return {
    capabilities,
    notes: withMethods(notes, { write: broken(notes.write.bind(notes)) }),
    options: withMethods(stored, { change: broken(stored.change.bind(stored)) }),
    routes: withMethods(routes, { apply: broken(routes.apply.bind(routes)) }),
  };
}

/** An object with some of its methods replaced. */
function withMethods<Target extends object>(target: Target, methods: Partial<Target>): Target {
  return new Proxy(target, {
    get: (_, name) => {
      const replaced = methods[name as keyof Target];
      return replaced ?? (target[name as keyof Target] as () => void).bind(target);
    },
  });
}

test('after a crash at any write, the next wish of the source leaves the records as if there had been none', async () => {
  let crashes = 0;
  for (const isMade of [false, true]) {
    for (let writes = 0; writes < 20; writes++) {
      const host = newHost();
      await store.options.change(host, new Map([['requestsMax', '9']]));
      const source = `crash-${writes}-${isMade}`;
      const steps: Routes[] = [
        { [host]: [['http://a:1'], { requestsMax: '5' }] },
        { [host]: [['http://b:1'], { requestsMax: '6' }] },
        { [host]: [] },
      ];
      // The crash comes in any of the steps.
      for (const step of steps) {
        await set(source, step, { on: failing(writes, isMade), complete: true }).catch((error: Error) => {
          assert.equal(error.message, 'crash');
          crashes++;
        });
        await set(source, step, { complete: true });
        const [wanted = []] = Object.values(step);
        const isThere = wanted.length > 0;
        assert.deepEqual(await backends(host), isThere ? wanted[0] : null);
        assert.deepEqual(await options(host), isThere ? wanted[1] : { requestsMax: '9' });
      }
      assert.equal((await showOwner(host)(store)).owner, null);
      assert.deepEqual(await listOwnedHosts(store, { owner: 'docker', source }), []);
    }
  }
  assert.ok(crashes >= 30, `${crashes} crashes`);
});

test('sources that change the same hosts at the same time lose nothing', async () => {
  const random = seeded(7);
  const shared = [newHost(), newHost(), newHost()];
  const sources = ['s1', 's2', 's3', 's4'];
  const last = new Map<string, Routes>();
  await store.routes.set(newHost(), null, ['http://x:1']);
  await Promise.all(
    sources.map(async (source, at) => {
      for (let round = 0; round < 12; round++) {
        const routes = Object.fromEntries(
          shared.map((host) => [host, random() < 0.5 ? [] : [`http://${source}:1`, `http://${source}:${2 + at}`]]),
        );
        last.set(source, routes);
        await set(source, routes, { complete: round % 3 === 0 });
      }
    }),
  );
  for (const host of shared) {
    const wanted = sources.flatMap((source) => (last.get(source)?.[host] ?? []) as readonly string[]).sort();
    assert.deepEqual([...((await backends(host)) ?? [])].sort(), wanted);
    for (const source of sources) await set(source, { [host]: [] });
    assert.equal(await backends(host), null);
    assert.equal((await showOwner(host)(store)).owner, null);
  }
});

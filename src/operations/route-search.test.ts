import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { FakeTime } from '../../test/helpers/fake-time.ts';
import type { RouteRecord, StoredRoute } from '../stores/contract.ts';
import { type PatternSearch, RouteIndex, sweepFor } from './route-search.ts';

const all: PatternSearch = { after: '', limit: 10, prefix: '', contains: '' };

/** Routes that say how often they were listed. */
class Routes {
  names: string[] = [];
  lists = 0;
  onList: () => void = () => {};

  async list(after: string, limit: number): Promise<readonly RouteRecord[]> {
    this.lists++;
    this.onList();
    const order = (one: string, other: string): number => Buffer.from(one).compare(Buffer.from(other));
    const names = this.names.toSorted(order).filter((name) => order(name, after) > 0);
    return names.slice(0, limit).map((pattern) => ({ pattern, frontend: [pattern, 'http://x'] }));
  }

  async read(patterns: readonly string[]): Promise<readonly (StoredRoute | null)[]> {
    return patterns.map((pattern) =>
      this.names.includes(pattern) ? { frontend: [pattern, 'http://x'], down: new Map() } : null,
    );
  }
}

describe('a search of routes', () => {
  let routes: Routes;
  let time: FakeTime;
  let change: (patterns: readonly string[]) => void;
  let reset: () => void;
  let isFollowed: boolean;
  let index: RouteIndex;

  beforeEach(() => {
    routes = new Routes();
    routes.names = ['a.test', 'b.shop.test', 'b.test', 'c.test/shop', '\uffee.test', '😀.test'];
    time = new FakeTime();
    isFollowed = false;
    index = new RouteIndex({
      follow: async (onChange, onReset) => {
        [change, reset, isFollowed] = [onChange, onReset, true];
        return () => {
          isFollowed = false;
        };
      },
      setTimer: time.setTimer,
    });
  });

  const find = (search: Partial<PatternSearch>): Promise<readonly string[] | null> =>
    index.find({ ...all, ...search }, routes);

  test('for a part of a name reads all names once', async () => {
    assert.deepEqual(await find({ contains: 'shop' }), ['b.shop.test', 'c.test/shop']);
    const { lists } = routes;
    assert.deepEqual(await find({ contains: 'test', limit: 2 }), ['a.test', 'b.shop.test']);
    assert.deepEqual(await find({ contains: 'test', limit: 2, after: 'b.shop.test' }), ['b.test', 'c.test/shop']);
    assert.deepEqual(await find({ contains: 'test', after: 'c.test/shop' }), ['\uffee.test', '😀.test']);
    assert.deepEqual(await find({ contains: 'test', after: '\uffee.test' }), ['😀.test']);
    assert.deepEqual(await find({ prefix: 'b.', contains: 'test' }), ['b.shop.test', 'b.test']);
    assert.deepEqual(await find({ prefix: 'b.test', after: 'a' }), ['b.test']);
    assert.equal(routes.lists, lists);
  });

  test('leaves the beginning of a name to a store that is quick, and not to a slow one', async () => {
    assert.equal(await find({ prefix: 'b.' }), null);
    index.took(20);
    assert.equal(await find({ prefix: 'b.' }), null);
    index.took(5000);
    assert.deepEqual(await find({ prefix: 'b.' }), ['b.shop.test', 'b.test']);
    assert.equal(await find({}), null);
  });

  test('follows changes, those during the reading too, and begins again after a gap', async () => {
    routes.onList = () => {
      routes.onList = () => {};
      routes.names = routes.names.filter((name) => name !== 'a.test');
      change(['a.test']);
    };
    assert.deepEqual(await find({ contains: 'a.test' }), []);
    routes.names.push('a.test', 'aa.test');
    change(['aa.test', 'a.test', 'none.test']);
    assert.deepEqual(await find({ contains: 'a.test' }), ['a.test', 'aa.test']);
    routes.names = ['new.test'];
    reset();
    assert.deepEqual(await find({ contains: 'test' }), ['new.test']);
    assert.equal(isFollowed, true);
  });

  test('tries again what could not be read, and reads all names again after very many changes', async () => {
    await find({ contains: 'test' });
    const { read } = routes;
    routes.names.push('late.test');
    change(['late.test']);
    routes.read = () => Promise.reject(new Error('away'));
    await assert.rejects(find({ contains: 'late' }), /away/);
    routes.read = read;
    assert.deepEqual(await find({ contains: 'late' }), ['late.test']);
    const { lists } = routes;
    change(Array.from({ length: 6000 }, (_, number) => `${number}.test`));
    assert.deepEqual(await find({ contains: 'late' }), ['late.test']);
    assert.equal(routes.lists, lists + 1);
  });

  test('keeps nothing of a store that reports no changes, and nothing that was read while it was dropped', async () => {
    const blind = new RouteIndex({ follow: async () => null, setTimer: time.setTimer });
    assert.equal(await blind.find({ ...all, contains: 'test' }, routes), null);
    assert.equal(await blind.find({ ...all, contains: 'test' }, routes), null);
    routes.onList = () => index.close();
    assert.equal(await find({ contains: 'test' }), null);
    assert.equal(isFollowed, false);
    routes.onList = () => {};
    assert.equal((await find({ contains: 'test' }))?.length, 6);
    assert.equal(isFollowed, true);
  });

  test('is dropped when nobody searches', async () => {
    await find({ contains: 'test' });
    await time.pass(6 * 60_000);
    assert.equal(isFollowed, false);
    assert.deepEqual(await find({ contains: 'a.test' }), ['a.test']);
    index.close();
    assert.equal(time.pending, 0);
  });

  test('without an index reads page by page', async () => {
    assert.deepEqual(await sweepFor({ ...all, contains: 'shop' }, routes), ['b.shop.test', 'c.test/shop']);
    assert.deepEqual(await sweepFor({ ...all, contains: 'test', limit: 1, after: 'a.test' }, routes), ['b.shop.test']);
  });
});

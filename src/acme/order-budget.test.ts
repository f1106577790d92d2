import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { MemoryNotes } from '../../test/helpers/memory-notes.ts';
import { allowancesOf, allowancesOfClient } from './order-allowances.ts';
import { OrderBudget } from './order-budget.ts';
import type { CertificateWish } from './order-means.ts';

const hour = 3600_000;
const nowMs = 10 * hour + 1;
const bounds = { ordersPerHourMax: 10, ordersPerDomainMax: 4, ordersPerAddressMax: 2 };

describe('the orders of an hour', () => {
  let notes: MemoryNotes;
  let budgets: OrderBudget[];

  beforeEach(() => {
    notes = new MemoryNotes();
    budgets = [0, 1, 2].map(() => new OrderBudget(notes));
  });

  /** @returns why it is refused; null if it is not. */
  async function order(pattern: string, wish: CertificateWish = 'own', isRenewal = false): Promise<string | null> {
    const refused = await budgets[0]?.take(allowancesOf({ pattern, wish, isRenewal }, bounds), nowMs);
    return refused?.why ?? null;
  }

  test('are counted for all instances', async () => {
    const all = [{ of: '', perHourMax: 5, why: 'used up' }];
    const taken = await Promise.all([...budgets, ...budgets].map((budget) => budget.take(all, nowMs)));
    assert.equal(taken.filter((refused) => refused === null).length, 5);
    assert.deepEqual(await budgets[0]?.take(all, nowMs), { why: 'used up', untilMs: 11 * hour });
    assert.equal(await budgets[0]?.used('', nowMs), 5);
    assert.equal(await budgets[0]?.take(all, 11 * hour), null);
    assert.equal(await budgets[0]?.used('', 11 * hour), 1);
  });

  test('are bounded for each registered domain', async () => {
    const names = ['a.shop.co.uk', 'b.shop.co.uk', '*.shop.co.uk', 'shop.co.uk'];
    for (const name of names) assert.equal(await order(name), null, name);
    assert.match((await order('c.shop.co.uk')) ?? '', /^the 4 orders of this hour for shop\.co\.uk are used up/);
    assert.equal(await order('other.co.uk'), null);
    assert.equal(await order('c.shop.co.uk', 'own', true), null, 'a renewal');
  });

  test('are left to hosts with a route of their own by half', async () => {
    assert.equal(await order('a.shop.com', 'inherited'), null);
    assert.equal(await order('b.shop.com', 'inherited'), null);
    assert.match(
      (await order('c.shop.com', 'inherited')) ?? '',
      /^the 2 orders of this hour for hosts of shop\.com without/,
    );
    assert.equal(await order('c.shop.com'), null);
    for (let i = 0; i < 3; i++) assert.equal(await order(`${i}.example${i}.com`, 'inherited'), null);
    assert.match((await order('x.y.com', 'inherited')) ?? '', /^the 5 orders .* without a route of their own/);
    for (let i = 0; i < 4; i++) assert.equal(await order(`own${i}.com`), null);
    assert.match((await order('last.com')) ?? '', /^the 10 orders of this hour are used up/);
  });

  test('are bounded for the client that causes them', async () => {
    const cause = async (address: string) =>
      (await budgets[1]?.take(allowancesOfClient(address, bounds), nowMs))?.why ?? null;
    assert.equal(await cause('192.0.2.1'), null);
    assert.equal(await cause('::ffff:192.0.2.1'), null);
    assert.match((await cause('192.0.2.1')) ?? '', /clients of 192\.0\.2\.1 may cause/);
    assert.equal(await cause('192.0.2.2'), null);
    assert.equal(await cause('2001:db8::1'), null);
    assert.equal(await cause('2001:db8::2'), null);
    assert.notEqual(await cause('2001:db8:0:0:9::3'), null);
    assert.equal(await cause('2001:db8:0:1::1'), null);
  });
});

import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { MemoryNotes } from '../../test/helpers/memory-notes.ts';
import { AcmeError } from './acme-error.ts';
import { AuthorityLimits } from './authority-limits.ts';

const [first, second] = ['https://one.example/directory', 'https://two.example/directory'];
const minute = 60_000;
const week = 7 * 24 * 60 * minute;

describe('limits of an authority', () => {
  let notes: MemoryNotes;
  let limits: AuthorityLimits;
  let others: AuthorityLimits;

  beforeEach(() => {
    notes = new MemoryNotes();
    notes.nowMs = 1_000_000;
    [limits, others] = [0, 1].map(() => new AuthorityLimits(notes, () => notes.nowMs)) as [
      AuthorityLimits,
      AuthorityLimits,
    ];
  });

  const limited = (retryAfterMs: number | null) =>
    new AcmeError('too many', { type: 'rateLimited', status: 429, retryAfterMs });
  /** In how many ms the name may be asked for; 0 for at once. */
  async function heldMs(pattern: string | null, directory = first): Promise<number> {
    return ((await others.find(directory, pattern))?.untilMs ?? notes.nowMs) - notes.nowMs;
  }

  test('hold for the registered domain, in the whole fleet, as long as it says', async () => {
    await limits.refused(first, 'a.shop.co.uk', limited(week));
    assert.equal(await heldMs('b.shop.co.uk'), week);
    assert.equal(await heldMs('a.other.co.uk'), 0);
    assert.equal(await heldMs('a.shop.co.uk', second), 0);
    // An order that was begun goes on.
    assert.equal(await heldMs(null), 0);
    assert.match((await limits.find(first, 'a.shop.co.uk'))?.why ?? '', /one\.example.* until 1970-01-08.*: too many$/);
    notes.nowMs += week;
    assert.equal(await heldMs('b.shop.co.uk'), 0);
  });

  test('hold for all names, ever longer, if one domain after the other is limited', async () => {
    const pauses: number[] = [];
    for (let i = 0; i < 10; i++) {
      await limits.refused(first, `www.shop${i}.com`, limited(week));
      pauses.push((await heldMs('fresh.com')) / minute);
      notes.nowMs += await heldMs('fresh.com');
    }
    assert.deepEqual(pauses, [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
    await limits.served(first);
    assert.equal(await heldMs('fresh.com'), 0);
    assert.notEqual(await heldMs('shop3.com'), 0);
  });

  test('hold for no longer than they say', async () => {
    for (const name of ['a.com', 'b.com', 'c.com', 'd.com']) await limits.refused(first, name, limited(5000));
    assert.equal(await heldMs('fresh.com'), 5000);
  });

  test('hold for all names if an authority is not available, or if no name is concerned', async () => {
    const away = new AcmeError('away', { type: 'unreachable', status: 503, retryAfterMs: 20 * minute });
    await limits.refused(first, 'a.com', away);
    assert.equal(await heldMs('b.com'), 20 * minute);
    assert.equal(await heldMs(null), 20 * minute);
    await limits.refused(second, null, limited(week));
    assert.equal(await heldMs('b.com', second), week);
  });

  test('hold for a minute without a word, and are none for other errors', async () => {
    await limits.refused(first, 'a.com', limited(null));
    assert.equal(await heldMs('a.com'), minute);
    for (const error of [
      new AcmeError('no', { type: 'rejectedIdentifier', status: 400, retryAfterMs: week }),
      new AcmeError('no', { type: 'unreachable', status: 503 }),
      new AcmeError('no', { type: 'unreachable' }),
    ]) {
      await limits.refused(second, 'a.com', error);
      assert.equal(await heldMs('a.com', second), 0);
    }
  });
});

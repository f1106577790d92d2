import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { MemoryNotes } from '../../test/helpers/memory-notes.ts';
import { SharedTicketKeys } from './shared-ticket-keys.ts';
import type { TicketKeys } from './ticket-keys.ts';

const hour = 3600_000;
const half = 12 * hour;

describe('ticket keys of a fleet', () => {
  let notes: MemoryNotes;
  /** As each instance has them: the first letters of their texts, the sealing one first. */
  let given: string[][];

  beforeEach(() => {
    notes = new MemoryNotes();
    notes.nowMs = 1000 * half;
    given = [];
  });

  function instance(passphrase: string | null = null): SharedTicketKeys {
    const index = given.push([]) - 1;
    const onKeys = (keys: TicketKeys): void => {
      given[index] = keys.map((key) => Buffer.from(key).toString('base64'));
    };
    return new SharedTicketKeys({ notes, passphrase, now: () => notes.nowMs, onKeys });
  }

  test('are the same for all, whichever begins', async () => {
    const instances = [instance(), instance(), instance()];
    await Promise.all(instances.map((one) => one.look()));
    assert.equal(given[0]?.length, 1);
    assert.deepEqual(given[1], given[0]);
    assert.deepEqual(given[2], given[0]);
  });

  test('are in the store before they seal, and open after it', async () => {
    const [first, second] = [instance(), instance()];
    await first.look();
    await second.look();
    const [old] = given[0] as [string];
    notes.nowMs += half - 121_000;
    await first.look();
    assert.deepEqual(given[0], [old]);
    notes.nowMs += 2000;
    await first.look();
    // Another instance that has not looked yet seals with the old key, as this one does.
    const [, next] = given[0] as [string, string];
    assert.deepEqual(given[0], [old, next]);
    assert.deepEqual(given[1], [old]);
    await second.look();
    assert.deepEqual(given[1], [old, next]);
    notes.nowMs += 120_000;
    await first.look();
    await second.look();
    assert.deepEqual(given, [
      [next, old],
      [next, old],
    ]);
    // A key opens for as long as it has sealed.
    notes.nowMs += half + 1000;
    await first.look();
    assert.equal(given[0]?.includes(old), false);
    assert.ok(given[0]?.includes(next));
  });

  test('go on after a long time without any instance', async () => {
    const one = instance();
    await one.look();
    const before = given[0];
    notes.nowMs += 100 * half;
    await one.look();
    notes.nowMs += 121_000;
    await one.look();
    assert.notDeepEqual(given[0]?.[0], before?.[0]);
    assert.ok((given[0]?.length ?? 0) <= 2);
  });

  test('are encrypted with the passphrase, and not replaced by an instance with another one', async () => {
    await instance('a secret of the whole fleet').look();
    const [text = ''] = notes.texts.values();
    assert.match(text, /^sealed:/);
    const same = instance('a secret of the whole fleet');
    await same.look();
    assert.deepEqual(given[1], given[0]);
    await assert.rejects(instance('another').look(), /all instances need the same passphrase/);
    await assert.rejects(instance(null).look(), /there is no passphrase/);
    assert.deepEqual([...notes.texts.values()], [text]);
  });

  test('begin anew if the record cannot be read', async () => {
    for (const text of ['', '{}', '[{"fromMs":1,"key":"AAAA"}]', 'x']) {
      notes.texts.clear();
      await notes.write('tls-ticket-keys', text);
      await instance().look();
      assert.equal(given.at(-1)?.length, 1, text);
    }
  });
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EventLog } from './event-log.ts';

describe('the log of events', () => {
  test('has the events after a place, and says if some of them are gone', () => {
    const log = new EventLog();
    for (let number = 1; number <= 3; number++) log.append('change', { number });
    assert.deepEqual(
      log.after(1).events.map(({ data }) => data),
      ['{"number":2}', '{"number":3}'],
    );
    assert.deepEqual([log.after(1).to, log.after(1).isIncomplete, log.after(3).events], [3, false, []]);
    for (let number = 0; number < 2000; number++) log.append('change', {});
    const { events, isIncomplete, to } = log.after(3);
    assert.deepEqual([events.length, isIncomplete, to], [1000, true, 2003]);
    assert.equal(log.after(1003).isIncomplete, false);
  });

  test('keeps few large events', () => {
    const log = new EventLog();
    for (let number = 0; number < 10; number++) log.append('change', 'x'.repeat(1024 * 1024));
    assert.equal(log.after(0).events.length, 3);
    log.append('change', 'x'.repeat(10 * 1024 * 1024));
    assert.equal(log.after(0).events.length, 1);
  });

  test('knows its own ids, as long as what follows them is kept', () => {
    const log = new EventLog();
    const begin = log.idOf(log.end);
    log.append('change', {});
    assert.equal(log.placeOf(begin), 0);
    assert.equal(log.placeOf(log.idOf(1)), 1);
    for (const id of ['', '1', 'x-1', `${begin}0`, new EventLog().idOf(0), log.idOf(2), 'a-9'.repeat(1000)]) {
      assert.equal(log.placeOf(id), null, id);
    }
    for (let number = 0; number < 1000; number++) log.append('change', {});
    assert.equal(log.placeOf(begin), null);
    const before = log.idOf(log.end);
    log.restart();
    assert.equal(log.placeOf(before), null);
  });

  test('wakes those who wait with an event, and with its end', async () => {
    const log = new EventLog();
    const first = log.next();
    log.append('change', {});
    await first;
    const second = log.next();
    log.close();
    await second;
    assert.equal(log.hasEnded, true);
  });
});

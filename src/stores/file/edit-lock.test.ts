import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { withEditLock } from './edit-lock.ts';
import { FilePlaces } from './file.suite.ts';

describe('the lock of a routes file', () => {
  let place: FilePlaces;
  let holder: DatabaseSync;

  beforeEach(() => {
    place = new FilePlaces('routes.yaml', 'routes: {}\n');
    holder = new DatabaseSync(join(place.directory, '.routes.yaml.lock'));
    holder.exec('BEGIN EXCLUSIVE');
  });

  afterEach(async () => {
    if (holder.isOpen) holder.close();
    await place.remove();
  });

  /** Each look at it takes 3 s. */
  function slowClock(onLook: (look: number) => void): { monotonicMs(): number } {
    let looks = 0;
    return {
      monotonicMs: () => {
        onLook(looks);
        return 3_000 * looks++;
      },
    };
  }

  test('is waited for as long as others change the file, and for 10 s if they do not', async () => {
    let changes = 0;
    const clock = slowClock((look) => {
      if (look >= 40) return;
      writeFileSync(place.path, `routes: {}\n${'#'.repeat(look)}\n`);
      changes++;
    });
    const edit = withEditLock(place.path, () => assert.fail('nobody gave the lock'), clock);
    await assert.rejects(edit, /routes\.yaml: another process has been changing it for 10 s/);
    assert.equal(changes, 40);
  });

  test('goes to the edits of a process one after the other, in their order', async () => {
    const done: number[] = [];
    let running = 0;
    const edits = Array.from({ length: 10 }, (_, i) =>
      withEditLock(place.path, async () => {
        assert.equal(++running, 1);
        await new Promise(setImmediate);
        running--;
        done.push(i);
      }),
    );
    holder.close();
    await Promise.all(edits);
    assert.deepEqual(done, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });
});

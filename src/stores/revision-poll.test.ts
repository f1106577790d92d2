import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../../test/helpers/until.ts';
import { RevisionPoll } from './revision-poll.ts';

test('a revision that differs from the one before is reported, and any after failed readings', async () => {
  let revision: number | null = 3;
  let reads = 0;
  let revised = 0;
  const poll = new RevisionPoll(
    1,
    async () => {
      reads++;
      if (revision === null) throw new Error('away');
      return revision;
    },
    () => void revised++,
  );
  const someReads = async (): Promise<void> => {
    const before = reads;
    await until('readings', () => reads > before + 2);
  };
  await someReads();
  assert.equal(revised, 1, 'it may have risen before');
  revision = 4;
  await until('the revision', () => revised === 2);
  revision = null;
  await someReads();
  assert.equal(revised, 2);
  revision = 4;
  await until('the store to be back', () => revised === 3);
  poll.close();
});

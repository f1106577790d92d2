import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../../test/helpers/until.ts';
import { AppliedRevision } from './applied-revision.ts';

/** A store whose revision and readings a test decides, and timers that it fires. */
function setUp() {
  const state = { revision: 1, reads: 0, isLost: false, settle: [] as ((all: boolean) => void)[] };
  const timers: (() => void)[] = [];
  const applied = new AppliedRevision({
    instances: {
      revision: async () => {
        state.reads++;
        if (state.isLost) throw new Error('lost');
        return state.revision;
      },
    },
    expiresRegularly: () => false,
    settled: () => new Promise((resolve) => void state.settle.push(resolve)),
    setTimer: (_delayMs, action) => {
      timers.push(action);
      return () => {};
    },
  });
  const settle = async (all: boolean): Promise<void> => {
    await until('a wait for readings', () => state.settle.length > 0);
    state.settle.shift()?.(all);
  };
  const pause = async (): Promise<void> => {
    await until('a pause', () => timers.length > 0);
    timers.shift()?.();
  };
  return { state, applied, settle, pause };
}

test('a revision counts once what it made out of date has been read again', async () => {
  const { state, applied, settle, pause } = setUp();
  applied.restored();
  await until('the reading of the revision', () => state.settle.length === 1);
  assert.equal(applied.value, 0);
  await settle(true);
  await until('the revision', () => applied.value === 1);
  state.revision = 2;
  await pause();
  applied.revised();
  await settle(true);
  await until('the next revision', () => applied.value === 2);
});

test('many changes are one look after each pause', async () => {
  const { state, applied, settle, pause } = setUp();
  applied.revised();
  for (let count = 0; count < 100; count++) applied.revised();
  await settle(true);
  await until('the first', () => applied.value === 1);
  assert.equal(state.reads, 1);
  state.revision = 101;
  await pause();
  await settle(true);
  await until('the last', () => applied.value === 101);
  assert.equal(state.reads, 2);
});

test('no revision from before a break counts behind it: the store may have gone back', async () => {
  const { state, applied, settle, pause } = setUp();
  state.revision = 500;
  applied.revised();
  await settle(true);
  await until('the first', () => applied.value === 500);
  await pause();
  applied.revised();
  await until('the reading of the revision', () => state.settle.length === 1);
  state.revision = 10;
  applied.restored();
  assert.equal(applied.value, 0);
  await settle(true);
  await pause();
  assert.equal(applied.value, 0);
  await settle(true);
  await until('the revision of the restored store', () => applied.value === 10);
  applied.expired();
  assert.equal(applied.value, 0);
});

test('a reading that fails keeps what was applied, and is looked at again', async () => {
  const { state, applied, settle, pause } = setUp();
  applied.revised();
  await settle(true);
  await until('the first', () => applied.value === 1);
  state.revision = 2;
  await pause();
  applied.revised();
  await settle(false);
  await pause();
  assert.equal(applied.value, 1);
  await settle(true);
  await until('the second', () => applied.value === 2);
  state.isLost = true;
  await pause();
  applied.revised();
  await pause();
  assert.equal(applied.value, 2);
});

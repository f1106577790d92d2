import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { FakeTime } from '../../test/helpers/fake-time.ts';
import { loadConfig } from '../config/load.ts';
import { KnownRecords } from '../route-cache/known-records.ts';
import { RecordLosses } from '../route-cache/record-losses.ts';
import type { Store } from '../stores/contract.ts';
import { WipeGuard } from './wipe-guard.ts';

const { config } = loadConfig({ env: {}, cwd: '/', driver: 'redis://127.0.0.1:6379', isRoot: true });
const names = (count: number) => Array.from({ length: count }, (_, i) => `${i}.example`);

describe('the wipe guard', () => {
  let time: FakeTime;
  let known: KnownRecords;
  let guard: WipeGuard;
  let stored: Set<string>;
  let accepted: string | null;
  let isAway: boolean;
  let isAcceptanceAway: boolean;
  let onRead: () => void;
  let reads: number;
  let opened: number;
  let turns: boolean[];
  let logged: string[];

  beforeEach(() => {
    time = new FakeTime();
    const losses = new RecordLosses(1_000_000, time.clock);
    known = new KnownRecords(1_000_000, losses);
    stored = new Set();
    accepted = null;
    isAway = false;
    isAcceptanceAway = false;
    onRead = () => {};
    reads = 0;
    opened = 0;
    turns = [];
    logged = [];
    const log = (message: string) => void logged.push(message);
    guard = new WipeGuard({
      config,
      known,
      log: { info: log, warn: log, error: log },
      onTurn: () => void turns.push(guard.isHolding),
      open: async () => {
        opened++;
        return storeOf();
      },
      clock: time.clock,
      setTimer: time.setTimer,
    });
    losses.askGuard = () => void guard.judge();
  });

  function storeOf(): Store {
    const read = async (patterns: readonly string[]) => {
      if (isAway) throw new Error('away');
      reads++;
      onRead();
      return patterns.map((pattern) => (stored.has(pattern) ? { frontend: ['a'] } : null));
    };
    return {
      routes: { read },
      certificates: { read },
      acceptance: {
        read: async () => {
          if (isAcceptanceAway) throw new Error('away');
          return accepted;
        },
      },
      close: async () => {},
    } as unknown as Store;
  }

  function know(count: number): void {
    known.add(names(count).map((name) => [`routes ${name}`, 'text'] as const));
    stored = new Set(names(count));
  }

  /** @returns whether the judgement has ended. */
  async function judge(): Promise<boolean> {
    let isJudged = false;
    void guard.judge().then(() => {
      isJudged = true;
    });
    await time.pass(0);
    return isJudged;
  }

  test('raises no alarm if few routes are known, and does not ask the store', async () => {
    know(99);
    stored.clear();
    assert.equal(await judge(), true);
    assert.deepEqual([guard.isRaised, reads], [false, 0]);
  });

  test('raises no alarm if less than half is gone; what was lost meanwhile is gone then', async () => {
    know(200);
    for (const name of names(99)) stored.delete(name);
    const judged = judge();
    known.add([['routes 0.example', 'null']]);
    assert.equal(known.get('routes 0.example'), 'text');
    await judged;
    assert.deepEqual([guard.isRaised, known.get('routes 0.example')], [false, 'null']);
  });

  test('what was lost before a judgement began is gone after it, however many others are waited for', async () => {
    know(200);
    for (const name of names(60)) stored.delete(name);
    for (let i = 0; i < 60; i++) {
      // Asks while the guard reads, so that another judgement always waits.
      onRead = () => void guard.judge();
      void guard.judge();
      known.add([[`routes ${i}.example`, 'null']]);
      await time.pass(300);
    }
    assert.ok(known.routes < 150, String(known.routes));
  });

  test('raises the alarm, and ends it, although the word of the operator cannot be read', async () => {
    know(400);
    accepted = 'before';
    stored.clear();
    isAcceptanceAway = true;
    await judge();
    assert.equal(guard.isRaised, true);
    await time.pass(3000);
    isAcceptanceAway = false;
    await time.pass(5000);
    assert.equal(guard.isRaised, true, 'a word from before the alarm counts for nothing');
    accepted = 'now';
    await time.pass(3000);
    assert.deepEqual([guard.isRaised, known.routes], [false, 0]);
  });

  test('ends it by the first word that can be read, if that was given since', async () => {
    know(400);
    stored.clear();
    isAcceptanceAway = true;
    await judge();
    await time.pass(3000);
    accepted = `${new Date(time.nowMs).toISOString()} 4f`;
    isAcceptanceAway = false;
    await time.pass(3000);
    assert.deepEqual([guard.isRaised, known.routes], [false, 0]);
  });

  test('ends it by a word that was given while the store was judged', async () => {
    know(400);
    stored.clear();
    isAcceptanceAway = true;
    onRead = () => {
      time.nowMs += 1000;
      accepted ??= `${new Date(time.nowMs - 500).toISOString()} 4f`;
    };
    await judge();
    assert.equal(guard.isRaised, true);
    isAcceptanceAway = false;
    await time.pass(10_000);
    assert.deepEqual([guard.isRaised, known.routes], [false, 0]);
  });

  test('raises it if most are gone, and keeps what is known', async () => {
    know(400);
    for (const name of names(390)) stored.delete(name);
    assert.equal(await judge(), true);
    assert.deepEqual([guard.isRaised, guard.isHolding, turns], [true, true, [true]]);
    assert.ok(guard.routes > 350, String(guard.routes));
    assert.match(logged[0] ?? '', /hipache route accept/);
    known.add(names(400).map((name) => [`routes ${name}`, 'null'] as const));
    known.abandon(1);
    assert.deepEqual([known.routes, known.get('routes 5.example')], [400, 'text']);
  });

  test('ends it when the routes are back, and forgets those that are not', async () => {
    know(200);
    stored.clear();
    await judge();
    stored = new Set(names(197));
    await time.pass(2000);
    assert.deepEqual([guard.isRaised, guard.routes, turns.at(-1)], [false, 0, false]);
    assert.deepEqual([known.routes, known.get('routes 199.example')], [197, undefined]);
    assert.equal(known.unverified, 197, 'all are read again');
  });

  test('goes on while a store is being filled, and ends once no more comes', async () => {
    know(200);
    stored.clear();
    await judge();
    for (const back of [20, 80, 120, 140, 160]) {
      stored = new Set(names(back));
      await time.pass(2000);
      assert.equal(guard.isRaised, true, `${back} are back`);
    }
    await time.pass(6000);
    assert.deepEqual([guard.isRaised, known.routes], [false, 160]);
  });

  test('ends it when an operator accepts, not because one has accepted before', async () => {
    know(200);
    stored.clear();
    accepted = 'long ago';
    await judge();
    await time.pass(60_000);
    assert.equal(guard.isRaised, true);
    accepted = 'now';
    await time.pass(2000);
    assert.deepEqual([guard.isRaised, known.routes], [false, 0]);
    assert.equal(await judge(), false, 'after a pause');
    await time.pass(250);
    assert.equal(guard.isRaised, false);
  });

  test('repeats a judgement that cannot be made', async () => {
    know(200);
    stored.clear();
    isAway = true;
    assert.equal(await judge(), false);
    known.add([['routes 0.example', 'null']]);
    await time.pass(3000);
    assert.deepEqual([guard.isRaised, known.routes, logged.length], [false, 200, 1]);
    assert.match(logged[0] ?? '', /cannot read the store/);
    isAway = false;
    await time.pass(1000);
    assert.deepEqual([guard.isRaised, known.routes], [true, 200]);
  });

  test('judges at most four times a second, each time for all that have asked', async () => {
    know(200);
    await judge();
    for (let count = 0; count < 100; count++) void guard.judge();
    await time.pass(249);
    assert.equal(reads, 1);
    await time.pass(1);
    assert.equal(reads, 2);
    await time.pass(10_000);
    assert.equal(reads, 2);
  });

  test('opens the store when it is needed, and closes it when it is not', async () => {
    know(200);
    await judge();
    assert.equal(opened, 1);
    await time.pass(60_000);
    await judge();
    assert.equal(opened, 2);
    await guard.close();
    assert.equal(time.pending, 0);
  });

  test('a start with known routes holds them until they are judged', async () => {
    know(200);
    const started = guard.start();
    assert.deepEqual([guard.isHolding, guard.isRaised], [true, false]);
    await started;
    assert.deepEqual([guard.isHolding, turns], [false, [false]]);
  });

  test('a start with few known routes does not wait', async () => {
    know(10);
    await guard.start();
    assert.deepEqual([guard.isHolding, opened], [false, 0]);
  });

  test('another store ends the alarm', async () => {
    know(200);
    stored.clear();
    await judge();
    known.clear();
    guard.follow({ ...config, driver: ['redis://127.0.0.1:1'] });
    assert.deepEqual([guard.isRaised, turns.at(-1)], [false, false]);
  });
});

import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { ChangeQueue } from './change-queue.ts';

describe('changes of an instance', () => {
  let events: string[];
  let isStopping: boolean;
  let changes: ChangeQueue;
  /** Ends the change that runs; an upgrade has the result that is given. */
  let end: (isReplaced?: boolean) => Promise<void>;

  beforeEach(() => {
    events = [];
    isStopping = false;
    let running: PromiseWithResolvers<boolean>;
    const run = (name: string) => {
      events.push(name);
      running = Promise.withResolvers();
      return running.promise;
    };
    end = async (isReplaced = false) => {
      running.resolve(isReplaced);
      await turn();
    };
    const write = (message: string) => void events.push(message.replace(/:? .*/, ' logged'));
    changes = new ChangeQueue({
      log: { info: write, warn: write },
      isStopping: () => isStopping,
      reload: async () => void (await run('reload')),
      upgrade: () => run('upgrade'),
      reloadSuccessor: () => events.push('reload of the successor'),
    });
  });

  test('that are requested during a reload follow it, each once', async () => {
    changes.reload();
    await turn();
    for (let count = 0; count < 3; count++) changes.reload();
    const replaced = changes.upgrade();
    assert.deepEqual(events, ['reload', 'SIGHUP logged', 'SIGUSR2 logged']);
    await end();
    await end();
    assert.deepEqual(events.slice(3), ['reload', 'upgrade']);
    await end(true);
    assert.equal(await replaced, true);
    assert.equal(events.length, 5);
  });

  test('during an upgrade that fails follow it', async () => {
    const first = changes.upgrade();
    await turn();
    changes.reload();
    assert.equal(await changes.upgrade(), false);
    assert.deepEqual(events, ['upgrade', 'SIGHUP logged', 'SIGUSR2 logged']);
    await end(false);
    assert.equal(await first, false);
    await end();
    const second = changes.upgrade();
    await turn();
    assert.deepEqual(events.slice(3), ['reload', 'upgrade']);
    await end(true);
    assert.equal(await second, true);
  });

  test('reach the program that has taken over if they are requested during the upgrade, and not later', async () => {
    void changes.upgrade();
    await turn();
    changes.reload();
    await end(true);
    changes.reload();
    await turn();
    assert.deepEqual(events, ['upgrade', 'SIGHUP logged', 'reload of the successor', 'SIGHUP logged']);
  });

  test('do not begin once the instance is to end', async () => {
    changes.reload();
    await turn();
    const replaced = changes.upgrade();
    changes.reload();
    isStopping = true;
    await end();
    assert.equal(await replaced, false);
    assert.deepEqual(
      events.filter((event) => !event.endsWith('logged')),
      ['reload'],
    );
  });

  test('go on after one that throws', async () => {
    const failing = new ChangeQueue({
      log: { info: () => {}, warn: () => {} },
      isStopping: () => false,
      reload: async () => void events.push('reload'),
      upgrade: () => Promise.reject(new TypeError('of a test')),
      reloadSuccessor: () => {},
    });
    await assert.rejects(failing.upgrade(), TypeError);
    failing.reload();
    await turn();
    assert.deepEqual(events, ['reload']);
  });
});

import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import type { Log } from '../base/log.ts';
import { Upgrade } from './upgrade.ts';

describe('an upgrade', () => {
  let lines: string[];
  let started: number;
  let aborted: number;
  let killed: number;
  let outcome: PromiseWithResolvers<string | null>;

  beforeEach(() => {
    lines = [];
    started = 0;
    aborted = 0;
    killed = 0;
    outcome = Promise.withResolvers();
  });

  function upgradeWith(obstacle: string | null): Upgrade {
    const write: Log['info'] = (message) => void lines.push(message);
    return new Upgrade({
      log: { debug: write, info: write, warn: write, error: write },
      handed: () => [],
      obstacle: () => obstacle,
      env: {},
      onStop: () => {},
      start: () => {
        started++;
        return { outcome: outcome.promise, pid: 7, abort: () => void aborted++, kill: () => void killed++ };
      },
    });
  }

  test('does not start a program that could not take over', async () => {
    assert.equal(await upgradeWith('process 1').run(), false);
    assert.equal(started, 0);
    assert.deepEqual(lines, ['nothing is changed: process 1']);
  });

  test('succeeds once the program serves, which is then left alone', async () => {
    const upgrade = upgradeWith(null);
    const result = upgrade.run();
    outcome.resolve(null);
    assert.equal(await result, true);
    upgrade.abort();
    upgrade.kill();
    assert.deepEqual([aborted, killed], [0, 0]);
  });

  test('changes nothing if the program does not serve, and ends it if it is given up', async () => {
    const upgrade = upgradeWith(null);
    const result = upgrade.run();
    upgrade.abort();
    upgrade.kill();
    assert.deepEqual([aborted, killed], [1, 1]);
    outcome.resolve('it was ended');
    assert.equal(await result, false);
    assert.match(lines.at(-1) ?? '', /^nothing is changed: .*it was ended$/);
  });
});

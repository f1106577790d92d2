import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { describe, test } from 'node:test';
import { GivenSockets, handedVariable } from './given-sockets.ts';
import { ListenSockets } from './listen-sockets.ts';

describe('given sockets', () => {
  test('from a primary are found by the address of the configuration, and the rest is closed', async () => {
    const used = await ListenSockets.bind('127.0.0.1', 0, 2, null);
    const gone = await ListenSockets.bind('127.0.0.1', 0, 1, null);
    const handed = [
      { key: '127.0.0.1 0 1', port: used.port, descriptors: used.descriptors },
      { key: 'metrics 127.0.0.1 9000', port: gone.port, descriptors: gone.descriptors },
    ];
    const env: NodeJS.ProcessEnv = { [handedVariable]: JSON.stringify(handed), OTHER: 'stays' };
    const given = GivenSockets.fromEnvironment(env, 1);
    assert.deepEqual(env, { OTHER: 'stays' });
    assert.equal(await given.take('127.0.0.1 0 2', '127.0.0.1', 0), null);
    const taken = await given.take('127.0.0.1 0 1', '127.0.0.1', 0);
    assert.deepEqual([taken?.port, taken?.descriptors], [used.port, used.descriptors]);
    assert.equal(await given.take('127.0.0.1 0 1', '127.0.0.1', 0), null);
    assert.deepEqual(given.closeUnused(), []);
    assert.throws(() => closeSync(gone.descriptors[0] as number), { code: 'EBADF' });
  });

  test('of systemd for another process are left alone', async () => {
    const env = { LISTEN_PID: '1', LISTEN_FDS: '5', LISTEN_FDNAMES: 'a' };
    const given = GivenSockets.fromEnvironment(env, 2);
    assert.deepEqual(env, {});
    assert.deepEqual(given.closeUnused(), []);
  });

  test('are only those that listen on TCP', () => {
    const fd = openSync('/dev/null', 'r');
    assert.equal(ListenSockets.open(fd), null);
    closeSync(fd);
    assert.equal(ListenSockets.open(1_000_000), null);
  });
});

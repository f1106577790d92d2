import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { collectGarbage } from '../../processes/memory-watch.ts';
import type { Backend } from '../../routing/backend.ts';
import { Counters } from '../counters.ts';
import { type ServerConnection, ServerConnections } from './connections.ts';

/** A connection that is idle, or not. */
function connection(isIdle: boolean, onClosed: () => void = () => {}): ServerConnection {
  return {
    drain: () => {},
    destroy: () => {},
    closeIfIdle: () => {
      if (isIdle) onClosed();
      return isIdle;
    },
  };
}

test('an idle connection is found among many busy ones, in the end', () => {
  const connections = new ServerConnections(new Counters(), () => {});
  for (let count = 0; count < 1000; count++) connections.add(connection(false));
  let closed = 0;
  connections.add(connection(true, () => closed++));
  for (let looks = 0; looks < 6 && closed === 0; looks++) connections.closeIdle();
  assert.equal(closed, 1);
  assert.equal(connections.size, 1001);
});

test('at the end of a backend, a connection with other requests too ends only those that are there', () => {
  const connections = new ServerConnections(new Counters(), () => {});
  const ended: string[] = [];
  const backend = {} as Backend;
  const at = { ...connection(false), isAt: (asked: Backend) => asked === backend };
  connections.add({ ...at, destroy: () => void ended.push('whole') });
  connections.add({ ...at, destroy: () => assert.fail(), endAt: () => void ended.push('part') });
  connections.add({ ...connection(false), isAt: () => false, destroy: () => assert.fail() });
  assert.equal(connections.destroyAt(backend), 2);
  assert.deepEqual(ended, ['whole', 'part']);
});

test('connections that have closed are not kept in memory', async () => {
  const connections = new ServerConnections(new Counters(), () => {});
  connections.add(connection(false));
  connections.closeIdle();
  const gone: WeakRef<ServerConnection>[] = [];
  for (let round = 0; round < 100; round++) {
    const open = Array.from({ length: 100 }, () => connection(false));
    for (const one of open) {
      connections.add(one);
      gone.push(new WeakRef(one));
    }
    for (const one of open) connections.delete(one);
  }
  await turn();
  collectGarbage();
  assert.ok(gone.filter((ref) => ref.deref() !== undefined).length < 1000);
  // Alive until here, as in a worker.
  assert.equal(connections.size, 1);
});

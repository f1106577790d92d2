import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { InheritedSocket } from '../processes/messages.ts';
import { InheritedSockets } from './inherited-sockets.ts';

/** Two addresses with three sockets each. */
const sockets: readonly InheritedSocket[] = [0, 1].flatMap((addressIndex) =>
  [0, 1, 2].map((share) => ({
    ...{ address: '127.0.0.1', port: 80 + addressIndex, secure: false, proxyProtocol: false, halfClose: false },
    ...{ fd: 4 + addressIndex * 3 + share, addressIndex, share },
  })),
);

test('a worker accepts from each share once, and closes the rest when it drains', async () => {
  const listening: number[] = [];
  const closed: number[] = [];
  const inherited = new InheritedSockets(
    sockets,
    async ({ fd }) => void listening.push(fd),
    (fd) => void closed.push(fd),
  );
  await inherited.accept([1]);
  assert.deepEqual(listening, [5, 8]);
  await inherited.accept([1, 2]);
  assert.deepEqual(listening, [5, 8, 6, 9]);
  inherited.closeUnused();
  assert.deepEqual(closed, [4, 7]);
  inherited.closeUnused();
  await inherited.accept([0]);
  assert.deepEqual([listening.length, closed.length], [4, 2]);
});

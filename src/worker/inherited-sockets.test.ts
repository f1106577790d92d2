import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { InheritedSocket } from '../processes/messages.ts';
import { InheritedSockets } from './inherited-sockets.ts';

/** Two addresses with three sockets each, and one with a single socket. */
const sockets: readonly InheritedSocket[] = [3, 3, 1].flatMap((count, addressIndex) =>
  Array.from({ length: count }, (_, share) => ({
    ...{
      address: '127.0.0.1',
      port: 80 + addressIndex,
      secure: false,
      proxyProtocol: false,
      halfClose: false,
      protocols: ['http/1.1'],
    },
    ...{ fd: 4 + addressIndex * 3 + share, addressIndex, share },
  })),
);

test('a worker accepts from its share of each address once, and closes the rest when it drains', async () => {
  const listening: number[] = [];
  const closed: number[] = [];
  const inherited = new InheritedSockets(
    sockets,
    async ({ fd }) => void listening.push(fd),
    (fd) => void closed.push(fd),
  );
  await inherited.accept({ index: 1, workers: 3 });
  assert.deepEqual(listening, [5, 8, 10]);
  await inherited.accept({ index: 1, workers: 3 });
  await inherited.accept({ index: 2, workers: 3 });
  assert.deepEqual(listening, [5, 8, 10, 6, 9]);
  inherited.closeUnused(['127.0.0.1 81', '127.0.0.1 90']);
  assert.deepEqual(closed, [4]);
  inherited.closeUnused();
  assert.deepEqual(closed, [4, 7]);
  inherited.closeUnused();
  await inherited.accept({ index: 0, workers: 3 });
  assert.deepEqual([listening.length, closed.length], [5, 2]);
});

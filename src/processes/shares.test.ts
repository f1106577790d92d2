import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sharesOf } from './shares.ts';

test('every socket has a worker and every worker a socket, for any numbers of them', () => {
  for (let workers = 1; workers <= 9; workers++) {
    for (let sockets = 1; sockets <= 9; sockets++) {
      const shares = Array.from({ length: workers }, (_, index) => sharesOf(index, workers, sockets));
      assert.equal(new Set(shares.flat()).size, sockets, `${workers} workers, ${sockets} sockets`);
      assert.ok(shares.every((one) => one.length > 0));
      if (sockets >= workers) assert.equal(shares.flat().length, sockets);
    }
  }
});

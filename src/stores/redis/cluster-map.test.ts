import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasMoved, mergeViews, parseView, servesSlots } from './cluster-map.ts';

const view = (...lines: readonly string[]) => parseView(`${lines.join('\n')}\n`, 'asked', false);

test('each slot belongs to the node that claims it with the highest epoch', () => {
  // The first node is cut off: it does not know that the third one has replaced it.
  const cutOff = view(
    'a 10.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-99 200',
    'b 10.0.0.2:7000@17000 master,fail - 0 0 2 disconnected 100-199',
    'c 10.0.0.3:7000@17000 slave,fail a 0 0 1 disconnected',
  );
  const others = view(
    'a 10.0.0.1:7000@17000 master,fail - 0 0 1 disconnected',
    'b 10.0.0.2:7000@17000 myself,master - 0 0 2 connected 100-199',
    'c 10.0.0.3:7000@17000,host.test master - 0 0 3 connected 0-99 200',
  );
  for (const views of [
    [cutOff, others],
    [others, cutOff],
  ]) {
    const { owners, primaries } = mergeViews(views);
    assert.deepEqual(
      [0, 99, 100, 199, 200, 201].map((slot) => owners[slot]),
      ['10.0.0.3:7000', '10.0.0.3:7000', '10.0.0.2:7000', '10.0.0.2:7000', '10.0.0.3:7000', undefined],
    );
    assert.deepEqual([...primaries.keys()].sort(), ['10.0.0.1:7000', '10.0.0.2:7000', '10.0.0.3:7000']);
  }
});

test('a slot that begins, ends or comes to rest elsewhere has moved', () => {
  const a = 'a 10.0.0.1:1@2 myself,master - 0 0 1 connected 0-9';
  const still = mergeViews([view(a, 'b 10.0.0.2:1@2 master - 0 5 2 connected 10-19')]);
  const later = mergeViews([view(a, 'b 10.0.0.2:1@2 master - 7 9 2 connected 10-19')]);
  const begun = mergeViews([view(`${a} [7->-b]`, 'b 10.0.0.2:1@2 master - 0 5 2 connected 10-19')]);
  const ended = mergeViews([
    view('a 10.0.0.1:1@2 myself,master - 0 0 1 connected 0-6 8-9', 'b 10.0.0.2:1@2 master - 0 0 3 connected 7 10-19'),
  ]);
  assert.equal(hasMoved(still, later), false);
  assert.equal(hasMoved(still, begun), true);
  assert.equal(hasMoved(begun, ended), true);
  assert.equal(hasMoved(still, ended), true);
});

test('addresses are read in every form', () => {
  const lines = [
    'a :7000@17000 myself,master - 0 0 1 connected 0',
    'b ::1:7001@17001,named.test,shard-id=x master - 0 0 2 connected 1',
    'c 10.0.0.3:7002 master - 0 0 3 connected 2',
    'd :0@0 master,noaddr - 0 0 4 disconnected 3',
    'e 10.0.0.5:7000@17000 handshake - 0 0 0 connected',
  ];
  const names = (byName: boolean) => [...mergeViews([parseView(lines.join('\n'), 'asked', byName)]).primaries.keys()];
  assert.deepEqual(names(false), ['asked:7000', '[::1]:7001', '10.0.0.3:7002']);
  assert.deepEqual(names(true), ['asked:7000', 'named.test:7001', '10.0.0.3:7002']);
  assert.equal(servesSlots(view('a :7000@17000 myself,master - 0 0 0 connected')), false);
});

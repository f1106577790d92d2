import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MarkingRule } from './health.ts';
import { RecentOutcomes } from './recent-outcomes.ts';

const rule: MarkingRule = { byFirst: false, on500: true, failuresMin: 5, share: 0.5 };

/** Counts `failures` of `client` and then `successes` of another one, at `atMs`. */
function outcomes(failures: number, successes = 0, { client = 'a', other = 'b', atMs = 100_000 } = {}) {
  const recent = new RecentOutcomes();
  for (let count = 0; count < failures; count++) recent.count(atMs, client, true);
  for (let count = 0; count < successes; count++) recent.count(atMs, other, false);
  return recent;
}

test('five failures of the only client are a failing backend, four are not', () => {
  assert.equal(outcomes(5).isFailing(rule), true);
  assert.equal(outcomes(4).isFailing(rule), false);
  assert.equal(outcomes(5, 0).isFailing({ ...rule, failuresMin: 6 }), false);
});

test('the failures must be the share of all requests', () => {
  assert.equal(outcomes(10, 10, { other: 'a' }).isFailing(rule), true);
  assert.equal(outcomes(10, 11, { other: 'a' }).isFailing(rule), false);
});

test('where several clients send requests, the failures of one of them are not enough', () => {
  const recent = outcomes(1000, 1);
  assert.equal(recent.isFailing(rule), false);
  recent.count(100_000, 'c', true);
  assert.equal(recent.isFailing(rule), true);
});

test('clients of the two buckets are distinguished', () => {
  const recent = outcomes(5, 0, { atMs: 100_000 });
  recent.count(105_000, 'b', false);
  assert.equal(recent.isFailing(rule), false, 'two clients, one of which fails');
  recent.count(105_000, 'c', true);
  assert.equal(recent.isFailing(rule), true);
});

test('what is older than 10 s does not count', () => {
  const recent = outcomes(5, 0, { atMs: 100_000 });
  assert.equal(recent.isFailing(rule), true);
  recent.count(109_999, 'a', true);
  assert.equal(recent.isFailing(rule), true);
  recent.count(110_000, 'a', true);
  assert.equal(recent.isFailing(rule), false);
});

test('after a long silence counting starts again', () => {
  const recent = outcomes(50, 0, { atMs: 100_000 });
  recent.count(1_000_000, 'a', true);
  assert.equal(recent.isFailing(rule), false);
});

test('addresses of one IPv6 network are one client, mapped IPv4 addresses are not', () => {
  const pairs: readonly (readonly [client: string, other: string, isSame: boolean])[] = [
    ['2001:db8:1:2::1', '2001:db8:1:2:aaaa:bbbb:cccc:dddd', true],
    ['2001:db8:1:2::1', '2001:db8:1:3::1', false],
    ['2001:db8::1', '2001:db8:0:0:1::', true],
    ['2001:db8::1', '2001:db8:1::1', false],
    ['::1', '::2', true],
    ['::1', '1::1', false],
    ['::ffff:10.0.0.1', '::ffff:10.0.0.2', false],
    ['::ffff:10.0.0.1', '2001:db8::1', false],
    ['10.0.0.1', '10.0.0.2', false],
  ];
  for (const [client, other, isSame] of pairs) {
    // All failures are of one client: of the only one, or of one of several.
    assert.equal(outcomes(20, 20, { client, other }).isFailing(rule), isSame, `${client} ${other}`);
    const recent = outcomes(10, 0, { client });
    recent.count(105_000, other, false);
    assert.equal(recent.isFailing(rule), isSame, `${client} ${other} later`);
  }
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeLookup } from '../../test/helpers/fake-lookup.ts';
import { FakeTime } from '../../test/helpers/fake-time.ts';
import { until } from '../../test/helpers/until.ts';
import { NameResolver } from './name-resolver.ts';
import { resolveOnce } from './resolve-once.ts';

function setUp() {
  const lookup = new FakeLookup();
  const { clock, setTimer } = new FakeTime();
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  return { lookup, resolver: new NameResolver({ lookup, log, clock, setTimer, onInternalError: assert.fail }) };
}

test('a name is resolved, from memory the second time', async () => {
  const { lookup, resolver } = setUp();
  const first = resolveOnce(resolver, 'a.test');
  await until('the query', () => lookup.asked.length === 1);
  lookup.answer('a.test', ['10.0.0.1']);
  assert.deepEqual(await first, ['10.0.0.1']);
  assert.deepEqual(await resolveOnce(resolver, 'a.test'), ['10.0.0.1']);
  assert.deepEqual(lookup.log, ['a.test']);
});

test('a failure has its code', async () => {
  const { lookup, resolver } = setUp();
  const failing = resolveOnce(resolver, 'a.test');
  await until('the query', () => lookup.asked.length === 1);
  lookup.fail('a.test', 'ENOTFOUND');
  await assert.rejects(failing, { code: 'ENOTFOUND' });
  await assert.rejects(resolveOnce(resolver, 'a.test'), { code: 'ENOTFOUND' });
});

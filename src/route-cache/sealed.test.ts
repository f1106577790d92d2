import assert from 'node:assert/strict';
import { test } from 'node:test';
import { policyServices } from '../../test/helpers/policy-services.ts';
import { testPolicy } from '../../test/helpers/test-proxy.ts';
import { PolicyCompiler } from '../policy/policy-compiler.ts';
import { isSealed } from './host-policies.ts';
import { setUp, turn, warm } from './route-cache.suite.ts';

test('a frontend that serves goes on while a wildcard above it is read for another host', async () => {
  const policies = new PolicyCompiler(testPolicy(), policyServices);
  const { store, cache, time } = await setUp({ policies, limits: { negativeEntriesMax: 3 } });
  store.records.set('a.b.com', ['a', 'http://127.0.0.1:1']);
  const frontend = await warm(store, cache, 'a.b.com');
  assert.ok(frontend !== null);
  // `*.com` leaves the bounded table of absent patterns, as it does in time where hosts have records of their own.
  for (let i = 0; i < 30; i++) await warm(store, cache, `x${i}.org`);
  cache.load('unknown.c.com').catch(() => {});
  await turn();
  assert.ok(store.reads.some(({ patterns }) => patterns.includes('*.com')));
  store.changeOptions('*.b.com', { tunnelsMax: '7' });
  await turn();
  await time.pass(25);
  await turn();
  store.reads.find(({ patterns }) => patterns.includes('*.b.com'))?.answer();
  await turn();
  assert.equal(frontend.policy?.tunnelsMax, 7);
  assert.ok(!isSealed(frontend));
  assert.equal(cache.cached('a.b.com'), frontend);
});

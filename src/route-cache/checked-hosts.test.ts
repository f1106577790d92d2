import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { FakeTime } from '../../test/helpers/fake-time.ts';
import { policyServices } from '../../test/helpers/policy-services.ts';
import { testPolicy } from '../../test/helpers/test-proxy.ts';
import { PolicyCompiler } from '../policy/policy-compiler.ts';
import type { FrontendUse } from './cache-table.ts';
import { CheckedHosts } from './checked-hosts.ts';
import { setUp, turn, warm } from './route-cache.suite.ts';

const compiler = new PolicyCompiler(testPolicy(), policyServices);
const policy = (path: string) => compiler.compile([{ pattern: 'a.com', options: new Map([['healthPath', path]]) }]);

describe('the checked hosts of a worker', () => {
  let time: FakeTime;
  let reports: (readonly string[])[];
  let uses: Map<string, FrontendUse>;
  let hosts: CheckedHosts;

  beforeEach(() => {
    time = new FakeTime();
    reports = [];
    uses = new Map();
    hosts = new CheckedHosts(
      (patterns) => void reports.push(patterns),
      (pattern) => uses.get(pattern) ?? 'packed',
      time.setTimer,
    );
  });

  test('are reported together, and once', async () => {
    hosts.resolved({ pattern: 'a.com', policy: policy('/up') });
    hosts.resolved({ pattern: 'b.com', policy: policy('/up') });
    hosts.resolved({ pattern: 'c.com', policy: policy('off') });
    hosts.resolved({ pattern: 'd.com', policy: null });
    await time.pass(50);
    assert.deepEqual(reports, [['a.com', 'b.com']]);
    hosts.resolved({ pattern: 'a.com', policy: policy('/other') });
    await time.pass(60_000);
    assert.equal(reports.length, 1);
  });

  test('are confirmed every two minutes, until their policy wants no checks', async () => {
    hosts.resolved({ pattern: 'a.com', policy: policy('/up') });
    hosts.resolved({ pattern: 'b.com', policy: policy('/up') });
    await time.pass(120_000);
    assert.deepEqual(reports, [
      ['a.com', 'b.com'],
      ['a.com', 'b.com'],
    ]);
    hosts.resolved({ pattern: 'a.com', policy: null });
    await time.pass(120_000);
    assert.deepEqual(reports.at(-1), ['b.com']);
    hosts.resolved({ pattern: 'b.com', policy: policy('off') });
    await time.pass(240_000);
    assert.equal(reports.length, 3);
    assert.equal(time.pending, 0);
    hosts.resolved({ pattern: 'a.com', policy: policy('/up') });
    await time.pass(120_000);
    assert.deepEqual(reports.slice(3), [['a.com'], ['a.com']]);
  });

  test('are bounded, and reported in messages of a thousand', async () => {
    for (let i = 0; i < 12_000; i++) hosts.resolved({ pattern: `h${i}.com`, policy: policy('/up') });
    await time.pass(50);
    assert.deepEqual(
      reports.map(({ length }) => length),
      Array.from({ length: 10 }, () => 1000),
    );
    reports = [];
    await time.pass(120_000);
    assert.equal(reports.flat().length, 10_000);
    assert.equal(reports.flat()[0], 'h2000.com');
  });

  test('are forgotten first if they have not served for long', async () => {
    uses.set('shop.example', 'active');
    for (const pattern of ['shop.example', 'old.example', 'used.example']) {
      hosts.resolved({ pattern, policy: policy('/up') });
    }
    for (let i = 0; i < 9990; i++) hosts.resolved({ pattern: `h${i}.com`, policy: policy('/up') });
    hosts.resolved({ pattern: 'used.example', policy: policy('/up') });
    for (let i = 0; i < 1000; i++) hosts.resolved({ pattern: `preview-${i}.com`, policy: policy('/up') });
    await time.pass(50);
    reports = [];
    await time.pass(120_000);
    const confirmed = new Set(reports.flat());
    assert.equal(confirmed.size, 10_000);
    assert.deepEqual(
      ['shop.example', 'used.example', 'old.example', 'preview-999.com'].map((pattern) => confirmed.has(pattern)),
      [true, true, false, true],
    );
  });

  test('are reported once if there is no room since all others serve', async () => {
    for (let i = 0; i < 10_000; i++) {
      uses.set(`h${i}.com`, 'active');
      hosts.resolved({ pattern: `h${i}.com`, policy: policy('/up') });
    }
    await time.pass(50);
    reports = [];
    hosts.resolved({ pattern: 'a.com', policy: policy('/up') });
    await time.pass(50);
    assert.deepEqual(reports, [['a.com']]);
    reports = [];
    await time.pass(120_000);
    assert.equal(reports.flat().length, 10_000);
    assert.ok(!reports.flat().includes('a.com'));
  });

  test('are not confirmed once their route is removed', async () => {
    const policies = { compile: () => policy('/up'), problemsOf: () => [] };
    const { store, cache } = await setUp({ policies, onResolved: (frontend) => hosts.resolved(frontend) });
    hosts = new CheckedHosts(
      (patterns) => void reports.push(patterns),
      (pattern) => cache.useOf(pattern),
      time.setTimer,
    );
    store.options.set('*', new Map([['healthPath', '/up']]));
    for (const pattern of ['preview.com', 'shop.com']) {
      store.records.set(pattern, [pattern, 'http://10.0.0.1']);
      await warm(store, cache, pattern);
    }
    await time.pass(120_000);
    assert.deepEqual(reports, [
      ['preview.com', 'shop.com'],
      ['preview.com', 'shop.com'],
    ]);
    store.prompt = true;
    store.change('preview.com', null);
    await turn();
    await cache.settled();
    await time.pass(120_000);
    assert.deepEqual(reports.slice(2), [['shop.com']]);
  });

  test('are not reported after the end', async () => {
    hosts.resolved({ pattern: 'a.com', policy: policy('/up') });
    hosts.close();
    hosts.resolved({ pattern: 'b.com', policy: policy('/up') });
    await time.pass(300_000);
    assert.deepEqual(reports, []);
    assert.equal(time.pending, 0);
  });
});

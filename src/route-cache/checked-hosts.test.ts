import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { FakeTime } from '../../test/helpers/fake-time.ts';
import { policyServices } from '../../test/helpers/policy-services.ts';
import { testPolicy } from '../../test/helpers/test-proxy.ts';
import { PolicyCompiler } from '../policy/policy-compiler.ts';
import { CheckedHosts } from './checked-hosts.ts';

const compiler = new PolicyCompiler(testPolicy(), policyServices);
const policy = (path: string) => compiler.compile([{ pattern: 'a.com', options: new Map([['healthPath', path]]) }]);

describe('the checked hosts of a worker', () => {
  let time: FakeTime;
  let reports: (readonly string[])[];
  let hosts: CheckedHosts;

  beforeEach(() => {
    time = new FakeTime();
    reports = [];
    hosts = new CheckedHosts((patterns) => void reports.push(patterns), time.setTimer);
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

  test('are not reported after the end', async () => {
    hosts.resolved({ pattern: 'a.com', policy: policy('/up') });
    hosts.close();
    hosts.resolved({ pattern: 'b.com', policy: policy('/up') });
    await time.pass(300_000);
    assert.deepEqual(reports, []);
    assert.equal(time.pending, 0);
  });
});

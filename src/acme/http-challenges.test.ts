import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { HttpChallenges } from './http-challenges.ts';
import { QuestionLimit } from './question-limit.ts';

const path = (token: string): string => `/.well-known/acme-challenge/${token}`;
const token = 'a'.repeat(43);
const authority = '192.0.2.1';

describe('requests for proofs', () => {
  let reads: string[];
  let nowMs: number;
  let answer: () => Promise<string | null>;
  let challenges: HttpChallenges;

  beforeEach(() => {
    reads = [];
    nowMs = 5000;
    answer = async () => null;
    const read = (name: string) => {
      reads.push(name);
      return answer();
    };
    challenges = new HttpChallenges({ read, write: async () => true }, new QuestionLimit(() => nowMs));
  });

  test('get the proof of their token', async () => {
    answer = async () => `${token}.thumbprint`;
    assert.equal(await challenges.find(path(token), authority), `${token}.thumbprint`);
    assert.deepEqual(reads, [`acme-http:${token}`]);
  });

  for (const other of ['/', '/.well-known/security.txt', path('short'), path(`${token}?a=b`), path(`${token}/x`)]) {
    test(`are not ${other.slice(0, 50)}`, () => assert.equal(challenges.find(other, authority), null));
  }
  for (const strange of ['%61'.repeat(20), 'a'.repeat(181), `${token}\u00e4`, `..${token}`]) {
    test(`are not for the token ${strange.slice(0, 30)}`, () =>
      assert.equal(challenges.find(path(strange), authority), null));
  }

  test('go to the backend if no order has the token, or if the store is away', async () => {
    assert.equal(await challenges.find(path(token), authority), null);
    answer = () => Promise.reject(new Error('away'));
    assert.equal(await challenges.find(path(token), authority), null);
  });

  test('reach the store a bounded number of times, and those of one network hide no others', async () => {
    for (let i = 0; i < 200; i++) await challenges.find(path(token), '198.51.100.7');
    for (let i = 0; i < 200; i++) await challenges.find(path(token), `2001:db8::${i}`);
    assert.equal(reads.length, 100);
    answer = async () => 'proof';
    assert.equal(await challenges.find(path(token), authority), 'proof');
    for (let i = 0; i < 2000; i++) await challenges.find(path(token), `10.0.${i % 200}.1`);
    assert.equal(reads.length, 1000);
    assert.equal(await challenges.find(path(token), authority), null);
    nowMs += 1000;
    assert.equal(await challenges.find(path(token), authority), 'proof');
  });

  test('wait for the store in a bounded number', async () => {
    const pending = Promise.withResolvers<null>();
    answer = () => pending.promise;
    const all = Array.from({ length: 130 }, (_, i) => challenges.find(path(token), `10.0.${i}.1`));
    assert.equal(reads.length, 100);
    pending.resolve(null);
    await Promise.all(all);
    await challenges.find(path(token), authority);
    assert.equal(reads.length, 101);
  });
});

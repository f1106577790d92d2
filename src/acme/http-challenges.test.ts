import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { HttpChallenges } from './http-challenges.ts';

const path = (token: string): string => `/.well-known/acme-challenge/${token}`;
const token = 'a'.repeat(43);

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
    challenges = new HttpChallenges({ read, write: async () => true }, () => nowMs);
  });

  test('get the proof of their token', async () => {
    answer = async () => `${token}.thumbprint`;
    assert.equal(await challenges.find(path(token)), `${token}.thumbprint`);
    assert.deepEqual(reads, [`acme-http:${token}`]);
  });

  for (const other of ['/', '/.well-known/security.txt', path('short'), path(`${token}?a=b`), path(`${token}/x`)]) {
    test(`are not ${other.slice(0, 50)}`, () => assert.equal(challenges.find(other), null));
  }
  for (const strange of ['%61'.repeat(20), 'a'.repeat(181), `${token}\u00e4`, `..${token}`]) {
    test(`are not for the token ${strange.slice(0, 30)}`, () => assert.equal(challenges.find(path(strange)), null));
  }

  test('go to the backend if no order has the token, or if the store is away', async () => {
    assert.equal(await challenges.find(path(token)), null);
    answer = () => Promise.reject(new Error('away'));
    assert.equal(await challenges.find(path(token)), null);
  });

  test('reach the store a bounded number of times', async () => {
    for (let i = 0; i < 600; i++) await challenges.find(path(token));
    assert.equal(reads.length, 500);
    nowMs += 1000;
    const pending = Promise.withResolvers<null>();
    answer = () => pending.promise;
    const all = Array.from({ length: 130 }, () => challenges.find(path(token)));
    assert.equal(all.filter((found) => found !== null).length, 100);
    pending.resolve(null);
    await Promise.all(all);
    assert.equal(await challenges.find(path(token)), null);
    assert.equal(reads.length, 601);
  });
});

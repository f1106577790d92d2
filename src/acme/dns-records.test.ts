import assert from 'node:assert/strict';
import { test } from 'node:test';
import { challengeRecord, isPersistentRecord, persistentRecord } from './dns-records.ts';

const account = 'https://ca.example/acct/123';
const nowMs = 1_800_000_000_000;
const wanted = { issuers: ['authority.example', 'other.example'], account, isWildcard: true };

test('the record of DNS-01 is the digest of the key authorization', () => {
  // RFC 8555 section 8.4: SHA-256, base64url.
  assert.deepEqual(challengeRecord('shop.example', 'token.thumbprint'), {
    name: '_acme-challenge.shop.example',
    value: '61rBZ_4knHblO0MNoxFsXZ_eTFUHum0B6IVRbhvUn5I',
  });
});

test('the standing record is the one that is looked for', () => {
  const { name, value } = persistentRecord('shop.example', 'authority.example', account);
  assert.equal(name, '_validation-persist.shop.example');
  assert.equal(value, `authority.example; accounturi=${account}; policy=wildcard`);
  assert.equal(isPersistentRecord(value, wanted, nowMs), true);
});

const base = `other.example; accounturi=${account}`;
for (const [text, isWildcard, expected] of [
  [base, false, true],
  [base, true, false],
  [`${base};policy=wildcard`, true, true],
  [`${base}; Policy = Wildcard; unknown=1`, true, true],
  [`Other.Example.; accounturi=${account}; policy=wildcard`, true, true],
  [`third.example; accounturi=${account}; policy=wildcard`, false, false],
  [`other.example; accounturi=${account}4; policy=wildcard`, false, false],
  ['other.example; policy=wildcard', false, false],
  ['other.example', false, false],
  ['', false, false],
  [`${base};`, false, false],
  [`${base}; accounturi=${account}`, false, false],
  [`${base}; persistUntil=1800000001`, false, true],
  [`${base}; persistUntil=1799999999`, false, false],
  [`${base}; persistUntil=soon`, false, false],
] as const) {
  test(`the record "${text}" lets an account order ${isWildcard ? 'wildcards' : 'names'}: ${expected}`, () => {
    assert.equal(isPersistentRecord(text, { ...wanted, isWildcard }, nowMs), expected);
  });
}

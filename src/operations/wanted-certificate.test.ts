import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StoredRoute } from '../stores/contract.ts';
import { certificateWish } from './wanted-certificate.ts';

type Records = Readonly<Record<string, { readonly routed?: boolean; readonly tls?: string }>>;

async function wish(
  records: Records,
  host: string,
  byDefault = false,
  challenges = ['http-01'],
  note = '',
): Promise<string> {
  const read = async (patterns: readonly string[]): Promise<(StoredRoute | null)[]> =>
    patterns.map((pattern) => {
      const record = records[pattern];
      if (record === undefined) return null;
      const options = record.tls === undefined ? {} : { options: new Map([['tls', record.tls]]) };
      return { frontend: record.routed === true ? [pattern, 'http://a:1'] : [], down: new Map(), ...options };
    });
  const notes = { read: async (name: string) => (name === 'order:*.b.example' && note !== '' ? note : null) };
  return await certificateWish({ routes: { read }, notes }, host, { hosts: byDefault ? 'all' : 'listed', challenges });
}

const cases: readonly (readonly [string, Records, string, boolean, boolean])[] = [
  ['a host with a route and the option', { 'a.b.example': { routed: true, tls: 'auto' } }, 'a.b.example', false, true],
  ['a host with a route alone', { 'a.b.example': { routed: true } }, 'a.b.example', false, false],
  ['the same, if all hosts have one', { 'a.b.example': { routed: true } }, 'a.b.example', true, true],
  ['one that is switched off', { 'a.b.example': { routed: true, tls: 'off' } }, 'a.b.example', true, false],
  ['the option without a route', { 'a.b.example': { tls: 'auto' } }, 'a.b.example', true, false],
  ['an unknown host', {}, 'a.b.example', true, false],
  [
    'the option of a wildcard without a route',
    { 'a.b.example': { routed: true }, '*.b.example': { tls: 'auto' } },
    'a.b.example',
    false,
    true,
  ],
  ['the route of a wildcard', { '*.b.example': { routed: true, tls: 'auto' } }, 'a.b.example', false, true],
  [
    'a host that differs from its wildcard',
    { 'a.b.example': { routed: true, tls: 'off' }, '*': { routed: true, tls: 'auto' } },
    'a.b.example',
    false,
    false,
  ],
  [
    'an option of a host whose route is that of a wildcard',
    { 'a.b.example': { tls: 'auto' }, '*.b.example': { routed: true } },
    'a.b.example',
    false,
    false,
  ],
  ['a value that cannot be used', { 'a.b.example': { routed: true, tls: 'sometimes' } }, 'a.b.example', false, false],
];
for (const [what, records, host, byDefault, expected] of cases) {
  test(`a certificate is ${expected ? '' : 'not '}wanted: ${what}`, async () => {
    assert.equal((await wish(records, host, byDefault)) !== 'none', expected);
  });
}

const below: Records = { 'a.b.example': { routed: true }, '*.b.example': { routed: true, tls: 'auto' } };
const wishes: readonly (readonly [string, Records, string, readonly string[], string])[] = [
  ['without DNS', below, 'a.b.example', ['http-01'], 'own'],
  ['of a wildcard route', below, 'other.b.example', ['http-01'], 'inherited'],
  ['with DNS', below, 'a.b.example', ['http-01', 'dns-01'], 'covered'],
  ['of a wildcard route, with DNS', below, 'other.b.example', ['dns-persist-01'], 'covered'],
  ['of the wildcard itself', below, '*.b.example', ['dns-01'], 'own'],
  ['two labels below the wildcard', below, 'x.y.b.example', ['dns-01'], 'inherited'],
  [
    'below a wildcard without a route',
    { 'a.b.example': { routed: true }, '*.b.example': { tls: 'auto' } },
    'a.b.example',
    ['dns-01'],
    'own',
  ],
  [
    'below a wildcard that is switched off',
    { 'a.b.example': { routed: true, tls: 'auto' }, '*.b.example': { routed: true, tls: 'off' } },
    'a.b.example',
    ['dns-01'],
    'own',
  ],
  [
    'that is switched off, below a wildcard',
    { 'a.b.example': { routed: true, tls: 'off' }, '*.b.example': { routed: true, tls: 'auto' } },
    'a.b.example',
    ['dns-01'],
    'none',
  ],
];
for (const [what, records, host, challenges, expected] of wishes) {
  test(`the wish of a host ${what} is ${expected}`, async () => {
    assert.equal(await wish(records, host, false, [...challenges]), expected);
  });
}

test('a host does not wait for a wildcard that cannot be had', async () => {
  const failure = { count: 1, atMs: 0, untilMs: 0, type: 'proofNotShown', detail: 'no such zone', authority: null };
  const issued = { authority: '', identifier: null, fingerprint: '', notBeforeMs: 0, notAfterMs: 0, atMs: 0 };
  const dns = ['dns-01'];
  const wishWith = (state: object): Promise<string> =>
    wish(below, 'a.b.example', false, dns, JSON.stringify({ pattern: '*.b.example', ...state }));
  assert.equal(await wishWith({}), 'covered');
  assert.equal(await wishWith({ failure: { ...failure, count: 0 } }), 'covered');
  assert.equal(await wishWith({ failure }), 'own');
  assert.equal(await wishWith({ failure, issued }), 'own');
  assert.equal(await wishWith({ failure, issued: { ...issued, notAfterMs: Date.now() + 1e9 } }), 'covered');
});

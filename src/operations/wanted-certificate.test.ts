import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StoredRoute } from '../stores/contract.ts';
import { isCertificateWanted } from './wanted-certificate.ts';

type Records = Readonly<Record<string, { readonly routed?: boolean; readonly tls?: string }>>;

async function isWanted(records: Records, host: string, byDefault = false): Promise<boolean> {
  const read = async (patterns: readonly string[]): Promise<(StoredRoute | null)[]> =>
    patterns.map((pattern) => {
      const record = records[pattern];
      if (record === undefined) return null;
      const options = record.tls === undefined ? {} : { options: new Map([['tls', record.tls]]) };
      return { frontend: record.routed === true ? [pattern, 'http://a:1'] : [], down: new Map(), ...options };
    });
  return await isCertificateWanted({ routes: { read } }, host, byDefault);
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
    assert.equal(await isWanted(records, host, byDefault), expected);
  });
}

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { askedBy } from '../../test/helpers/asked.ts';
import { policyServices } from '../../test/helpers/policy-services.ts';
import { testPolicy } from '../../test/helpers/test-proxy.ts';
import { ByHash } from '../routing/by-hash.ts';
import { AtRandom, LeastRequests, RoundRobin } from '../routing/plain-selectors.ts';
import { buildFrontend } from '../routing/record.ts';
import { TwoRandomChoices } from '../routing/selector.ts';
import { ByCookie } from '../routing/sticky-cookie.ts';
import { PolicyCompiler } from './policy-compiler.ts';
import { problemsOf, shownOption } from './read-options.ts';

const base = testPolicy();
const compiler = new PolicyCompiler(base, policyServices);
const policyOf = (options: Readonly<Record<string, string>>, inherited: Readonly<Record<string, string>> = {}) =>
  compiler.compile([
    { pattern: 'a.com', options: new Map(Object.entries(options)) },
    { pattern: '*', options: new Map(Object.entries(inherited)) },
  ]);

describe('the options of balancing', () => {
  test('make the selector of a host', () => {
    const selectors = {
      'two-choices': TwoRandomChoices,
      random: AtRandom,
      'round-robin': RoundRobin,
      'least-requests': LeastRequests,
      hash: ByHash,
    };
    for (const [balance, selector] of Object.entries(selectors)) {
      assert.ok(policyOf({ balance }).selector instanceof selector);
      assert.equal(policyOf({ balance }).selector, policyOf({ balance }).selector, 'one for all hosts');
    }
    assert.equal(policyOf({ requestsMax: '7', hashBy: 'client' }).selector, base.selector);
    assert.notEqual(policyOf({ slowStart: '1m' }).selector, base.selector);
    assert.ok(policyOf({ sticky: 'on', balance: 'hash' }).selector instanceof ByCookie);
  });

  test('are inherited one by one, and end with a value of the host', () => {
    const { backends, ...frontend } = buildFrontend('a.com', { frontend: ['id', 'http://a:1'], down: new Map() });
    const [backend] = backends;
    assert.ok(backend);
    const line = (...options: Parameters<typeof policyOf>) =>
      policyOf(...options).sticky?.setCookie({ ...frontend, backends }, backend, true) ?? null;
    const [own, inherited] = [line({ sticky: 'own' }, { stickyAttributes: 'Path=/x' }), line({}, { sticky: 'on' })];
    assert.match(String(own), /^own=[0-9a-f]{16}; Path=\/x$/);
    assert.match(String(inherited), /^hipache_backend=[0-9a-f]{16}; Path=\/; HttpOnly; SameSite=Lax; Secure$/);
    assert.notEqual(line({}, { sticky: 'on', stickyKey: 'k' }), inherited);
    assert.equal(line({ sticky: 'off' }, { sticky: 'on' }), null);
    assert.equal(line({ stickyKey: 'k', stickyAttributes: 'Path=/' }), null);
  });

  test('hash what they name', () => {
    const urls = Array.from({ length: 10 }, (_, i) => `http://h${i}:1`);
    const frontend = buildFrontend('a.com', { frontend: ['id', ...urls], down: new Map() });
    const places = (hashBy: string, ...line: readonly [string, string]) =>
      new Set(
        Array.from({ length: 50 }, (_, i) =>
          policyOf({ balance: 'hash', hashBy }).selector.choose(frontend, askedBy(`client ${i}`, line), null, 0),
        ),
      ).size;
    assert.ok(places('client', 'X-Tenant', 'a') > 5);
    assert.equal(places('header:X-TENANT', 'x-tenant', 'a'), 1);
    assert.equal(places('cookie:sid', 'Cookie', 'sid=a'), 1);
    assert.ok(places('cookie:SID', 'Cookie', 'sid=a') > 5);
  });

  const good = {
    balance: ['two-choices', 'random', 'round-robin', 'least-requests', 'hash'],
    hashBy: ['client', 'header:X-Tenant', 'cookie:sid'],
    sticky: ['on', 'off', 'true', 'false', 'route', '__Host-route'],
    stickyAttributes: ['Path=/', 'Path=/; Secure; SameSite=None; Max-Age=86400', 'x'.repeat(512)],
    stickyKey: ['k', 'a long key with blanks', '~'.repeat(512)],
    slowStart: ['0s', '90s', '1h', '500ms'],
  };
  const bad = {
    balance: ['', 'Random', 'hash ', 'round_robin'],
    hashBy: ['', 'header', 'header:', 'header:a b', 'cookie:a=b', 'query:x', 'header:x\r\n', 'header:é'],
    sticky: ['', 'a b', 'a=b', 'a;b', 'é', 'x\r\nSet-Cookie: y', 'x'.repeat(65)],
    stickyAttributes: ['', ' ', 'Path=/\r\nX: y', 'Path=/\n', 'é', '\0', 'x'.repeat(513)],
    stickyKey: ['', 'é', 'a\nb', 'x'.repeat(513)],
    slowStart: ['', '5', '2h', '-1s', '1d'],
  };

  test('take the values that they may have', () => {
    for (const [name, values] of Object.entries(good))
      for (const value of values) assert.deepEqual(problemsOf(name, value), [], `${name} ${value}`);
  });

  test('refuse any other', () => {
    for (const [name, values] of Object.entries(bad))
      for (const value of values) assert.equal(problemsOf(name, value).length, 1, `${name} ${JSON.stringify(value)}`);
  });

  test('show no key', () => {
    assert.equal(shownOption('stickyKey', 'k'), '(secret)');
    assert.equal(problemsOf('stickyKey', 'a secret\n')[0]?.includes('a secret'), false);
  });
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { normaliseHost, parsePattern, wildcardPatterns } from './host.ts';

const label63 = 'a'.repeat(63);
const name253 = `${label63}.${label63}.${label63}.${'a'.repeat(61)}`;

test('a host becomes lower case, and loses its port and trailing dot', () => {
  for (const [value, host] of [
    ['example.com', 'example.com'],
    ['Example.COM', 'example.com'],
    ['example.com:80', 'example.com'],
    ['EXAMPLE.com.:8080', 'example.com'],
    ['example.com.', 'example.com'],
    ['example.com:', 'example.com'],
    ['localhost', 'localhost'],
    ['__ping__', '__ping__'],
    ['my_app.example.com', 'my_app.example.com'],
    ['-a-.b', '-a-.b'],
    ['127.0.0.1:1', '127.0.0.1'],
    ['xn--bcher-kva.example', 'xn--bcher-kva.example'],
    ['__proto__', '__proto__'],
    [name253, name253],
    [`${name253}.:65535`, name253],
  ] as const) {
    assert.equal(normaliseHost(value), host, value);
  }
});

test('an IPv6 literal keeps its brackets and becomes canonical', () => {
  assert.equal(normaliseHost('[::1]'), '[::1]');
  assert.equal(normaliseHost('[::1]:80'), '[::1]');
  assert.equal(normaliseHost('[::1]:'), '[::1]');
  assert.equal(normaliseHost('[2001:DB8::A]:8080'), '[2001:db8::a]');
  assert.equal(normaliseHost('[0:0:0:0:0:0:0:1]'), '[::1]');
  for (const value of [
    '[::1',
    '::1',
    '[]',
    '[::1]x',
    '[::1]:x',
    '[fe80::1%25eth0]',
    '[1.2.3.4]',
    'a[::1]',
    '[[::1]]',
  ]) {
    assert.equal(normaliseHost(value), null, value);
  }
});

test('anything that is not a host is refused', () => {
  for (const value of [
    '',
    '.',
    '..',
    'a..b',
    '.a',
    'a..',
    ':80',
    '.:80',
    'a@b',
    'user:pw@b',
    'a,b',
    'a, b',
    ' a',
    'a ',
    'a b',
    'a\0',
    'a\tb',
    'a\r\nb',
    'a/b',
    'a\\b',
    'http://a',
    'a?b',
    'a#b',
    'a%41',
    '*',
    '*.example.com',
    'bücher.example',
    'a\u212a',
    'a\u0130',
    'a\x7f',
    'a:0',
    'a:65536',
    'a:80a',
    'a:+80',
    'a:-1',
    'a: 80',
    'a:80:80',
    'a:080000',
    'a:80.',
    `${'a'.repeat(64)}.com`,
    `${name253}a`,
    'a.'.repeat(5000),
  ]) {
    assert.equal(normaliseHost(value), null, JSON.stringify(value.slice(0, 100)));
  }
});

test('normalising never throws, is idempotent, and yields only valid hosts', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.domain(),
        fc.webAuthority(),
        fc.ipV6().map((ip) => `[${ip}]:80`),
      ),
      (value) => {
        const host = normaliseHost(value);
        if (host === null) return;
        assert.match(host, /^(\[[0-9a-f:]+\]|[a-z0-9_-]+(\.[a-z0-9_-]+)*)$/);
        assert.ok(host.length <= 253);
        assert.equal(normaliseHost(host), host);
        assert.equal(normaliseHost(host.toUpperCase()), host);
        assert.equal(normaliseHost(`${host}:8080`), host);
      },
    ),
    { numRuns: 2000 },
  );
});

test('the wildcards of a host end with its top-level label and the one for all', () => {
  assert.deepEqual(wildcardPatterns('a.b.com'), ['*.b.com', '*.com', '*']);
  assert.deepEqual(wildcardPatterns('localhost'), ['*']);
  assert.deepEqual(wildcardPatterns('10.0.0.1'), ['*.0.0.1', '*.0.1', '*.1', '*']);
  assert.deepEqual(wildcardPatterns('[::1]'), ['*']);
});

test('a name of more than six labels is cut to its last six before its wildcards are tried', () => {
  const five = ['*.c.d.e.f.g', '*.d.e.f.g', '*.e.f.g', '*.f.g', '*.g', '*'];
  assert.deepEqual(wildcardPatterns('b.c.d.e.f.g'), five);
  assert.deepEqual(wildcardPatterns('a.b.c.d.e.f.g'), five);
  assert.deepEqual(wildcardPatterns('y.z.a.b.c.d.e.f.g'), five);
});

test('wildcards match the reference for any name', () => {
  fc.assert(
    fc.property(fc.array(fc.stringMatching(/^[a-z]{1,3}$/), { minLength: 1, maxLength: 12 }), (labels) => {
      const last = labels.slice(-6);
      const expected = last.slice(1).map((_, i) => `*.${last.slice(i + 1).join('.')}`);
      assert.deepEqual(wildcardPatterns(labels.join('.')), [...expected, '*']);
    }),
  );
});

test('an operator can write a host, a wildcard or the one for all', () => {
  assert.equal(parsePattern('App.Example.com'), 'app.example.com');
  assert.equal(parsePattern('example.com.'), 'example.com');
  assert.equal(parsePattern('*.Example.com'), '*.example.com');
  assert.equal(parsePattern('*.com'), '*.com');
  assert.equal(parsePattern('*.a.b.c.d.e'), '*.a.b.c.d.e');
  assert.equal(parsePattern('*'), '*');
  assert.equal(parsePattern('[::1]'), '[::1]');
});

test('a wrong pattern is refused with the problem and what is allowed', () => {
  for (const [value, problem] of [
    ['', /empty/],
    ['*.', /empty/],
    ['http://example.com', /URL/],
    ['example.com/app', /path/],
    ['example.com:80', /port/],
    ['[::1]:80', /port/],
    ['*.example.com:80', /port/],
    ['::1', /brackets: \[::1\]/],
    ['*foo.com', /first label/],
    ['a.*.com', /first label/],
    ['*.*.com', /first label/],
    ['a..com', /empty label/],
    ['a@b', /"@"/],
    ['a b', /character/],
    ['a\nb', /character/],
    ['bücher.example', /xn--bcher-kva\.example/],
    ['*.[::1]', /no subdomains/],
    ['*.a.b.c.d.e.f', /never matches/],
    [`${'a'.repeat(64)}.com`, /63/],
    [`${name253}.com`, /253/],
  ] as const) {
    assert.throws(
      () => parsePattern(value),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, 'COMMAND_INVALID', value);
        assert.match(error.message, problem, value);
        assert.match(error.message, /allowed are/, value);
        return true;
      },
    );
  }
});

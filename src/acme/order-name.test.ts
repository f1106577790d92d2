import assert from 'node:assert/strict';
import { test } from 'node:test';
import { whyNotOrderable } from './order-name.ts';

const long = `${'a'.repeat(60)}.`.repeat(4);

for (const pattern of ['shop.example', 'xn--bcher-kva.example', 'a-b.c-d.example', `${long}example`]) {
  test(`an authority may issue for ${pattern.slice(0, 40)}`, () => assert.equal(whyNotOrderable(pattern, false), null));
}

for (const [pattern, why] of [
  ['*', /stands for all hosts/],
  ['*.shop.example', /proved by DNS only/],
  ['a.*.example', /only the first label/],
  ['192.0.2.1', /which address/],
  ['2001:db8::1', /which address/],
  ['[2001:db8::1]', /which address/],
  ['under_score.example', /names with "_"/],
  ['bücher.example', /"ü" must be written .* punycode/],
  ['a b.example', /" " is not allowed/],
  [`${long}${'b'.repeat(20)}.example`, /longer than 253/],
  [`${'a'.repeat(64)}.example`, /longer than 63/],
  ['a..example', /is empty/],
  ['-a.example', /begins or ends/],
  ['a-.example', /begins or ends/],
  ['localhost', /one label/],
  ['com.1', /number/],
] as const) {
  test(`no authority issues for ${pattern.slice(0, 40)}`, () =>
    assert.match(whyNotOrderable(pattern, false) ?? '', why));
}

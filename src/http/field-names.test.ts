import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Field, fieldNumberOf } from './field-names.ts';

function numberOf(name: string): number {
  const bytes = Buffer.from(`\n${name}:`, 'latin1');
  return fieldNumberOf(bytes, 1, bytes.length - 1);
}

/** Every numbered name, with its number and that of its underscore spellings. */
const known: Record<string, [number, number]> = {
  host: [Field.HOST, Field.OTHER],
  'content-length': [Field.CONTENT_LENGTH, Field.FRAMING_ALIAS],
  'transfer-encoding': [Field.TRANSFER_ENCODING, Field.FRAMING_ALIAS],
  connection: [Field.CONNECTION, Field.OTHER],
  'keep-alive': [Field.HOP, Field.OTHER],
  'proxy-connection': [Field.HOP, Field.OTHER],
  te: [Field.TE, Field.OTHER],
  trailer: [Field.TRAILER, Field.OTHER],
  upgrade: [Field.UPGRADE, Field.OTHER],
  expect: [Field.EXPECT, Field.OTHER],
  'x-forwarded-for': [Field.X_FORWARDED_FOR, Field.ALIAS],
  'x-forwarded-proto': [Field.X_FORWARDED_PROTO, Field.ALIAS],
  'x-forwarded-protocol': [Field.X_FORWARDED_PROTOCOL, Field.ALIAS],
  'x-forwarded-port': [Field.X_FORWARDED_PORT, Field.ALIAS],
  'x-forwarded-host': [Field.FORWARDED_OTHER, Field.ALIAS],
  'x-forwarded-x': [Field.FORWARDED_OTHER, Field.ALIAS],
  'x-real-ip': [Field.X_REAL_IP, Field.ALIAS],
  forwarded: [Field.FORWARDED_OTHER, Field.OTHER],
  'x-request-id': [Field.X_REQUEST_ID, Field.ALIAS],
  traceparent: [Field.TRACEPARENT, Field.OTHER],
  tracestate: [Field.TRACESTATE, Field.OTHER],
  'x-debug': [Field.X_DEBUG, Field.ALIAS],
  referer: [Field.REFERER, Field.OTHER],
  'user-agent': [Field.USER_AGENT, Field.OTHER],
  'retry-after': [Field.RETRY_AFTER, Field.OTHER],
  accept: [Field.ACCEPT, Field.OTHER],
};

describe('a field name has its number', () => {
  for (const [name, [number, alias]] of Object.entries(known)) {
    test(`${name}, in any case`, () => {
      assert.equal(numberOf(name), number);
      assert.equal(numberOf(name.toUpperCase()), number);
      assert.equal(
        numberOf(name.replace(/[a-z]/g, (letter, at) => (at % 2 === 0 ? letter.toUpperCase() : letter))),
        number,
      );
    });

    if (!name.includes('-')) continue;
    test(`${name}, with underscores`, () => {
      assert.equal(numberOf(name.replaceAll('-', '_')), alias);
      assert.equal(numberOf(name.replace('-', '_').toUpperCase()), alias);
    });
  }

  test('x-forwarded- alone and similar names count as any other', () => {
    for (const name of ['x-forwarded-', 'x-forwarde', 'xx-forwarded-for', 'hos', 'hostx', 'h', '_host', 'x.real.ip']) {
      assert.equal(numberOf(name), Field.OTHER, name);
    }
  });

  test('changing one byte gives another name', () => {
    const tokens = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    const names = Object.keys(known);
    fc.assert(
      fc.property(fc.constantFrom(...names), fc.nat(), fc.constantFrom(...tokens), (name, position, byte) => {
        const at = position % name.length;
        const changed = name.slice(0, at) + byte + name.slice(at + 1);
        const spelt = changed.toLowerCase();
        const expected =
          known[spelt]?.[0] ??
          known[spelt.replaceAll('_', '-')]?.[1] ??
          (/^x-forwarded-./.test(spelt) ? Field.FORWARDED_OTHER : /^x[-_]forwarded[-_]./.test(spelt) ? Field.ALIAS : 0);
        assert.equal(numberOf(changed), expected);
      }),
      { numRuns: 5000 },
    );
  });
});

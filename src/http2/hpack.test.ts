import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Field } from '../http/field-names.ts';
import type { HeaderField } from './header-field.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import { HpackEncoder, Indexing } from './hpack-encoder.ts';

/** @returns null if the block is refused. */
function decode(decoder: HpackDecoder, block: Buffer): string[] | null {
  const lines: string[] = [];
  const sink = { onField: ({ name, value }: HeaderField) => void lines.push(`${name}: ${value}`) };
  return decoder.decode(block, 0, block.length, sink) ? lines : null;
}

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(' ', ''), 'hex');
}

/** The blocks of RFC 7541 appendices C.3 to C.6, in their order, with the size of the table. */
const sequences: readonly { tableBytes: number; blocks: readonly (readonly [block: string, lines: string[]])[] }[] = [
  {
    tableBytes: 4096,
    blocks: [
      [
        '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
        [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com'],
      ],
      [
        '8286 84be 5808 6e6f 2d63 6163 6865',
        [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com', 'cache-control: no-cache'],
      ],
      [
        '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
        [
          ':method: GET',
          ':scheme: https',
          ':path: /index.html',
          ':authority: www.example.com',
          'custom-key: custom-value',
        ],
      ],
    ],
  },
  {
    tableBytes: 4096,
    blocks: [
      [
        '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
        [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com'],
      ],
      [
        '8286 84be 5886 a8eb 1064 9cbf',
        [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com', 'cache-control: no-cache'],
      ],
    ],
  },
  {
    // Entries are evicted.
    tableBytes: 256,
    blocks: [
      [
        '4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3',
        [
          ':status: 302',
          'cache-control: private',
          'date: Mon, 21 Oct 2013 20:13:21 GMT',
          'location: https://www.example.com',
        ],
      ],
      [
        '4883 640e ffc1 c0bf',
        [
          ':status: 307',
          'cache-control: private',
          'date: Mon, 21 Oct 2013 20:13:21 GMT',
          'location: https://www.example.com',
        ],
      ],
      [
        '88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07',
        [
          ':status: 200',
          'cache-control: private',
          'date: Mon, 21 Oct 2013 20:13:22 GMT',
          'location: https://www.example.com',
          'content-encoding: gzip',
          'set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1',
        ],
      ],
    ],
  },
];

test('the examples of RFC 7541 are decoded', () => {
  for (const { blocks, tableBytes } of sequences) {
    const decoder = new HpackDecoder(tableBytes);
    for (const [block, lines] of blocks) assert.deepEqual(decode(decoder, hex(block)), lines);
  }
});

test('names have the numbers of other codecs, also from the tables', () => {
  const decoder = new HpackDecoder();
  const numbers: number[] = [];
  const sink = { onField: ({ number }: HeaderField) => void numbers.push(number) };
  // host, x-forwarded-for and x_forwarded_for with a value, then the first of them by its index, and an accept.
  const literals = ['host', 'x-forwarded-for', 'x_forwarded_for'].map(
    (name) => `\x40${String.fromCharCode(name.length)}${name}\x01a`,
  );
  const block = Buffer.from(`${literals.join('')}\xc0\x53\x01*`, 'latin1');
  assert.ok(decoder.decode(block, 0, block.length, sink));
  assert.deepEqual(numbers, [Field.HOST, Field.X_FORWARDED_FOR, Field.ALIAS, Field.HOST, Field.ACCEPT]);
});

test('invalid blocks are refused', () => {
  const cases: Readonly<Record<string, string>> = {
    'index 0': '80',
    'an index behind the tables': 'be',
    'the index of a name behind the tables': '7f80 01 01 61',
    'an integer that is cut off': 'ff 80',
    'an integer of six bytes': 'ff 80 80 80 80 80 01',
    'a literal without a value': '41',
    'a value that is cut off': '41 0f 77',
    'a Huffman code with wrong padding': '41 81 18',
    'a table larger than announced': '3f e2 1f',
    'a change of the table behind a field': '82 20',
  };
  for (const [what, block] of Object.entries(cases)) {
    assert.equal(decode(new HpackDecoder(), hex(block)), null, what);
  }
});

test('a field that is larger than the table empties it, and is a field nevertheless', () => {
  const decoder = new HpackDecoder(64);
  assert.deepEqual(decode(decoder, hex('40 01 61 01 62')), ['a: b']);
  assert.deepEqual(decode(decoder, hex('be')), ['a: b']);
  const long = Buffer.concat([hex('40 01 61 40'), Buffer.alloc(64, 'x')]);
  assert.deepEqual(decode(decoder, long), [`a: ${'x'.repeat(64)}`]);
  assert.equal(decode(decoder, hex('be')), null);
});

const indexings = [Indexing.KEEP, Indexing.NONE, Indexing.NEVER];
const field = fc.record({
  name: fc.constantFrom('content-type', 'server', 'x-a', ':status', 'set-cookie', 'x-long-name-of-a-field'),
  value: fc.oneof(
    fc.constantFrom('', '200', 'a', 'text/html; charset=utf-8'),
    fc.string({ maxLength: 300, unit: 'binary-ascii' }),
  ),
  indexing: fc.constantFrom(...indexings),
});
const step = fc.oneof(
  { weight: 6, arbitrary: fc.array(field, { maxLength: 12 }) },
  { weight: 1, arbitrary: fc.nat(5000) },
);

test('every section comes back, whatever limits of the table come between', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const encoder = new HpackEncoder();
      const decoder = new HpackDecoder(4096);
      for (const fields of steps) {
        if (typeof fields === 'number') {
          encoder.setTableBytesMax(fields);
          continue;
        }
        encoder.begin();
        for (const { indexing, name, value } of fields) encoder.add(name, value, indexing);
        const lines = fields.map(({ name, value }) => `${name}: ${value}`);
        assert.deepEqual(decode(decoder, Buffer.from(encoder.end(), 'latin1')), lines);
      }
    }),
  );
});

test('a block means the same as long as the generation of the encoder does not change', () => {
  const encoder = new HpackEncoder();
  const decoder = new HpackDecoder();
  const encode = (value: string): string => {
    encoder.begin();
    encoder.add(':status', '200', Indexing.KEEP);
    encoder.add('server', value, Indexing.KEEP);
    return encoder.end();
  };
  decode(decoder, Buffer.from(encode('one'), 'latin1'));
  const { generation } = encoder;
  const again = encode('one');
  assert.equal(encoder.generation, generation);
  assert.equal(again.length, 2);
  assert.deepEqual(decode(decoder, Buffer.from(again, 'latin1')), [':status: 200', 'server: one']);
  decode(decoder, Buffer.from(encode('two'), 'latin1'));
  assert.notEqual(encoder.generation, generation);
});

test('a secret is in no table', () => {
  const encoder = new HpackEncoder();
  for (let i = 0; i < 2; i++) {
    encoder.begin();
    encoder.add('set-cookie', 'secret', Indexing.NEVER);
    assert.equal(encoder.end().charCodeAt(0) & 0xf0, 0x10);
  }
});

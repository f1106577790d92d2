import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeHuffman, encodeHuffman, huffmanLength } from './huffman.ts';

/** RFC 7541 appendices C.4 and C.6. */
const vectors: Readonly<Record<string, string>> = {
  'www.example.com': 'f1e3c2e5f23a6ba0ab90f4ff',
  'no-cache': 'a8eb10649cbf',
  'custom-key': '25a849e95ba97d7f',
  'custom-value': '25a849e95bb8e8b4bf',
  'Mon, 21 Oct 2013 20:13:21 GMT': 'd07abe941054d444a8200595040b8166e082a62d1bff',
  'https://www.example.com': '9d29ad171863c78f0b97c8e9ae82ae43d3',
  'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1':
    '94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007',
};

function encode(text: string): Buffer {
  const out = Buffer.alloc(4 * text.length + 8);
  return out.subarray(0, encodeHuffman(text, out, 0));
}

/** @returns null if the bytes are refused. */
function decode(bytes: Buffer): string | null {
  const out = Buffer.alloc(2 * bytes.length + 8);
  const end = decodeHuffman(bytes, 0, bytes.length, out, 0);
  return end < 0 ? null : out.toString('latin1', 0, end);
}

test('the examples of RFC 7541 are encoded and decoded', () => {
  for (const [text, hex] of Object.entries(vectors)) {
    assert.equal(encode(text).toString('hex'), hex);
    assert.equal(decode(Buffer.from(hex, 'hex')), text);
    assert.equal(huffmanLength(text), hex.length / 2);
  }
});

test('every text comes back', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const text = Buffer.from(bytes).toString('latin1');
      const encoded = encode(text);
      assert.equal(encoded.length, huffmanLength(text));
      assert.equal(decode(encoded), text);
    }),
  );
});

test('padding of a byte, padding that is not all ones, and the end-of-string symbol are refused', () => {
  // "a" is 00011.
  for (const [hex, is] of [
    ['1f', 'a'],
    ['1fff', null],
    ['1e', null],
    ['18', null],
    ['ff', null],
    ['fffffffc', null],
    ['3fffffff', null],
    ['1fffffffff', null],
  ] as const) {
    assert.equal(decode(Buffer.from(hex, 'hex')), is, hex);
  }
});

test('a text that is longer than its place is refused, and nothing is written behind it', () => {
  const bytes = encode('0'.repeat(100));
  const out = Buffer.alloc(50);
  assert.equal(decodeHuffman(bytes, 0, bytes.length, out, 0), -1);
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { readJson } from './json.ts';

describe('readJson', () => {
  test('reads what JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.json(), fc.constantFrom(0, 2, '\t'), (text, indent) => {
        const value: unknown = JSON.parse(text);
        const read = readJson(JSON.stringify(value, null, indent));
        assert.deepEqual(read.problems, []);
        assert.deepEqual(read.value, value);
      }),
    );
  });

  test('accepts and rejects the same texts as JSON.parse', () => {
    const pieces = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      '"',
      'a',
      '"a"',
      ':',
      ',',
      '1',
      '-',
      '0',
      '.5',
      'e3',
      ' ',
      '\\',
      'true',
      'null',
      '\n',
      '\u0001',
      '\u00a0',
      '\u2028',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
        const text = parts.join('');
        let valid = true;
        try {
          JSON.parse(text);
        } catch {
          valid = false;
        }
        const problems = readJson(text).problems.filter(({ message }) => !message.includes('given twice'));
        assert.equal(problems.length === 0, valid, text);
      }),
      { numRuns: 2000 },
    );
  });

  test('reports the position of an error', () => {
    assert.deepEqual(readJson('{\n "a": [1,\n  2,]\n}').problems, [
      { line: 3, column: 5, message: 'a value is expected here (a string is written in double quotes)' },
    ]);
    assert.deepEqual(readJson('{"a"').problems, [{ line: 1, column: 5, message: 'the file ends too early' }]);
    assert.deepEqual(readJson('').problems, [{ line: 1, column: 1, message: 'the file ends too early' }]);
  });

  test('keeps __proto__ as a key', () => {
    const { value } = readJson('{"__proto__": {"x": 1}}');
    assert.deepEqual(Object.keys(value as object), ['__proto__']);
    assert.equal(Object.getPrototypeOf(value), Object.prototype);
  });

  test('refuses deep nesting, and stops after twenty problems', () => {
    assert.match(readJson('['.repeat(100_000)).problems[0]?.message ?? '', /more than 100 levels/);
    assert.equal(readJson(`{${'"a":1,'.repeat(1000)}"b":1}`).problems.length, 20);
  });
});

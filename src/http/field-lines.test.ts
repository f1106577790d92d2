import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FieldLines } from './field-lines.ts';

test('fields are lines for HTTP/1, and pairs for other protocols', () => {
  const lines = new FieldLines();
  assert.deepEqual([lines.text, [...lines]], ['', []]);
  lines.add('X-A', '1');
  lines.append(new FieldLines('b: two: parts\r\nC:\r\n'));
  assert.equal(lines.text, 'X-A: 1\r\nb: two: parts\r\nC:\r\n');
  assert.deepEqual(
    [...lines],
    [
      ['X-A', '1'],
      ['b', 'two: parts'],
      ['C', ''],
    ],
  );
});

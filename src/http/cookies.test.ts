import assert from 'node:assert/strict';
import { test } from 'node:test';
import { viewOf } from '../../test/helpers/asked.ts';
import { cookieValues } from './cookies.ts';

const cases: readonly (readonly [string, readonly string[]])[] = [
  ['sid=1', ['1']],
  ['a=b; sid=1; c=d', ['1']],
  ['a=b;sid=1;c=d', ['1']],
  ['sid = 1 ', ['1']],
  ['sid=a=b', ['a=b']],
  ['sid=1; sid=2', ['1', '2']],
  ['sid=', ['']],
  ['SID=1', []],
  ['xsid=1; sidx=2', []],
  ['sid', []],
  ['=sid', []],
  ['a="sid=1"', []],
  ['', []],
  [';;; ;', []],
];

for (const [text, values] of cases) {
  test(`${JSON.stringify(text)} has ${values.length} values`, () => {
    assert.deepEqual(cookieValues(viewOf(['Accept', 'sid=9'], ['Cookie', text]), 'sid'), values);
  });
}

test('cookies may come in several fields, whose name has any case', () => {
  assert.deepEqual(cookieValues(viewOf(['cookie', 'sid=1'], ['COOKIE', 'x=1; sid=2'], ['Cookies', 'sid=3']), 'sid'), [
    '1',
    '2',
  ]);
  assert.deepEqual(cookieValues(viewOf(), 'sid'), []);
});

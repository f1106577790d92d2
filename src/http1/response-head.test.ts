import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fieldsOf } from '../../test/helpers/codec.ts';
import { Framing, type HeadLimits, NEED_MORE, REFUSED } from './head.ts';
import { ResponseHead } from './response-head.ts';

const limits: HeadLimits = { headBytesMax: 1000, headFieldsMax: 10, targetBytesMax: 100 };
const lines = (...all: readonly string[]): string => `${all.join('\r\n')}\r\n\r\n`;

function read(text: string, toHead = false): ResponseHead {
  const head = new ResponseHead();
  head.toHead = toHead;
  const bytes = Buffer.from(text, 'latin1');
  assert.equal(head.read(bytes, 0, bytes.length, limits), bytes.length, head.refusal);
  return head;
}

test('a head yields status, version and fields', () => {
  const head = read(lines('HTTP/1.0 404 Not \xe4 Found', 'X-A: b', 'Retry-After: 5'));
  assert.equal(head.status, 404);
  assert.equal(head.versionMinor, 0);
  assert.equal(head.hasRetryAfter, true);
  assert.deepEqual(fieldsOf(head), [
    ['X-A', 'b'],
    ['Retry-After', '5'],
  ]);
});

test('the reason can be empty, with or without the space before it', () => {
  assert.equal(read(lines('HTTP/1.1 200 ')).status, 200);
  assert.equal(read(lines('HTTP/1.1 200')).status, 200);
  assert.equal(read(lines('HTTP/1.1 999 x')).status, 999);
});

test('a head that arrives byte by byte is incomplete until its last byte', () => {
  const head = new ResponseHead();
  const bytes = Buffer.from(lines('HTTP/1.1 200 OK', 'X: y'), 'latin1');
  for (let end = 1; end < bytes.length; end++) assert.equal(head.read(bytes, 0, end, limits), NEED_MORE);
  assert.equal(head.read(bytes, 0, bytes.length, limits), bytes.length);
});

describe('the body is framed', () => {
  const length = 'Content-Length: 5';
  const chunked = 'Transfer-Encoding: chunked';
  const cases: readonly [string, string[], boolean, Framing][] = [
    ['HTTP/1.1 200', [], false, Framing.CLOSE],
    ['HTTP/1.0 200', [], false, Framing.CLOSE],
    ['HTTP/1.1 200', [length], false, Framing.LENGTH],
    ['HTTP/1.1 200', ['Content-Length: 0'], false, Framing.NONE],
    ['HTTP/1.1 200', [chunked], false, Framing.CHUNKED],
    ['HTTP/1.1 200', [length], true, Framing.NONE],
    ['HTTP/1.1 200', [chunked], true, Framing.NONE],
    ['HTTP/1.1 200', [], true, Framing.NONE],
    ['HTTP/1.1 100', [], false, Framing.NONE],
    ['HTTP/1.1 103', [length], false, Framing.NONE],
    ['HTTP/1.1 204', [length], false, Framing.NONE],
    ['HTTP/1.1 204', [chunked], false, Framing.NONE],
    ['HTTP/1.1 205', [], false, Framing.CLOSE],
    ['HTTP/1.1 304', [length], false, Framing.NONE],
  ];
  for (const [start, fields, toHead, framing] of cases) {
    test(`by ${framing}: ${start} ${fields.join(' ')}${toHead ? ' to HEAD' : ''}`, () => {
      assert.equal(read(lines(start, ...fields), toHead).framing, framing);
    });
  }
});

test('version and Connection determine whether the connection is kept', () => {
  assert.equal(read(lines('HTTP/1.1 200')).keepAlive, true);
  assert.equal(read(lines('HTTP/1.0 200')).keepAlive, false);
  assert.equal(read(lines('HTTP/1.0 200', 'Connection: keep-alive')).keepAlive, true);
  assert.equal(read(lines('HTTP/1.1 200', 'Connection: Close')).keepAlive, false);
  assert.deepEqual(read(lines('HTTP/1.1 200', 'Connection: X-A, close, x-b')).nominated, ['x-a', 'x-b']);
});

test('refusals give the reason, and a reset clears it', () => {
  const cases: Record<string, string> = {
    'HTTP/1.1 200 OK\nX: y\r\n\r\n': 'bare line feed',
    'HTTP/1.1 200\nX: y\n\r\n': 'bare line feed',
    'HTTP/1.1 200 OK\n y\n\n': 'folded line',
    'HTTP/1.1 200 OK\rX': 'bare carriage return',
    'HTTP/1.1 200 O\0K\r\n\r\n': 'status line',
    'HTTP/1.1 2000\r\n\r\n': 'status line',
    'HTTP/1.1 099\r\n\r\n': 'status line',
    'HTTP/1.1  200\r\n\r\n': 'status line',
    'HTTP/2.1 200\r\n\r\n': 'status line',
    'HTTP/1.x 200\r\n\r\n': 'status line',
    'http/1.1 200\r\n\r\n': 'status line',
    '\r\nHTTP/1.1 200\r\n\r\n': 'status line',
    [`HTTP/1.1 200 ${'x'.repeat(1000)}`]: 'head too large',
    [lines('HTTP/1.1 200', 'Content-Length: 1', 'Content-Length: 1')]: 'two content lengths',
    [lines('HTTP/1.1 200', 'Content-Length: 1', 'Transfer-Encoding: chunked')]: 'content length with transfer encoding',
  };
  const head = new ResponseHead();
  for (const [text, why] of Object.entries(cases)) {
    head.reset();
    const bytes = Buffer.from(text, 'latin1');
    assert.equal(head.read(bytes, 0, bytes.length, limits), REFUSED, text);
    assert.equal(head.refusal, why, text);
  }
  head.reset();
  assert.equal(head.refusal, '');
  assert.equal(head.framing, Framing.NONE);
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fieldsOf } from '../../test/helpers/codec.ts';
import { errorKind } from '../base/errors.ts';
import { Field } from '../http/field-names.ts';
import { Framing, type HeadLimits, NEED_MORE, REFUSED } from './head.ts';
import { RequestHead } from './request-head.ts';

const limits: HeadLimits = { headBytesMax: 1000, headFieldsMax: 10, targetBytesMax: 100 };

function read(text: string, head = new RequestHead()): RequestHead {
  const bytes = Buffer.from(text, 'latin1');
  assert.equal(head.read(bytes, 0, bytes.length, limits), bytes.length, head.refusal);
  return head;
}

function statusOf(head: RequestHead): number {
  return errorKind(head.refusalCode).status ?? 0;
}

function refusal(text: string): [string, number] {
  const head = new RequestHead();
  const bytes = Buffer.from(text, 'latin1');
  assert.equal(head.read(bytes, 0, bytes.length, limits), REFUSED);
  return [head.refusal, statusOf(head)];
}

const lines = (...all: readonly string[]): string => `${all.join('\r\n')}\r\n\r\n`;

test('a head yields method, target, version and fields as written', () => {
  const head = read(lines('PoSt /a?b HTTP/1.1', 'HoSt: A.test', 'X-A:  two words \t', 'x-a:', 'Cookie: a=b'));
  assert.equal(head.method, 'PoSt');
  assert.equal(head.target, '/a?b');
  assert.equal(head.path, '/a?b');
  assert.equal(head.versionMinor, 1);
  assert.equal(head.authority, 'A.test');
  assert.deepEqual(fieldsOf(head), [
    ['HoSt', 'A.test'],
    ['X-A', 'two words'],
    ['x-a', ''],
    ['Cookie', 'a=b'],
  ]);
  assert.equal(head.text.slice(head.lineOffset(1), head.lineEndOffset(1)), 'X-A:  two words \t\r\n');
  assert.equal(head.text.slice(head.lineOffset(3), head.lineEndOffset(3)), 'Cookie: a=b\r\n');
  assert.equal(head.text.slice(head.firstFieldOffset, head.lineOffset(1)), 'HoSt: A.test\r\n');
});

test('a head can start anywhere in its bytes, and stops at its end', () => {
  const head = new RequestHead();
  const text = lines('GET / HTTP/1.1', 'Host: a');
  const bytes = Buffer.from(`\r\n\r\nXX${text}POST`, 'latin1');
  assert.equal(head.read(bytes, 6, bytes.length, limits), text.length);
  assert.equal(head.text, text);
});

test('a head that arrives byte by byte is incomplete until its last byte', () => {
  const head = new RequestHead();
  const bytes = Buffer.from(lines('GET /x HTTP/1.1', 'Host: a', 'X: y'), 'latin1');
  assert.equal(head.started, false);
  for (let end = 1; end < bytes.length; end++) {
    assert.equal(head.read(bytes, 0, end, limits), NEED_MORE);
    assert.equal(head.started, true);
  }
  assert.equal(head.read(bytes, 0, bytes.length, limits), bytes.length);
  assert.equal(head.target, '/x');
});

const publicState = [
  'text',
  'fieldCount',
  'refusal',
  'method',
  'target',
  'versionMinor',
  'path',
  'authority',
  'plainStartLine',
  'framing',
  'contentLength',
  'keepAlive',
  'expectContinue',
  'takesTrailers',
  'nominated',
  'refererField',
  'userAgentField',
  'debugField',
  'acceptField',
  'loopField',
  'refusalCode',
  'startLineOffset',
  'started',
] as const;

test('a head leaves nothing behind for the next one', () => {
  const head = read(
    lines(
      'POST http://a/ HTTP/1.0',
      'Host: a',
      'Connection: keep-alive, x',
      'Content-Length: 5',
      'TE: trailers',
      'X-Debug: 1',
      'Accept: x',
      'Referer: r',
      'User-Agent: u',
    ),
  );
  assert.equal(head.framing, Framing.LENGTH);
  head.reset();
  for (const name of publicState) assert.deepEqual(head[name], new RequestHead()[name], name);
  read(lines('GET / HTTP/1.1', 'Host: b'), head);
  assert.equal(head.framing, Framing.NONE);
  assert.equal(head.authority, 'b');
  assert.equal(head.nominated, null);
  assert.equal(head.keepAlive, true);
});

test('a refused head can be reset and read again', () => {
  const head = new RequestHead();
  const bad = Buffer.from('GET / HTTP/2.0\r\n\r\n');
  assert.equal(head.read(bad, 0, bad.length, limits), REFUSED);
  assert.equal(statusOf(head), 505);
  head.reset();
  assert.equal(statusOf(read(lines('GET / HTTP/1.1', 'Host: b'), head)), 400);
});

describe('keepAlive is', () => {
  const cases: readonly [string, string[], boolean][] = [
    ['HTTP/1.1', [], true],
    ['HTTP/1.0', [], false],
    ['HTTP/1.0', ['Connection: keep-alive'], true],
    ['HTTP/1.0', ['Connection: x, Keep-Alive'], true],
    ['HTTP/1.1', ['Connection: close'], false],
    ['HTTP/1.1', ['Connection: CLOSE'], false],
    ['HTTP/1.1', ['Connection: keep-alive', 'Connection: close'], false],
    ['HTTP/1.0', ['Connection: keep-alive, close'], false],
    ['HTTP/1.1', ['Connection: closed'], true],
    ['HTTP/1.1', ['Connection:'], true],
    ['HTTP/1.1', ['Connection: ,,'], true],
  ];
  for (const [version, fields, keepAlive] of cases) {
    test(`${keepAlive} after ${version} ${fields.join(' ')}`, () => {
      assert.equal(read(lines(`GET / ${version}`, 'Host: a', ...fields)).keepAlive, keepAlive);
    });
  }
});

describe('the body is framed', () => {
  const cases: readonly [string[], Framing, number][] = [
    [[], Framing.NONE, 0],
    [['Content-Length: 0'], Framing.NONE, 0],
    [['content-length:5'], Framing.LENGTH, 5],
    [['Content-Length: 9007199254740991'], Framing.LENGTH, Number.MAX_SAFE_INTEGER],
    [['Transfer-Encoding: chunked'], Framing.CHUNKED, 0],
    [['TRANSFER-ENCODING:\tChunked\t'], Framing.CHUNKED, 0],
  ];
  for (const [fields, framing, length] of cases) {
    test(`by ${framing} with ${fields.join(' ') || 'no field'}`, () => {
      const head = read(lines('POST / HTTP/1.1', 'Host: a', ...fields));
      assert.equal(head.framing, framing);
      assert.equal(head.contentLength, length);
    });
  }
});

test('an expectation counts only in HTTP/1.1', () => {
  assert.equal(read(lines('PUT / HTTP/1.1', 'Host: a', 'Expect: 100-Continue')).expectContinue, true);
  assert.equal(read(lines('PUT / HTTP/1.0', 'Host: a', 'Expect: 100-continue')).expectContinue, false);
  assert.deepEqual(refusal(lines('PUT / HTTP/1.1', 'Host: a', 'Expect: 100-continue, x')), ['expectation', 417]);
});

test('trailers are accepted if TE lists them', () => {
  for (const value of ['trailers', 'Trailers', 'gzip, trailers', 'trailers;q=0.5', 'a,\ttrailers ,b']) {
    assert.equal(read(lines('GET / HTTP/1.1', `TE: ${value}`)).takesTrailers, true, value);
  }
  for (const value of ['', 'gzip', 'xtrailers', 'trailersx']) {
    assert.equal(read(lines('GET / HTTP/1.1', `TE: ${value}`)).takesTrailers, false, value);
  }
});

test('refusals give the reason and the status', () => {
  const cases: Record<string, [string, number]> = {
    'GET / HTTP/1.1\nHost: a\r\n\r\n': ['bare line feed', 400],
    'GET / HTTP/1.1\rHost: a\r\n\r\n': ['bare carriage return', 400],
    [lines('GET / HTTP/1.1', 'X Y: a')]: ['byte in field name', 400],
    [lines('GET / HTTP/1.1', 'X: a', ' b')]: ['folded line', 400],
    [lines('GET / HTTP/1.1', 'X: a\0')]: ['control byte in field value', 400],
    [lines('GET / HTTP/1.1', 'Host: a', 'Host: a')]: ['two hosts', 400],
    [lines('CONNECT a:1 HTTP/1.1', 'Host: a:1')]: ['method', 405],
    [lines('GET / HTTP/0.9')]: ['version', 505],
    [lines('POST / HTTP/1.1', 'Transfer-Encoding: gzip, chunked')]: ['transfer encoding', 501],
    [lines('POST / HTTP/1.1', 'Transfer-Encoding: chunked, gzip')]: ['transfer encoding', 400],
    [lines('GET / HTTP/3.0')]: ['version', 505],
    [lines(`GET /${'x'.repeat(100)} HTTP/1.1`)]: ['target too long', 414],
    [lines('GET / HTTP/1.1', ...Array.from({ length: 11 }, () => 'X: y'))]: ['too many fields', 431],
    [lines('GET / HTTP/1.1', `X: ${'y'.repeat(1000)}`)]: ['head too large', 431],
    [lines(`${'G'.repeat(1000)} / HTTP/1.1`)]: ['head too large', 431],
  };
  for (const [text, expected] of Object.entries(cases)) assert.deepEqual(refusal(text), expected, text);
});

test('of fields for logs and debugging, the last one counts', () => {
  const head = read(lines('GET / HTTP/1.1', 'User-Agent: u', 'Referer: r', 'X-Debug: d', 'Accept: a', 'User-Agent: v'));
  assert.equal(head.fieldValue(head.userAgentField), 'v');
  assert.equal(head.fieldValue(head.refererField), 'r');
  assert.equal(head.fieldValue(head.debugField), 'd');
  assert.equal(head.fieldValue(head.acceptField), 'a');
  assert.equal(head.fieldNumber(0), Field.USER_AGENT);
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type ConformanceCase, forwarded, get, ok, passes, refused, replaced } from '../../conformance/case.ts';
import { judge } from '../../conformance/judge.ts';
import type { Observation } from '../../conformance/run-case.ts';
import { readRequest, readResponse, type WireMessage } from '../../conformance/wire.ts';

/** The parts of the conformance cases that decide: how bytes are read, and what counts as right. */

describe('the strict reader', () => {
  const faults: Readonly<Record<string, string>> = {
    'a length and a coding': get('/', 'Content-Length: 5', 'Transfer-Encoding: chunked'),
    'two lengths': get('/', 'Content-Length: 5', 'Content-Length: 5'),
    'the length "+5"': get('/', 'Content-Length: +5'),
    'the coding "xchunked"': get('/', 'Transfer-Encoding: xchunked'),
    'the coding "chunked, chunked"': get('/', 'Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'),
    'a coding in HTTP/1.0': 'GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n',
    'two Host fields': get('/', 'Host: a.test'),
    'no Host field': 'GET / HTTP/1.1\r\n\r\n',
    'a line without CR LF in the head': 'GET / HTTP/1.1\nHost: a.test\n\n',
    'the field line "X : y"': get('/', 'X : y'),
    'the field line " y"': get('/', 'X: y', ' y'),
    'the start line "GET  / HTTP/1.1"': 'GET  / HTTP/1.1\r\nHost: a.test\r\n\r\n',
    'the chunk size "0x5"': `${get('/', 'Transfer-Encoding: chunked')}0x5\r\n`,
    'no CR LF behind a chunk': `${get('/', 'Transfer-Encoding: chunked')}1\r\nab\r\n`,
  };
  for (const [why, bytes] of Object.entries(faults)) {
    test(`refuses ${why}`, () => assert.deepEqual(readRequest(bytes), { kind: 'bad', why }));
  }

  test('refuses a chunk size that LF alone ends', () => {
    assert.equal(readRequest(`${get('/', 'Transfer-Encoding: chunked')}5\nhello\r\n0\r\n\r\n`).kind, 'bad');
  });

  test('reads a body and its trailers, and nothing behind them', () => {
    const whole = `${get('/', 'Transfer-Encoding: chunked')}2;a\r\nhi\r\n0\r\nX: y\r\n\r\n`;
    const message = readRequest(`${whole}GET`) as WireMessage;
    assert.equal(message.body, 'hi');
    assert.deepEqual(message.trailers, [['X', 'y']]);
    assert.equal(message.length, whole.length);
    for (let at = 0; at < whole.length; at++) assert.equal(readRequest(whole.slice(0, at)).kind, 'more');
  });

  test('takes a response without a length as complete only at the end of the connection', () => {
    const bytes = 'HTTP/1.1 200 OK\r\n\r\nhi';
    assert.equal(readResponse(bytes, { toHead: false, ended: false }).kind, 'more');
    assert.equal((readResponse(bytes, { toHead: false, ended: true }) as WireMessage).body, 'hi');
    assert.equal((readResponse(bytes, { toHead: true, ended: false }) as WireMessage).body, '');
  });
});

describe('a case', () => {
  const request = readRequest(get('/', 'X-A: b')) as WireMessage;
  const final = readResponse(ok('ok', 'X-C: d'), { toHead: false, ended: false }) as WireMessage;
  const usual: Observation = {
    ...{
      requests: [request],
      backendFault: null,
      clientFault: null,
      informational: [],
      final,
      last: final,
      status: 200,
    },
    ...{ connection: 'kept', tunnel: null, poisoned: false },
    transcript: { client: { sent: '', received: '', end: 'open' }, backend: [] },
  };
  const nothing: Observation = { ...usual, requests: [], status: 400, connection: 'closed' };

  const rows: readonly (readonly [ConformanceCase['right'], Observation, string])[] = [
    [[forwarded()], usual, 'right forwarded'],
    [[refused(400), forwarded({ as: 'repaired' })], usual, 'allowed forwarded, repaired'],
    [[refused(400)], usual, 'wrong forwarded'],
    [[refused(400)], nothing, 'right 400'],
    [[refused(501)], nothing, 'wrong 400'],
    [[refused()], { ...nothing, status: null, final: null }, 'right closed'],
    [[refused(400)], { ...nothing, status: null, final: null }, 'wrong closed: no response'],
    [[refused()], { ...nothing, status: null, final: null, connection: 'no answer' }, 'wrong no answer: no response'],
    [[replaced(502)], { ...usual, status: 502 }, 'right 502'],
    [[forwarded({ fields: { 'x-a': 'b', 'x-b': null } })], usual, 'right forwarded'],
    [[forwarded({ fields: { 'x-a': null } })], usual, 'wrong forwarded: `x-a` present'],
    [[forwarded({ fields: { 'x-b': 'c' } })], usual, 'wrong forwarded: `x-b` missing'],
    [[forwarded({ fields: { 'x-a': /^c/ } })], usual, 'wrong forwarded: `x-a` differs'],
    [[forwarded({ line: 'GET /x HTTP/1.1' })], usual, 'wrong forwarded: the request line differs'],
    [[forwarded({ body: 'x' })], usual, 'wrong forwarded: the body changed'],
    [[forwarded()], { ...usual, requests: [request, request] }, 'wrong forwarded: 2 requests instead of 1'],
    [[passes({ fields: { 'x-c': 'd' }, body: 'ok', connection: 'kept' })], usual, 'right forwarded'],
    [[passes({ connection: 'closed' })], usual, 'wrong forwarded: connection kept'],
    [[passes({ informational: [103] })], usual, 'wrong forwarded: informational responses: none'],
    [[passes()], { ...usual, final: null, connection: 'closed' }, 'wrong cut off: the response is cut off'],
    [[passes({ end: 'cut off' })], { ...usual, final: null, connection: 'closed' }, 'right cut off'],
    [[passes({ end: 'cut off' })], usual, 'wrong forwarded: the response is whole'],
    [[passes()], { ...usual, poisoned: true }, "wrong forwarded: another client's request was misread"],
    [[passes()], { ...usual, connection: 'mixed up' }, 'wrong forwarded: the next request was misread'],
    [[passes()], { ...usual, connection: 'refused' }, 'wrong forwarded: the next request was refused'],
    [[refused(400)], { ...nothing, backendFault: 'two lengths' }, 'wrong forwarded: the backend got two lengths'],
    [[forwarded({ tunnel: true })], { ...usual, status: 101 }, 'wrong forwarded: no tunnel'],
  ];
  for (const [right, seen, expected] of rows) {
    test(`is ${expected}`, () => {
      const one: ConformanceCase = { id: 'x', title: 'x', source: 'x', level: 'MUST', send: get('/'), right };
      const { mark, text } = judge(one, seen);
      assert.equal(`${mark} ${text}`, expected);
    });
  }
});

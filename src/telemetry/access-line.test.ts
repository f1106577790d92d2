import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RequestHead } from '../http1/request-head.ts';
import type { EndedExchange } from '../proxy/observer.ts';
import { buildFrontend } from '../routing/record.ts';
import { accessLogSchema } from './access-fields.ts';
import { type AccessLine, hipacheLine, jsonLine } from './access-line.ts';

const limits = { headBytesMax: 32_768, headFieldsMax: 100, targetBytesMax: 8192 };
const endedAt = Date.UTC(2026, 10, 22, 9, 39, 32, 0);

/** The line for a request head given as text: status 200 after 12 ms, 11 of them in the backend. */
function lineOf(
  line: AccessLine,
  request: string,
  changes: Partial<Record<keyof EndedExchange, unknown>> = {},
): string {
  const head = new RequestHead();
  const bytes = Buffer.from(request, 'latin1');
  head.read(bytes, 0, bytes.length, limits);
  const exchange = {
    method: head.method,
    target: head.target,
    version: head.version,
    referer: head.refererField < 0 ? null : head.fieldValue(head.refererField),
    userAgent: head.userAgentField < 0 ? null : head.fieldValue(head.userAgentField),
    clientPort: 4711,
    tlsVersion: null,
    bodyBytes: 3,
    tunnelBytesReceived: 0,
    isHealthCheck: false,
    isTunnel: false,
    clientAddress: '::ffff:203.0.113.9',
    requestId: '4bf92f3577b34da6a3ce929d0e0e4736',
    frontend: buildFrontend('a.example', { frontend: ['my app'], down: new Map() }),
    backend: null,
    host: 'a.example',
    status: 200,
    bytesSent: 512,
    attempts: 1,
    startMs: 1000,
    firstAttemptMs: 1000.5,
    sentMs: 1001,
    firstByteMs: 10.25,
    endMs: 1012,
    errorCode: null,
    errorDetail: '',
    ...changes,
  };
  return line(exchange as EndedExchange, endedAt);
}

const request = 'GET /a?b=1 HTTP/1.1\r\nHost: a.example\r\nReferer: http://r/\r\nUser-Agent: UA/1\r\n\r\n';

describe("a line in Hipache's format", () => {
  it('has every part in its place', () => {
    assert.equal(
      lineOf(hipacheLine, request),
      '::ffff:203.0.113.9 - - [22/Nov/2026:09:39:31 +0000] "GET /a?b=1 HTTP/1.1" 200 512 "http://r/" "UA/1" "my app" 0.012 0.011\n',
    );
  });

  it('has the date at which the request began', () => {
    assert.match(lineOf(hipacheLine, request, { startMs: 0, endMs: 3_600_000 }), /\[22\/Nov\/2026:08:39:32 \+0000\]/);
  });

  it('writes times in their shortest form', () => {
    assert.match(lineOf(hipacheLine, request, { startMs: 0, sentMs: 500, endMs: 1000 }), / 1 0\.5\n$/);
    assert.match(lineOf(hipacheLine, request, { startMs: 5, sentMs: 0, endMs: 5 }), / 0 0\n$/);
    assert.match(lineOf(hipacheLine, request, { startMs: 0, sentMs: 1, endMs: 61_250 }), / 61\.25 61\.249\n$/);
  });

  it('has empty quotes for whatever the request or the route lacks', () => {
    const line = lineOf(hipacheLine, 'GET / HTTP/1.0\r\n\r\n', { frontend: null, status: 400 });
    assert.match(line, /"GET \/ HTTP\/1\.0" 400 512 "" "" "" /);
  });

  it('has status 499 for a client that left, and - for an unread request line', () => {
    assert.match(lineOf(hipacheLine, 'nonsense', { status: 0, frontend: null }), /"-" 499 /);
  });

  it('escapes whatever could end a quoted part or the line', () => {
    const line = lineOf(hipacheLine, 'GET /"x HTTP/1.1\r\nHost: a\r\nReferer: "\\\r\nUser-Agent: a" 200 1 "\r\n\r\n', {
      frontend: buildFrontend('a', { frontend: ['id "\n'], down: new Map() }),
    });
    assert.match(line, /"GET \/\\x22x HTTP\/1\.1" 200 512 "\\x22\\x5c" "a\\x22 200 1 \\x22" "id \\x22\\x0a" /);
    assert.equal(line.indexOf('\n'), line.length - 1);
  });
});

describe('a JSON line', () => {
  it('has what the other format has no place for', () => {
    assert.deepEqual(JSON.parse(lineOf(jsonLine, request, { errorCode: 'BACKEND_RESET', errorDetail: 'closed' })), {
      time: '2026-11-22T09:39:31.988Z',
      client: '::ffff:203.0.113.9',
      clientPort: 4711,
      requestId: '4bf92f3577b34da6a3ce929d0e0e4736',
      method: 'GET',
      host: 'a.example',
      target: '/a?b=1',
      version: '1.1',
      status: 200,
      bytes: 512,
      bytesReceived: 3,
      referer: 'http://r/',
      userAgent: 'UA/1',
      frontend: 'a.example',
      id: 'my app',
      attempts: 1,
      totalMs: 12,
      waitMs: 0.5,
      connectMs: 0.5,
      firstByteMs: 10.25,
      backendMs: 11,
      error: 'BACKEND_RESET',
      detail: 'closed',
    });
  });

  it('says the share of requests that have a line, and what a tunnel is', () => {
    const changes = {
      isTunnel: true,
      tunnelBytesReceived: 70,
      tlsVersion: 'TLSv1.3',
      clientPort: 0,
      firstByteMs: -1,
      sentMs: 0,
    };
    const line = lineOf((exchange, epochMs) => jsonLine(exchange, epochMs, 0.25), request, changes);
    const { bytesReceived, sample, tls, tunnel, ...rest } = JSON.parse(line);
    assert.deepEqual([bytesReceived, sample, tls, tunnel], [70, 0.25, 'TLSv1.3', true]);
    for (const absent of ['clientPort', 'firstByteMs', 'connectMs', 'backendMs']) assert.ok(!(absent in rest), absent);
  });

  it('has the fields of its schema, in the order of the table, and those that must be there', () => {
    const { properties, required } = accessLogSchema() as { properties: object; required: string[] };
    const all = {
      errorCode: 'BACKEND_RESET',
      errorDetail: 'x',
      isTunnel: true,
      tlsVersion: 'TLSv1.3',
      backend: { url: 'http://b' },
    };
    const full = JSON.parse(lineOf((exchange, epochMs) => jsonLine(exchange, epochMs, 0.5), request, all));
    assert.deepEqual(Object.keys(full), Object.keys(properties));
    const bare = { frontend: null, firstAttemptMs: 0, sentMs: 0, firstByteMs: -1, clientPort: 0 };
    assert.deepEqual(Object.keys(JSON.parse(lineOf(jsonLine, 'GET / HTTP/1.1\r\n\r\n', bare))), required);
  });

  it('is ASCII, whatever the client sent', () => {
    const line = lineOf(jsonLine, 'GET /\xe9 HTTP/1.1\r\nHost: a\r\nUser-Agent: \xff"\r\n\r\n');
    assert.match(line, /^[\x20-\x7e]*\n$/);
    assert.equal(JSON.parse(line).target, '/\xe9');
    assert.equal(JSON.parse(line).userAgent, '\xff"');
  });

  it('can be shortened: truncated texts end in dots, and JSON stays valid', () => {
    const long = 'x'.repeat(6000);
    const request = `GET /${long} HTTP/1.1\r\nHost: a.example\r\nReferer: ${'\xe9'.repeat(5000)}\r\nUser-Agent: ${'"'.repeat(5000)}\r\n\r\n`;
    const changes = { errorDetail: long, host: 'a.example' };
    for (const [line, charsMax] of [
      [hipacheLine, 60],
      [jsonLine, 60],
    ] as const) {
      const text = lineOf((exchange, epochMs) => line(exchange, epochMs, 1, charsMax), request, changes);
      assert.ok(text.length <= 4096, `${text.length}`);
      assert.match(text, /\/x{59}\.\.\./);
      if (line === jsonLine) assert.equal(JSON.parse(text).detail, `${'x'.repeat(60)}...`);
    }
  });
});

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { get, Rig, request, response } from '../../test/helpers/rig.ts';
import { trusted } from '../../test/helpers/test-proxy.ts';
import { until } from '../../test/helpers/until.ts';
import { type ErrorCode, errorKinds } from '../base/errors.ts';
import { ErrorPages } from './error-pages.ts';
import { type LocalReplyShape, localReplyFor, localReplyText } from './local-reply.ts';

const shape: LocalReplyShape = {
  versionMinor: 1,
  isHead: false,
  accept: '',
  page: null,
  keepAlive: true,
  epochMs: 0,
  added: null,
};

const unknown = 'GET / HTTP/1.1\r\nHost: unknown.test\r\n';

/** A directory of pages that is removed after the test. */
function directory(t: TestContext, files: Readonly<Record<string, string>>): string {
  const path = mkdtempSync(join(tmpdir(), 'hipache-pages-'));
  t.after(() => rmSync(path, { recursive: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text, 'latin1');
  return path;
}

/** The lines of a response's head, and its body. */
function parse(received: string): { status: string; lines: string[]; body: string } {
  const [head = '', ...rest] = received.split('\r\n\r\n');
  const [status = '', ...lines] = head.split('\r\n');
  return { status, lines, body: rest.join('\r\n\r\n') };
}

describe('local replies', () => {
  const texts: [string, string, string, ErrorCode][] = [
    ['GET / HTTP/1.1\r\n\r\n', '400 Bad Request', 'no host header', 'HOST_MISSING'],
    ['GET / HTTP/1.1\r\nHost:\r\n\r\n', '400 Bad Request', 'no host header', 'HOST_MISSING'],
    [`${unknown}\r\n`, '400 Bad Request', 'frontend not found', 'ROUTE_NOT_FOUND'],
    ['GET / HTTP/1.1\r\nHost: empty.test\r\n\r\n', '502 Bad Gateway', 'Cannot find a valid backend', 'BACKEND_NONE'],
    ['GET / HTTP/1.1\r\nHost: a@b\r\n\r\n', '400 Bad Request', 'bad request: host', 'REQUEST_INVALID'],
    [get('/', 'Host: a.test'), '400 Bad Request', 'bad request: two hosts', 'REQUEST_INVALID'],
    [request('CONNECT a:1 HTTP/1.1'), '405 Method Not Allowed', 'method not allowed', 'REQUEST_METHOD'],
    [get('/', 'Expect: x'), '417 Expectation Failed', 'expectation failed', 'REQUEST_EXPECTATION'],
    [request('GET / HTTP/3.0'), '505 HTTP Version Not Supported', 'HTTP version not supported', 'REQUEST_VERSION'],
  ];
  for (const [sent, status, text, code] of texts) {
    test(`${code}: ${status}, ${text}`, async (t) => {
      const rig = await Rig.start(t);
      rig.proxy.route('empty.test', []);
      const client = await rig.send(sent);
      await client.expect(text);
      const got = parse(client.received);
      assert.equal(got.status, `HTTP/1.1 ${status}`);
      assert.equal(got.body, text);
      const expected = ['content-type: text/html', 'cache-control: no-cache', 'pragma: no-cache', 'expires: -1'];
      for (const line of [...expected, `content-length: ${text.length}`, `x-hipache-error: ${code}`]) {
        assert.ok(got.lines.includes(line), line);
      }
      assert.equal(got.lines.filter((line) => line.startsWith('date: ')).length, 1);
      assert.equal(rig.proxy.ended[0]?.errorCode, code);
    });
  }

  test('keep the connection if the request was complete', async (t) => {
    const rig = await Rig.start(t);
    rig.backend.serve(() => response('served'));
    const client = await rig.send(`${unknown}Content-Length: 5\r\n\r\nhello${get('/')}`);
    await client.expect('served');
    assert.deepEqual(client.statuses, [400, 200]);
    assert.doesNotMatch(client.received, /connection:/i);
  });

  test('end the connection if the request was incomplete', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.send(`${unknown}Content-Length: 5\r\n\r\nhell`);
    await client.untilEnded();
    assert.match(client.received, /\r\nconnection: close\r\n/);
    assert.deepEqual(client.statuses, [400]);
  });

  test('to HEAD have a length but no body', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.send(`HEAD / HTTP/1.1\r\nHost: unknown.test\r\n\r\n${unknown}\r\n`);
    await client.expect('frontend not found');
    assert.match(client.received, /content-length: 18\r\n(.*\r\n)*\r\nHTTP\/1\.1 400/);
  });

  test('are HTTP/1.0 for a client of that version', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.send('GET / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n');
    await client.untilEnded();
    assert.match(client.received, /^HTTP\/1\.0 400 .*connection: keep-alive\r\n.*HTTP\/1\.0 400 .*connection: close/s);
  });

  test('have status 503 if the routes are unavailable', async (t) => {
    const rig = await Rig.start(t, { beforeLoad: () => Promise.reject(new Error('the store is down')) });
    const client = await rig.send(get('/'));
    await client.expect('routes are not available');
    assert.deepEqual(client.statuses, [503]);
    assert.match(client.received, /\r\nx-hipache-error: STORE_UNAVAILABLE\r\n/);
    assert.doesNotMatch(client.received, /away/);
  });

  test('answer __ping__ with ok, without a route or a backend', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.send('GET /x HTTP/1.1\r\nHost: __ping__\r\n\r\nHEAD / HTTP/1.1\r\nHost: __ping__\r\n\r\n');
    await client.expect(/ok.*\r\n\r\n/s);
    await rig.proxy.untilQuiet();
    assert.deepEqual(client.statuses, [200, 200]);
    assert.match(client.received, /^HTTP\/1\.1 200 OK\r\ncontent-type: text\/plain\r\n.*\r\n\r\nokHTTP/s);
    assert.doesNotMatch(client.received, /x-hipache-error/);
    assert.equal(rig.backend.peers.length + rig.proxy.lookups.length, 0);
    assert.equal(rig.proxy.ended[0]?.errorCode, null);
  });

  test('have a reason phrase for the status of every code', () => {
    for (const [code, kind] of errorKinds) {
      if (kind.status === null) continue;
      const { status, text } = localReplyFor(code);
      assert.ok(status >= 400 && status <= 508);
      assert.match(localReplyText(localReplyFor(code), code, shape), /^HTTP\/1\.1 \d{3} (?!Unknown)[A-Z]/);
      assert.match(text, /^[A-Za-z ]+$/);
    }
  });
});

describe('the body of an error follows the Accept field', () => {
  const shown = { status: 502, text: 'no luck' };
  const page = '<p>page</p>';
  const json = '{"status":502,"error":"BACKEND_NONE","message":"no luck"}\n';
  const cases: [string, string | null, string, string][] = [
    ['', page, 'text/html', page],
    ['', null, 'text/html', 'no luck'],
    ['*/*', page, 'text/html', page],
    ['text/html, application/json', page, 'text/html', page],
    ['application/json', page, 'application/json', json],
    ['Application/JSON; q=1', page, 'application/json', json],
    ['application/problem+json, */*', page, 'application/json', json],
    ['application/vnd.x.y+json', page, 'application/json', json],
    ['application/jsonp', page, 'text/html', page],
    ['text/plain', page, 'text/plain', 'no luck\n'],
    ['image/png', page, 'text/html', page],
  ];
  for (const [accept, given, contentType, body] of cases) {
    test(`${accept || 'no Accept'}${given === null ? ', no page' : ''}: ${contentType}`, () => {
      const got = parse(localReplyText(shown, 'BACKEND_NONE', { ...shape, accept, page: given }));
      assert.equal(got.body, body);
      assert.ok(got.lines.includes(`content-type: ${contentType}`));
    });
  }

  test('on the wire too', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.send(`${unknown}Accept: application/json\r\n\r\n${unknown}\r\n`);
    await client.expect('frontend not found"}\n');
    assert.match(client.received, /content-type: application\/json\r\n.*\{"status":400,"error":"ROUTE_NOT_FOUND"/s);
    // Each request accepts something different.
    await client.expect(/text\/html\r\n.*\r\n\r\nfrontend not found$/s);
  });
});

describe('error pages', () => {
  test('are that of the status, else the default one, else the text', async (t) => {
    const pages = new ErrorPages(
      directory(t, { 'error_400.html': '<p>\xe4400</p>', 'error_default.html': 'all else' }),
      () => {},
    );
    const rig = await Rig.start(t, { pages });
    rig.proxy.route('empty.test', []);
    const client = await rig.send(`${unknown}\r\nGET / HTTP/1.1\r\nHost: empty.test\r\n\r\n`);
    await client.expect('all else');
    assert.match(client.received, /content-length: 11\r\n.*\r\n\r\n<p>\xe4400<\/p>HTTP\/1\.1 502 .*\r\n\r\nall else$/s);
    assert.equal(new ErrorPages(directory(t, {}), () => {}).page(400), null);
  });

  test('for a code take precedence; the built-in ones say what is wrong', async (t) => {
    const pages = new ErrorPages(
      directory(t, { 'error_400.html': 'by status', 'error_HOST_MISSING.html': 'by code' }),
      assert.fail,
    );
    assert.equal(pages.page(400, 'HOST_MISSING'), 'by code');
    assert.equal(pages.page(400, 'ROUTE_NOT_FOUND'), 'by status');
    assert.equal(pages.page(400, 'REQUEST_INVALID'), 'by status');
    const own = new ErrorPages(fileURLToPath(new URL('../../pages', import.meta.url)), assert.fail);
    assert.match(own.page(400, 'ROUTE_NOT_FOUND') ?? '', /Unknown application/);
    assert.match(own.page(400, 'REQUEST_INVALID') ?? '', /Malformed request/);
    assert.match(own.page(400, 'HOST_MISSING') ?? '', /No host/);
  });

  test('are reloaded when they change, appear and vanish', async (t) => {
    const path = directory(t, { 'error_400.html': 'before', 'other.html': 'x', 'error_40.html': 'y' });
    const pages = new ErrorPages(path, assert.fail);
    pages.watch();
    t.after(() => pages.close());
    assert.equal(pages.page(400), 'before');
    assert.equal(pages.page(404), null);
    writeFileSync(join(path, 'error_400.html'), 'after');
    await until('the changed page', () => pages.page(400) === 'after');
    writeFileSync(join(path, 'error_default.html'), 'default');
    await until('the new page', () => pages.page(404) === 'default');
    rmSync(join(path, 'error_400.html'));
    await until('the page to be gone', () => pages.page(400) === 'default');
  });

  test('that are too large are reported and ignored; the previous page stays', async (t) => {
    const path = directory(t, { 'error_400.html': 'before', 'error_502.html': 'x'.repeat(1024 * 1024 + 1) });
    const problems: string[] = [];
    const pages = new ErrorPages(path, (problem) => problems.push(problem));
    pages.watch();
    t.after(() => pages.close());
    assert.match(problems.join(), /ignoring page .*error_502\.html: larger than 1048576 bytes/);
    assert.equal(pages.page(502), null);
    problems.length = 0;
    writeFileSync(join(path, 'error_400.html'), 'x'.repeat(1024 * 1024 + 1));
    await until('the problem', () => problems.some((problem) => problem.includes('error_400')));
    assert.equal(pages.page(400), 'before');
  });

  test('from a missing directory are an error', () => {
    assert.throws(() => new ErrorPages('/nonexistent-pages', () => {}), { code: 'ENOENT' });
  });
});

describe('debug fields', () => {
  const settings = { trustedProxies: trusted('127.0.0.1') };

  test('are sent to trusted peers that ask for them, with a backend response', async (t) => {
    const rig = await Rig.start(t, { settings });
    rig.backend.serve(() => response('hello'));
    const client = await rig.send(get('/', 'X-Debug: 1'));
    await client.expect('hello');
    const { lines } = parse(client.received);
    for (const line of [
      'x-debug-version-hipache: test',
      `x-debug-backend-url: ${rig.backend.url}`,
      'x-debug-backend-id: 0',
      'x-debug-vhost: a.test',
      'x-debug-frontend-key: a.test',
    ]) {
      assert.ok(lines.includes(line), line);
    }
    assert.match(client.received, /\r\nx-debug-time-total: \d+\r\nx-debug-time-backend: \d+\r\n/);
    client.send(get('/'));
    await client.expect(/hello.*hello/s);
    assert.equal(client.received.match(/x-debug-version/g)?.length, 1);
  });

  test('are sent with local errors too', async (t) => {
    const rig = await Rig.start(t, { settings });
    rig.proxy.route('b.test', ['http://127.0.0.1:1']);
    const client = await rig.send(
      `${unknown}X-Debug: 1\r\n\r\nGET / HTTP/1.1\r\nHost: B.test:80\r\nX-Debug: 1\r\n\r\n`,
    );
    await client.expect('Reached max retries limit\r\n');
    assert.match(
      client.received,
      /\r\nx-debug-frontend-key: unknown\.test\r\n.*\r\nx-debug-error: frontend not found\r\n/s,
    );
    assert.match(client.received, /x-debug-backend-url: http:\/\/127\.0\.0\.1:1\r\nx-debug-backend-id: 0\r\n/);
    assert.match(client.received, /\r\nx-debug-error: Reached max retries limit\r\n/);
  });

  test('are not sent to anyone else', async (t) => {
    const rig = await Rig.start(t);
    rig.backend.serve(() => response('hello'));
    const client = await rig.send(`${get('/', 'X-Debug: 1')}${unknown}X-Debug: 1\r\n\r\n`);
    await client.expect('frontend not found');
    assert.doesNotMatch(client.received, /x-debug/i);
  });

  test('replace line ends and other alphabets in texts of a record', async (t) => {
    const rig = await Rig.start(t, { settings });
    rig.backend.serve(() => response('hello'));
    rig.proxy.route('a.test', [rig.backend.url], 'x\r\nset-cookie: \u4e2d');
    const client = await rig.send(get('/', 'X-Debug: 1'));
    await client.expect('hello');
    assert.match(client.received, /\r\nx-debug-vhost: x\?\?set-cookie: \?\r\n/);
  });
});

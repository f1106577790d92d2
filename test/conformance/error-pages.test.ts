import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { ErrorPages } from '../../src/proxy/error-pages.ts';
import { RawBackend } from '../helpers/raw-backend.ts';
import { get, Rig, type RigOptions, request, response } from '../helpers/rig.ts';
import { trusted } from '../helpers/test-proxy.ts';
import { until } from '../helpers/until.ts';

/** The pages of the instance. */
const pages = { page: () => '<p>of the instance' } as unknown as ErrorPages;

/** The host `a.test` with this error page, down for maintenance. */
async function start(t: TestContext, errorPage: string, options: RigOptions = {}): Promise<Rig> {
  const rig = await Rig.start(t, { pages, ...options });
  rig.proxy.options('a.test', { errorPage, maintenance: 'on' });
  return rig;
}

describe('an error page that is a text', () => {
  const page = '<!doctype html><title>é {status}</title>{code} {host} {requestId} {color:red}';

  test('is the body of the replies of the proxy to clients that take HTML', async (t) => {
    const rig = await start(t, page);
    const received = await rig.ask(get('/', 'Accept: text/html'));
    const [head = '', body = ''] = received.split('\r\n\r\n');
    assert.match(
      head,
      /^HTTP\/1\.1 503 .*\r\ncontent-type: text\/html; charset=utf-8\r\n.*\r\nx-hipache-error: MAINT/s,
    );
    const [, id] = /\r\nx-request-id: ([0-9a-f]{32})/.exec(head) ?? [];
    assert.equal(
      Buffer.from(body, 'latin1').toString(),
      `<!doctype html><title>é 503</title>MAINTENANCE a.test ${id} {color:red}`,
    );
    assert.match(head, new RegExp(`\\r\\ncontent-length: ${body.length}\\r\\n`));
    const none = await rig.ask(request('HEAD / HTTP/1.1'));
    assert.match(none, /\r\ncontent-length: \d+\r\n.*\r\n\r\n$/s);
    assert.match(await rig.ask(get('/', 'Accept: application/json')), /\r\n\r\n\{"status":503,.*\}\n$/s);
    assert.match(await rig.ask(get('/', 'Accept: text/plain')), /\r\n\r\ndown for maintenance\n$/s);
  });

  test('is that of a request that fails at its backends too', async (t) => {
    const rig = await start(t, page);
    rig.proxy.route('a.test', ['http://127.0.0.1:1']);
    rig.proxy.options('a.test', { errorPage: '<p>{code}' });
    assert.match(await rig.ask(get('/')), /^HTTP\/1\.1 502 .*\r\n\r\n<p>BACKEND_CONNECT_REFUSED$/s);
  });

  test('is not that of redirects, responses of backends and auth servers, and the health of the proxy', async (t) => {
    const rig = await start(t, page);
    const auth = await RawBackend.start();
    t.after(() => auth.stop());
    auth.serve(() => response('log in', '403 Forbidden'));
    rig.backend.serve(() => response('broken', '500 Oh'));
    const errorPage = '<p>page';
    rig.proxy.options('a.test', { errorPage });
    assert.match(await rig.ask(get('/')), /^HTTP\/1\.1 500 .*broken$/s);
    rig.proxy.options('a.test', { errorPage, https: 'redirect' });
    assert.doesNotMatch(await rig.ask(get('/')), /page/);
    rig.proxy.options('a.test', { errorPage, forwardAuth: auth.url });
    assert.match(await rig.ask(get('/')), /^HTTP\/1\.1 403 .*log in$/s);
    const ping = await rig.send('GET / HTTP/1.1\r\nHost: __ping__\r\n\r\n');
    await ping.expect(/^HTTP\/1\.1 200 .*ok$/s);
  });

  test('lets nobody write HTML into it', async (t) => {
    const rig = await start(t, page, { settings: { trustedProxies: trusted('127.0.0.1') } });
    const received = await rig.ask(get('/', 'X-Request-Id: "><script>&\''));
    assert.match(received, /&#34;&#62;&#60;script&#62;&#38;&#39; \{color/);
    assert.doesNotMatch(received.slice(received.indexOf('\r\n\r\n')), /<script/);
  });

  test('of up to 65,536 characters is served whole', async (t) => {
    const rig = await start(t, `<p>${'ü'.repeat(65_533)}`);
    const received = await rig.ask(get('/'));
    assert.equal(received.length - received.indexOf('\r\n\r\n') - 4, 3 + 2 * 65_533);
  });
});

describe('an error page that is a URL', () => {
  async function server(t: TestContext, page: string): Promise<RawBackend> {
    const found = await RawBackend.start();
    t.after(() => found.stop());
    found.serve(() => page);
    return found;
  }

  test('is fetched once it is needed; until then the page of the instance serves', async (t) => {
    const from = await server(t, response('<p>sorry: {code}', '200 OK', 'Content-Type: text/html;charset=utf-8'));
    const rig = await start(t, `${from.url}/errors/{status}.html?{code}`);
    assert.match(await rig.ask(get('/')), /<p>of the instance$/);
    await until('the page', async () => /<p>sorry: MAINTENANCE$/.test(await rig.ask(get('/'))));
    assert.match(await rig.ask(get('/')), /\r\ncontent-type: text\/html; charset=utf-8\r\n/);
    assert.equal(from.requests.length, 1);
    assert.match(from.received, /^GET \/errors\/503\.html\?MAINTENANCE HTTP\/1\.1\r\n/);
    assert.match(from.received, /\r\nCDN-Loop: hipache\r\n/);
  });

  test('that is too long, or whose server hangs, holds up no reply', async (t) => {
    const long = await server(t, response('x'.repeat(70_000), '200 OK', 'Content-Type: text/html'));
    const silent = await server(t, '');
    const rig = await start(t, long.url);
    assert.match(await rig.ask(get('/')), /<p>of the instance$/);
    await until('the warning', () => rig.proxy.warnings.length === 1);
    assert.match(rig.proxy.warnings[0] ?? '', /an error page of a host cannot be fetched .*longer than 65536 bytes/);
    assert.match(await rig.ask(get('/')), /<p>of the instance$/);
    rig.proxy.options('a.test', { errorPage: silent.url, maintenance: 'on' });
    for (let i = 0; i < 3; i++) assert.match(await rig.ask(get('/')), /<p>of the instance$/);
    await until('the fetch', () => silent.requests.length === 1);
  });
});

test('a path without a route has the page of its host', async (t) => {
  const rig = await Rig.start(t, { pages });
  rig.proxy.options('a.test', { errorPage: '<p>{code} at {host}', paths: '/gone' });
  assert.match(await rig.ask(get('/gone/x')), /^HTTP\/1\.1 400 .*<p>ROUTE_NOT_FOUND at a\.test$/s);
  assert.match(await rig.ask(get('//gone')), /^HTTP\/1\.1 400 .*<p>REQUEST_INVALID at a\.test$/s);
  assert.equal(rig.proxy.frontend('a.test').load.inFlight, 0);
});

describe('a host without a route', () => {
  const unknown = 'GET / HTTP/1.1\r\nHost: unknown.test\r\nAccept: text/html\r\n\r\n';

  test('has the page of the wildcards that cover it', async (t) => {
    const rig = await Rig.start(t, { pages });
    assert.match(await rig.ask(unknown), /<p>of the instance$/);
    rig.proxy.optionsWithoutRoute({ errorPage: '<p>{host} is not here' });
    assert.match(await rig.ask(unknown), /^HTTP\/1\.1 400 .*<p>unknown\.test is not here$/s);
    const hops = Array.from({ length: 10 }, () => 'CDN-Loop: hipache');
    assert.match(await rig.ask(get('/', ...hops)), /^HTTP\/1\.1 508 .*<p> is not here$/s);
    // One without a host, and one that is no HTTP.
    assert.match(await rig.ask('GET / HTTP/1.1\r\n\r\n'), /^HTTP\/1\.1 400 .*<p> is not here$/s);
    assert.match(await rig.ask('GET / HTTP/1.1\r\nHost: a\r\nA B: c\r\n\r\n'), /^HTTP\/1\.1 400 .*<p> is not here$/s);
  });
});

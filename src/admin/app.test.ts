import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { describe, test } from 'node:test';
import { makeAdminToken } from '../operations/admin-token.ts';
import { AdminApi } from './admin-api.suite.ts';

const backends = ['http://10.0.0.1'];

describe('the admin API', () => {
  test('makes, shows, lists and removes a route', async (t) => {
    const api = await AdminApi.start(t);
    const made = await api.ask('PUT', '/v1/routes/a.test', { backends, id: 'shop' });
    assert.deepEqual([made.status, made.json['action'], made.json['pattern']], [200, 'created', 'a.test']);
    assert.equal(made.headers.etag, `"${made.json['version']}"`);
    const shown = await api.ask('GET', '/v1/routes/a.test');
    assert.deepEqual([shown.json['id'], shown.headers.etag], ['shop', made.headers.etag]);
    const listed = await api.ask('GET', '/v1/routes');
    assert.deepEqual(listed.json, { routes: [{ pattern: 'a.test', id: 'shop', backends }], next: null });
    assert.equal((await api.ask('DELETE', '/v1/routes/a.test')).json['left'], null);
    assert.equal((await api.ask('GET', '/v1/routes/a.test')).status, 404);
  });

  test('takes a host with a path, a wildcard and odd characters as one segment', async (t) => {
    const api = await AdminApi.start(t);
    for (const host of ['a.test/api', '*.b.test', '*']) {
      const path = `/v1/routes/${encodeURIComponent(host)}`;
      assert.equal((await api.ask('PUT', path, { backends })).json['pattern'], host);
      assert.equal((await api.ask('GET', path)).json['pattern'], host);
    }
    for (const host of ['%00', 'a%0d%0ab', '..%2f..', '%F0%9F%98%80', 'a'.repeat(2000), '%E0%A4%A']) {
      const { json: problem, status } = await api.ask('GET', `/v1/routes/${host}`);
      assert.ok(status === 422 || status === 400 || status === 404, `${host}: ${status}`);
      assert.equal(typeof problem['detail'], 'string', host);
    }
  });

  test('has pages, and finds what begins like a text', async (t) => {
    const api = await AdminApi.start(t);
    const hosts = ['app.test', 'app1.test', 'app2.test', 'apple.test', 'zoo.test'];
    await api.ask('POST', '/v1/changes', { changes: hosts.map((set) => ({ set, backends })) });
    const patterns = async (query: string): Promise<[patterns: string[], next: unknown]> => {
      const { json: page } = await api.ask('GET', `/v1/routes?${query}`);
      return [(page['routes'] as { pattern: string }[]).map(({ pattern }) => pattern), page['next']];
    };
    assert.deepEqual(await patterns('limit=2'), [['app.test', 'app1.test'], 'app1.test']);
    assert.deepEqual(await patterns('limit=3&after=app2.test'), [['apple.test', 'zoo.test'], null]);
    assert.deepEqual(await patterns('prefix=app&limit=2&after=app1.test'), [['app2.test', 'apple.test'], 'apple.test']);
    assert.deepEqual(await patterns('prefix=app&limit=2&after=apple.test'), [[], null]);
    assert.deepEqual(await patterns('prefix=app.test'), [['app.test'], null]);
    assert.deepEqual(await patterns('prefix=none'), [[], null]);
  });

  test('makes a change only of the version that it was given', async (t) => {
    const api = await AdminApi.start(t);
    const path = '/v1/routes/a.test';
    const first = await api.ask('PUT', path, { backends }, { 'if-none-match': '*' });
    assert.equal(first.status, 200);
    const again = await api.ask('PUT', path, { backends }, { 'if-none-match': '*' });
    assert.deepEqual([again.status, again.json['code']], [412, 'CONFLICT']);
    const second = await api.ask('PUT', path, { backends: ['http://b'] }, { 'if-match': first.headers.etag ?? '' });
    assert.equal(second.status, 200);
    const late = await api.ask('DELETE', path, null, { 'if-match': first.headers.etag ?? '' });
    assert.equal(late.status, 412);
    assert.equal((await api.ask('GET', path)).headers.etag, second.headers.etag);
    for (const headers of [{ 'if-match': 'x' }, { 'if-match': '"a", "b"' }, { 'if-none-match': '"a"' }]) {
      assert.equal((await api.ask('PUT', path, { backends }, headers)).status, 400, JSON.stringify(headers));
    }
  });

  test('waits until a change is live', async (t) => {
    const api = await AdminApi.start(t);
    const { json: made } = await api.ask('PUT', '/v1/routes/a.test?wait=5', { backends });
    assert.deepEqual([made['action'], (made['live'] as { instances: number }).instances], ['created', 0]);
    const wrong = await api.ask('PUT', '/v1/routes/a.test?wait=x', { backends });
    assert.deepEqual([wrong.status, wrong.json['detail']], [400, 'wait: found "x", allowed 0 to 3600 seconds']);
  });

  test('sends the steps of a deploy as events, or the result alone', async (t) => {
    const backend = createServer((_asked, response) => response.end()).listen(0, '127.0.0.1');
    t.after(() => backend.close());
    await new Promise((resolve) => backend.once('listening', resolve));
    const url = `http://127.0.0.1:${(backend.address() as AddressInfo).port}`;
    const api = await AdminApi.start(t);
    const events = await api.ask(
      'POST',
      '/v1/routes/a.test/deploy',
      { backends: [url] },
      { accept: 'text/event-stream' },
    );
    assert.deepEqual(
      [...events.text.matchAll(/^event: (.*)\ndata: (.*)$/gm)].map(([, event, data = '']) => [
        event,
        JSON.parse(data).step ?? JSON.parse(data).action,
      ]),
      [
        ['step', 'probed'],
        ['step', 'swapped'],
        ['step', 'live'],
        ['result', 'deployed'],
      ],
    );
    const settings = { backends: ['http://127.0.0.1:1'], healthTimeout: '200ms' };
    const failed = await api.ask('POST', '/v1/routes/a.test/deploy', settings, { accept: 'text/event-stream' });
    assert.match(failed.text, /\nevent: problem\ndata: \{"status":422,"code":"DEPLOY_UNHEALTHY",/);
    const whole = await api.ask('POST', '/v1/routes/a.test/deploy', { backends: [url] });
    assert.deepEqual([whole.status, whole.json['action']], [200, 'deployed']);
    const wrong = await api.ask('POST', '/v1/routes/a.test/deploy', { backends: [url], healthTimeout: 'soon' });
    assert.match(String(wrong.json['detail']), /^healthTimeout: found "soon", allowed a time/);
  });

  test('sums the traffic of the workers, and of hosts that only one of them has', async (t) => {
    const none = { requests: 0, errors: 0, clientErrors: 0, tunnels: 0, bytes: 0, durations: null };
    const figures = (label: string, requests: number, lastMs: number) => ({
      ...{ label, lastMs },
      total: { ...none, requests: 10 * requests, bytes: 1000 },
      recent: { ...none, requests, errors: 1, durations: [requests, 0, 0] },
    });
    const worker = (number: number, hosts: ReturnType<typeof figures>[]) => ({
      ...{ worker: number, sinceMs: 1000 * number, windowMs: 10_000, boundsMs: [10, 20] },
      ...{ all: figures('', 100, 5000), hosts, backends: [figures('http://10.0.0.1', 50, 0)] },
    });
    const statistics = [
      worker(1, [figures('a.test', 20, 7000), figures('b.test', 30, 0)]),
      worker(2, [figures('a.test', 20, 9000)]),
    ];
    const api = await AdminApi.start(t, { statistics });
    const { json: listed } = await api.ask('GET', '/v1/traffic?limit=1&order=rate');
    assert.deepEqual(
      [listed['since'], listed['workers'], listed['windowSeconds']],
      ['1970-01-01T00:00:01.000Z', 2, 10],
    );
    assert.equal((listed['all'] as { requestsPerSecond: number }).requestsPerSecond, 20);
    assert.deepEqual(listed['hosts'], [
      {
        ...{ name: 'a.test', requestsPerSecond: 4, errorsPerSecond: 0.2, bytesPerSecond: 0, p50Ms: 5, p99Ms: 9.9 },
        ...{ requests: 400, errors: 0, clientErrors: 0, tunnels: 0, bytes: 2000, last: '1970-01-01T00:00:09.000Z' },
      },
    ]);
    await api.ask('PUT', '/v1/routes/a.test', { backends: ['http://10.0.0.1#weight=2', 'http://10.0.0.2'] });
    const { json: shown } = await api.ask('GET', '/v1/traffic/a.test');
    assert.deepEqual(
      (shown['backends'] as { name: string; requests: number }[]).map(({ name, requests }) => [name, requests]),
      [
        ['http://10.0.0.1', 1000],
        ['http://10.0.0.2', 0],
      ],
    );
    assert.equal((await api.ask('GET', '/v1/traffic/none.test')).status, 404);
    assert.match(String((await api.ask('GET', '/v1/traffic?order=x')).json['detail']), /^order: /);
    const silent = await AdminApi.start(t);
    await silent.ask('PUT', '/v1/routes/a.test', { backends });
    assert.equal((await silent.ask('GET', '/v1/traffic')).json['code'], 'INSTANCE_UNREACHABLE');
  });

  test('logs every change and attempt, and nobody who looks', async (t) => {
    const { entry, token } = makeAdminToken('panel', 'write');
    const api = await AdminApi.start(t, { onAddress: true, admin: { tokens: [entry] } });
    const headers = { authorization: `Bearer ${token}` };
    await api.ask('PUT', '/v1/routes/a.test', { backends }, headers);
    await api.ask('PUT', '/v1/routes/a.test', { backends: ['x'] }, headers);
    await api.ask('GET', '/v1/routes', null, headers);
    const common = { by: 'panel', from: '127.0.0.1', operation: 'setRoute', host: 'a.test' };
    assert.deepEqual(
      api.logged.map(({ fields }) => fields),
      [
        { ...common, result: 'done' },
        { ...common, result: 'COMMAND_INVALID' },
      ],
    );
  });
});

describe('a request that is wrong', () => {
  const wrong: Readonly<
    Record<string, readonly [method: string, path: string, body: unknown, status: number, detail: RegExp]>
  > = {
    'with an unknown field': ['PUT', '/v1/routes/a.test', { backend: [] }, 422, /"backend"; did you mean backends\?/],
    'with a field of another type': ['PUT', '/v1/routes/a.test', { backends: 'x' }, 422, /^backends: /],
    'without a field': ['PUT', '/v1/routes/a.test', {}, 422, /^backends: /],
    'without a body': ['PUT', '/v1/routes/a.test', null, 422, /^backends: /],
    'that is not JSON': ['PUT', '/v1/routes/a.test', '{', 400, /^the body is not JSON: /],
    'that is no object': ['PUT', '/v1/routes/a.test', '[]', 400, /not a JSON object/],
    'with a field twice': ['PUT', '/v1/routes/a.test', { host: 'b.test', backends }, 400, /host is in the path/],
    'with a field in the query': ['PUT', '/v1/routes/a.test?backends=x', { backends }, 400, /"backends" in the query/],
    'with an unknown parameter': ['GET', '/v1/routes?limits=5', null, 422, /"limits"; did you mean limit\?/],
    'to remove, with a body': ['DELETE', '/v1/routes/other.test', { backends }, 400, /^DELETE takes no body/],
    'with a number that is none': ['GET', '/v1/routes?limit=x', null, 400, /^limit: found "x", allowed a number/],
    'with a parameter twice': ['GET', '/v1/routes?limit=1&limit=2', null, 400, /limit is given 2 times/],
    'with a page that is too large': ['GET', '/v1/routes?limit=1000000', null, 422, /^limit: /],
    'of an unknown path': ['GET', '/v1/route', null, 404, /there is no \/v1\/route; .*openapi\.json/],
    'of an unknown method': ['POST', '/v1/routes/a.test', {}, 405, /takes GET, PUT, DELETE$/],
    'of an unknown host': ['GET', '/v1/routes/a.test', null, 404, /a\.test has no route/],
    'of something that is no host': ['GET', '/v1/explain?host=http://a', null, 422, /leave out the scheme/],
  };
  for (const [what, [method, path, body, status, detail]] of Object.entries(wrong)) {
    test(`${what} gets ${status}, and learns why`, async (t) => {
      const api = await AdminApi.start(t);
      await api.ask('PUT', '/v1/routes/other.test', { backends });
      const response = await api.ask(method, path, body);
      assert.equal(response.status, status, response.text);
      assert.match(String(response.json['detail']), detail);
      assert.equal(response.headers['content-type'], 'application/problem+json');
      const { json: left } = await api.ask('GET', '/v1/routes');
      assert.equal((left['routes'] as unknown[]).length, 1, 'nothing has changed');
    });
  }

  test('is not read beyond its limits', async (t) => {
    const api = await AdminApi.start(t);
    const large = await api.ask('PUT', '/v1/routes/a.test', `{"id":"${'x'.repeat(17 * 1024 * 1024)}"}`);
    assert.deepEqual([large.status, large.json['code']], [413, 'BODY_TOO_LARGE']);
    const form = await api.ask('PUT', '/v1/routes/a.test', 'a=b', { 'content-type': 'text/plain' });
    assert.deepEqual([form.status, form.json['code']], [415, 'BODY_TYPE']);
    const empty = await api.ask('POST', '/v1/acceptance', '', { 'content-type': 'application/x-www-form-urlencoded' });
    assert.deepEqual([empty.status, empty.json['code']], [415, 'BODY_TYPE']);
  });
});

describe('access', () => {
  const [reader, writer] = [makeAdminToken('reader', 'read'), makeAdminToken('writer', 'write')];
  const admin = { tokens: [reader.entry, writer.entry], hosts: ['admin.test'] };
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

  test('on an address needs a token', async (t) => {
    const api = await AdminApi.start(t, { onAddress: true, admin });
    const status = async (method: string, path: string, headers: Readonly<Record<string, string>>) =>
      (await api.ask(method, path, method === 'GET' ? null : { backends }, headers)).status;
    assert.equal(await status('PUT', '/v1/routes/a.test', bearer(writer.token)), 200);
    assert.equal(await status('GET', '/v1/routes/a.test', bearer(reader.token)), 200);
    assert.equal(await status('PUT', '/v1/routes/a.test', bearer(reader.token)), 403);
    assert.equal(await status('GET', '/v1/records', bearer(reader.token)), 403, 'secrets');
    for (const headers of [{}, bearer('x'), bearer(''), { authorization: 'Basic eDp5' }, bearer(`${writer.token}x`)]) {
      const refused = await api.ask('GET', '/v1/routes', null, headers);
      assert.deepEqual([refused.status, refused.headers['www-authenticate']], [401, 'Bearer']);
    }
    assert.equal(await status('GET', '/v1/routes', {}), 401);
    assert.equal(await status('GET', '/v1/openapi.json', {}), 200, 'the description is no secret');
  });

  test('of a client that goes within its request changes nothing, and is no internal error', async (t) => {
    const api = await AdminApi.start(t, { onAddress: true, admin });
    const port = Number(new URL(api.address).port);
    const fields = `Host: localhost\r\nAuthorization: Bearer ${writer.token}\r\nContent-Type: application/json\r\n`;
    for (const framing of ['Transfer-Encoding: chunked\r\n\r\n19\r\n{', 'Content-Length: 100\r\n\r\n{']) {
      const client = connect(port, '127.0.0.1');
      await new Promise((resolve) => client.once('connect', resolve));
      client.write(`PUT /v1/routes/a.test HTTP/1.1\r\n${fields}${framing}`, () => client.resetAndDestroy());
      await new Promise((resolve) => client.once('close', resolve));
    }
    assert.equal((await api.ask('GET', '/v1/openapi.json')).status, 200);
    assert.deepEqual(api.logged, []);
  });

  test('is looked at before anything of a body is read', async (t) => {
    const api = await AdminApi.start(t, { onAddress: true, admin });
    const client = connect(Number(new URL(api.address).port), '127.0.0.1');
    t.after(() => client.destroy());
    client.write('POST /v1/changes HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n{');
    const [head] = (await once(client.setEncoding('latin1'), 'data')) as [string];
    assert.match(head, /^HTTP\/1\.1 401 /);
  });

  test('shows no credentials in options', async (t) => {
    const api = await AdminApi.start(t);
    await api.ask('PUT', '/v1/routes/a.test', { backends });
    const options = { forwardAuth: 'http://10.0.0.9/auth?token=SEKRIT', requestFields: 'Authorization: Bearer SEKRIT' };
    assert.doesNotMatch((await api.ask('PATCH', '/v1/options/a.test', { options })).text, /SEKRIT/);
    for (const path of ['/v1/options/a.test', '/v1/options', '/v1/explain?host=a.test']) {
      const { status, text } = await api.ask('GET', path);
      assert.equal(status, 200);
      assert.match(text, /10\.0\.0\.9\/auth/);
      assert.doesNotMatch(text, /SEKRIT/, path);
    }
  });

  test('on a socket needs none, and a token that is shown counts', async (t) => {
    const api = await AdminApi.start(t, { admin });
    assert.equal((await api.ask('PUT', '/v1/routes/a.test', { backends })).status, 200);
    assert.equal((await api.ask('PUT', '/v1/routes/a.test', { backends }, bearer(reader.token))).status, 403);
    assert.equal((await api.ask('GET', '/v1/routes', null, bearer('x'))).status, 401);
  });

  test('is refused for names that are not known: a page of somebody else has made them lead here', async (t) => {
    const api = await AdminApi.start(t, { onAddress: true, admin });
    const status = async (host: string) =>
      (await api.ask('GET', '/v1/openapi.json', null, { ...bearer(reader.token), host })).status;
    for (const host of ['127.0.0.1', '127.0.0.1:9902', '[::1]:9902', 'localhost:80', 'Admin.Test', 'admin.test:443']) {
      assert.equal(await status(host), 200, host);
    }
    const socket = await AdminApi.start(t);
    for (const host of ['evil.test', 'admin.test.evil.test', 'localhost.evil.test:80', '127.0.0.1.evil.test']) {
      assert.equal(await status(host), 421, host);
      // A port may lead to it.
      assert.equal((await socket.ask('GET', '/v1/option-names', null, { host })).status, 421, host);
    }
  });

  test('takes no token from a URL, which logs would keep', async (t) => {
    const api = await AdminApi.start(t, { onAddress: true, admin });
    for (const path of ['/v1/routes', '/']) {
      const { json, status } = await api.ask('GET', `${path}?token=${reader.token}`);
      assert.deepEqual([status, json['code']], [400, 'TOKEN_IN_URL']);
    }
  });

  test('from a page of another site gets no CORS headers', async (t) => {
    const api = await AdminApi.start(t, { onAddress: true, admin });
    const headers = { origin: 'https://evil.test', 'access-control-request-method': 'PUT' };
    const preflight = await api.ask('OPTIONS', '/v1/routes/a.test', null, headers);
    assert.deepEqual([preflight.status, preflight.json['code']], [403, 'ORIGIN_FOREIGN']);
    assert.equal(preflight.headers['access-control-allow-origin'], undefined);
    // A browser shows a certificate of its user by itself; here the token stands for that.
    const foreign = [{ origin: 'https://evil.test' }, { origin: 'null' }, { 'sec-fetch-site': 'cross-site' }];
    for (const fields of foreign) {
      const refused = await api.ask('POST', '/v1/acceptance', null, { ...fields, ...bearer(writer.token) });
      assert.deepEqual([refused.status, refused.json['code']], [403, 'ORIGIN_FOREIGN'], JSON.stringify(fields));
    }
    const own = { origin: api.address, 'sec-fetch-site': 'same-origin', ...bearer(writer.token) };
    assert.equal((await api.ask('PUT', '/v1/routes/a.test', { backends }, own)).status, 200);
  });
});

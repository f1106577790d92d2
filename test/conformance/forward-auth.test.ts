import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { backendTls } from '../../src/tls/backend-tls.ts';
import { Authority } from '../helpers/authority.ts';
import { RawBackend } from '../helpers/raw-backend.ts';
import { type ReferenceMessage, values } from '../helpers/reference-parser.ts';
import { get, Rig, type RigOptions, request, response } from '../helpers/rig.ts';
import { trusted } from '../helpers/test-proxy.ts';
import { until } from '../helpers/until.ts';

interface AuthRig {
  readonly rig: Rig;
  readonly auth: RawBackend;
}

async function authServer(t: TestContext): Promise<RawBackend> {
  const auth = await RawBackend.start();
  t.after(() => auth.stop());
  return auth;
}

/** The host `a.test` behind an auth server that sends this to each request; empty: it is silent. */
async function start(
  t: TestContext,
  sent: string,
  options: Readonly<Record<string, string>> = {},
  rigOptions: RigOptions = {},
): Promise<AuthRig> {
  const rig = await Rig.start(t, rigOptions);
  const auth = await authServer(t);
  auth.serve(() => sent);
  rig.backend.serve(() => response('from the backend'));
  rig.proxy.options('a.test', { forwardAuth: `${auth.url}/check?a=b`, ...options });
  return { rig, auth };
}

const names = ({ fields }: ReferenceMessage): string[] => fields.map(([name]) => name.toLowerCase());
const valuesOf = ({ fields }: ReferenceMessage | undefined = none, name: string): string[] => values(fields, name);
const none = { fields: [] } as unknown as ReferenceMessage;
const agrees = response('', '200 OK', 'Remote-User: ann', 'Remote-Groups: x', 'Other: secret');

describe('an auth server that agrees', () => {
  test('is asked with a GET that describes the request, and lets it go on whole', async (t) => {
    const { rig, auth } = await start(t, agrees);
    const body = 'x=1&y=2';
    const received = await rig.ask(
      `${request(
        'POST /p/a?q=%0d%0a HTTP/1.1',
        'Cookie: session=7',
        'Authorization: Bearer t',
        'Content-Type: text/x',
        `Content-Length: ${body.length}`,
        'If-None-Match: "e"',
        'Range: bytes=0-1',
        'Connection: x-hop, x-forwarded-for',
        'X-Hop: 1',
        'TE: trailers',
      )}${body}`,
    );
    assert.match(received, /^HTTP\/1\.1 200 .*from the backend$/s);
    const [asked] = auth.requests;
    assert.ok(asked !== undefined);
    assert.match(auth.received, /^GET \/check\?a=b HTTP\/1\.1\r\n/);
    assert.match(auth.received, /\r\n\r\n$/);
    assert.deepEqual(valuesOf(asked, 'host'), [auth.url.slice('http://'.length)]);
    assert.deepEqual(valuesOf(asked, 'x-forwarded-method'), ['POST']);
    assert.deepEqual(valuesOf(asked, 'x-forwarded-uri'), ['/p/a?q=%0d%0a']);
    assert.deepEqual(valuesOf(asked, 'x-original-method'), ['POST']);
    assert.deepEqual(valuesOf(asked, 'x-original-url'), ['http://a.test/p/a?q=%0d%0a']);
    assert.deepEqual(valuesOf(asked, 'x-forwarded-for'), ['127.0.0.1']);
    assert.deepEqual(valuesOf(asked, 'x-forwarded-proto'), ['http']);
    assert.deepEqual(valuesOf(asked, 'x-forwarded-host'), ['a.test']);
    assert.deepEqual(valuesOf(asked, 'cookie'), ['session=7']);
    assert.deepEqual(valuesOf(asked, 'authorization'), ['Bearer t']);
    for (const name of ['content-length', 'transfer-encoding', 'if-none-match', 'range', 'x-hop', 'te', 'upgrade']) {
      assert.ok(!names(asked).includes(name), name);
    }
    const [passed] = rig.backend.requests;
    assert.equal(passed?.body, body);
    assert.deepEqual(valuesOf(passed, 'x-request-id'), valuesOf(asked, 'x-request-id'));
    // Nothing is copied without `forwardAuthFields`.
    assert.deepEqual(valuesOf(passed, 'remote-user'), []);
    assert.deepEqual(valuesOf(passed, 'if-none-match'), ['"e"']);
  });

  test('is asked for each request, on a connection that is kept', async (t) => {
    const { rig, auth } = await start(t, agrees);
    for (let i = 0; i < 3; i++) assert.match(await rig.ask(get(`/${i}`)), /^HTTP\/1\.1 200 /);
    assert.equal(auth.requests.length, 3);
    assert.equal(auth.peers.length, 1);
    // One that it closes between requests costs no request.
    auth.peers[0]?.socket.end();
    await auth.peers[0]?.untilClosed();
    assert.match(await rig.ask(get('/3')), /^HTTP\/1\.1 200 /);
  });

  test('gives the backend the fields that are listed, which no client can set', async (t) => {
    const { rig } = await start(t, agrees, { forwardAuthFields: 'Remote-User, Remote-Email' });
    const forged = [
      'Connection: Remote-User',
      'Remote-User: root',
      'remote_user: root',
      'REMOTE-USER: root',
      'Remote_Email: root@a.test',
    ];
    await rig.ask(get('/', ...forged, 'Remote-Groups: mine'));
    const [passed] = rig.backend.requests;
    assert.deepEqual(valuesOf(passed, 'remote-user'), ['ann']);
    assert.deepEqual(valuesOf(passed, 'remote-groups'), ['mine']);
    assert.doesNotMatch(rig.backend.received, /root|secret/);
  });

  test('may name the user in a field of the X-Forwarded family, but not replace what Hipache says', async (t) => {
    const settings = { trustedProxies: trusted('127.0.0.1') };
    const sent = response('', '200 OK', 'X-Forwarded-User: ann', 'X-Forwarded-For: 6.6.6.6');
    const { rig, auth } = await start(t, sent, {}, { settings });
    rig.proxy.looseOptions('a.test', { forwardAuth: auth.url, forwardAuthFields: 'X-Forwarded-User, X-Forwarded-For' });
    await rig.ask(get('/', 'X-Forwarded-User: root', 'X_Forwarded_User: root', 'X-Forwarded-For: 10.0.0.1'));
    const [passed] = rig.backend.requests;
    assert.deepEqual(valuesOf(passed, 'x-forwarded-user'), ['ann']);
    assert.deepEqual(valuesOf(passed, 'x-forwarded-for'), ['10.0.0.1, 127.0.0.1']);
    assert.doesNotMatch(rig.backend.received, /root/);
  });

  test('learns the path that the backend gets, whatever form the client gives it', async (t) => {
    const { rig, auth } = await start(t, agrees);
    const targets: readonly [target: string, uri: string][] = [
      ['//evil.test/%2e%2e/%0d%0aX:1?', '//evil.test/%2e%2e/%0d%0aX:1?'],
      ['/a/../b;c=d?e=/../f', '/a/../b;c=d?e=/../f'],
      ['http://a.test/admin?x', '/admin?x'],
      ['http://a.test', '/'],
    ];
    for (const [index, [target, uri]] of targets.entries()) {
      await rig.ask(request(`GET ${target} HTTP/1.1`));
      assert.deepEqual(valuesOf(auth.requests[index], 'x-forwarded-uri'), [uri]);
      assert.ok(rig.backend.received.includes(`GET ${uri} HTTP/1.1\r\n`));
    }
    await rig.ask(request('OPTIONS * HTTP/1.1'));
    assert.deepEqual(valuesOf(auth.requests.at(-1), 'x-original-url'), ['http://a.test']);
    const { length } = auth.requests;
    for (const target of ['/a\rX: 1', '/a\0', '/a b', '/a\x01']) {
      assert.match(await rig.ask(request(`GET ${target} HTTP/1.1`)), /^HTTP\/1\.1 400 /);
    }
    assert.equal(auth.requests.length, length);
  });

  test('decides about the path that backends get, where paths of the host have routes of their own', async (t) => {
    const { rig, auth } = await start(t, agrees);
    rig.proxy.route('a.test/admin', [rig.backend.url]);
    const options = { forwardAuth: auth.url };
    rig.proxy.options('a.test', { paths: '/admin', ...options });
    rig.proxy.options('a.test/admin', { stripPath: 'on', ...options });
    await rig.ask(get('/public/../%61dmin/users?x'));
    assert.deepEqual(valuesOf(auth.requests[0], 'x-forwarded-uri'), ['/admin/users?x']);
    assert.deepEqual(valuesOf(auth.requests[0], 'x-original-url'), ['http://a.test/admin/users?x']);
    assert.match(rig.backend.received, /^GET \/users\?x HTTP\/1\.1\r\n/);
  });

  test('is the only source of these fields, also for trailers and chunked bodies', async (t) => {
    const { rig } = await start(t, agrees, { forwardAuthFields: 'Remote-User' });
    const chunked = request('POST / HTTP/1.1', 'Transfer-Encoding: chunked', 'Trailer: Remote-User');
    await rig.ask(`${chunked}3\r\nabc\r\n0\r\nRemote-User: root\r\n\r\n`);
    assert.doesNotMatch(rig.backend.received, /root/);
    assert.match(rig.backend.received, /\r\nRemote-User: ann\r\n/);
    assert.match(rig.backend.received, /3\r\nabc\r\n0\r\n\r\n$/);
  });

  test('is overruled by a field that the host sets itself', async (t) => {
    const { rig } = await start(t, agrees, { forwardAuthFields: 'Remote-User', requestFields: 'Remote-User: guest' });
    await rig.ask(get('/', 'Remote_User: root'));
    assert.deepEqual(valuesOf(rig.backend.requests[0], 'remote-user'), ['guest']);
    assert.doesNotMatch(rig.backend.received, /root/);
  });

  test('gets no word of an untrusted client about the original request', async (t) => {
    const { rig, auth } = await start(t, agrees);
    const forged = [
      'X-Forwarded-For: 10.0.0.1',
      'X-Forwarded-Uri: /public',
      'X_Forwarded_Uri: /public',
      'X-Forwarded-Method: HEAD',
      'X-Original-URL: http://a.test/public',
      'x_original_url: http://a.test/public',
      'X-Original-URI: /public',
      'X-Rewrite-URL: /public',
      'X-Forwarded-Host: public.test',
    ];
    await rig.ask(get('/admin', ...forged));
    assert.deepEqual(valuesOf(auth.requests[0], 'x-forwarded-uri'), ['/admin']);
    assert.doesNotMatch(auth.received, /public|10\.0\.0\.1|HEAD/);
  });

  test('gets of a trusted proxy who the client is, but not which request it sends', async (t) => {
    const { rig, auth } = await start(t, agrees, {}, { settings: { trustedProxies: trusted('127.0.0.1') } });
    const said = ['X-Forwarded-For: 10.0.0.1', 'X-Forwarded-Proto: https', 'X-Forwarded-Uri: /public'];
    await rig.ask(get('/admin', ...said, 'X-Forwarded-Method: HEAD'));
    const [asked] = auth.requests;
    assert.deepEqual(valuesOf(asked, 'x-forwarded-for'), ['10.0.0.1, 127.0.0.1']);
    assert.deepEqual(valuesOf(asked, 'x-original-url'), ['https://a.test/admin']);
    assert.deepEqual(valuesOf(asked, 'x-forwarded-uri'), ['/admin']);
    assert.deepEqual(valuesOf(asked, 'x-forwarded-method'), ['GET']);
  });

  test('lets a WebSocket handshake go on, and gets no Upgrade', async (t) => {
    const { rig, auth } = await start(t, agrees, { forwardAuthFields: 'Remote-User' });
    const handshake = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
    await rig.send(get('/ws', ...handshake, 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='));
    await rig.backend.receive(/\r\nRemote-User: ann\r\n.*\r\nUpgrade: websocket\r\n\r\n/s);
    assert.ok(!names(auth.requests[0] ?? none).includes('upgrade'));
    assert.deepEqual(valuesOf(auth.requests[0], 'x-forwarded-uri'), ['/ws']);
  });

  test('does not let fields pile up when its host is asked again', async (t) => {
    const { rig, auth } = await start(t, '', { forwardAuthFields: 'Remote-User' });
    const client = await rig.send(get('/'));
    await until('the subrequest', () => auth.requests.length === 1);
    rig.proxy.options('a.test', { forwardAuth: `${auth.url}/again`, forwardAuthFields: 'Remote-User' });
    auth.serve(() => response('', '200 OK', 'Remote-User: eve'));
    auth.peers[0]?.send(agrees);
    await client.expect(/^HTTP\/1\.1 200 /);
    assert.deepEqual(valuesOf(rig.backend.requests[0], 'remote-user'), ['eve']);
  });

  test('may use TLS with a certificate that backends may have', async (t) => {
    const authority = new Authority();
    t.after(() => authority.dispose());
    const { certificate: cert, key } = authority.issue(['localhost']);
    const server = createTlsServer({ key, cert }, (socket) => {
      socket.on('error', () => {});
      socket.on('data', () => socket.write(agrees));
    });
    server.on('tlsClientError', () => {});
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    const forwardAuth = `https://localhost:${(server.address() as { port: number }).port}/`;
    const trusting = await Rig.start(t, { backendTls: backendTls([authority.certificateFile], true) });
    const wary = await Rig.start(t);
    for (const rig of [trusting, wary]) {
      rig.backend.serve(() => response('ok'));
      rig.proxy.options('a.test', { forwardAuth });
    }
    assert.match(await trusting.ask(get('/')), /^HTTP\/1\.1 200 /);
    assert.match(await wary.ask(get('/')), /^HTTP\/1\.1 502 /);
  });
});

describe('an auth server that objects', () => {
  test('sends the client to its login page, with its cookies', async (t) => {
    const login = response('', '302 Found', 'Location: https://login.test/?rd=x', 'Set-Cookie: a=1; Path=/');
    const { rig } = await start(t, login.replace('\r\n\r\n', '\r\nSet-Cookie: b=2\r\nX-Internal: 1\r\n\r\n'));
    const received = await rig.ask(get('/', 'Accept: text/html'));
    assert.match(received, /^HTTP\/1\.1 302 Found\r\n/);
    assert.match(received, /\r\nLocation: https:\/\/login\.test\/\?rd=x\r\n/);
    assert.match(received, /\r\nSet-Cookie: a=1; Path=\/\r\nSet-Cookie: b=2\r\n/);
    assert.match(received, /\r\nx-request-id: [0-9a-f]{32}\r\n/);
    assert.doesNotMatch(received, /X-Internal/);
    assert.equal(rig.backend.requests.length, 0);
    assert.deepEqual([rig.proxy.ended[0]?.status, rig.proxy.ended[0]?.errorCode], [302, null]);
  });

  test('decides the status and the body, byte for byte', async (t) => {
    const body = '{"e":"\xc3\xa9"}';
    const described = ['Content-Type: application/json', 'Cache-Control: private'];
    const sent = response(body, '401 X', 'WWW-Authenticate: Bearer', ...described);
    const { rig } = await start(t, sent);
    const received = await rig.ask(get('/'));
    assert.match(received, /^HTTP\/1\.1 401 Unauthorized\r\n.*\r\nWWW-Authenticate: Bearer\r\n/s);
    assert.match(received, /\r\nContent-Type: application\/json\r\nCache-Control: private\r\n/);
    assert.equal(received.match(/content-type|cache-control/gi)?.length, 2);
    assert.ok(received.endsWith(`\r\n\r\n${body}`));
    const head = await rig.ask(request('HEAD / HTTP/1.1'));
    assert.match(head, new RegExp(`\\r\\ncontent-length: ${body.length}\\r\\n.*\\r\\n\\r\\n$`, 's'));
  });

  test('leaves the connection in a state in which the body is not read as a request', async (t) => {
    const { rig } = await start(t, response('no', '403 Forbidden'));
    const client = await rig.send(`${request('POST / HTTP/1.1', 'Content-Length: 300')}${get('/smuggled')}`);
    await client.expect(/^HTTP\/1\.1 403 /);
    await client.untilEnded();
    assert.equal(client.received.match(/HTTP\/1\.1/g)?.length, 1);
    assert.equal(rig.backend.requests.length, 0);
  });

  test('tells a trusted peer with X-Debug no more than one line', async (t) => {
    const settings = { trustedProxies: trusted('127.0.0.1') };
    const { rig } = await start(t, response('a\r\nInjected: 1\r\n\r\n', '403 X'), {}, { settings });
    const received = await rig.ask(get('/', 'X-Debug: 1'));
    assert.doesNotMatch(received.slice(0, received.indexOf('\r\n\r\n')), /Injected/);
  });
});

describe('without a usable response nobody is let in', () => {
  const large = 'x'.repeat(70_000);
  const broken: Readonly<Record<string, string>> = {
    'a status of 500 or above': response('', '500 No'),
    'a 304, for which the subrequest gives no reason': 'HTTP/1.1 304 Not Modified\r\n\r\n',
    'a 101': 'HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n',
    'no HTTP': 'SSH-2.0-x\r\n\r\n',
    'a body above 64 KiB': response(large, '200 OK'),
    'a head above 64 KiB': response('', '200 OK', `X: ${large}`),
    'two lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 1\r\n\r\n',
  };
  for (const [name, sent] of Object.entries(broken)) {
    test(name, async (t) => {
      const { rig } = await start(t, sent, { forwardAuthFields: 'Remote-User' });
      const received = await rig.ask(get('/'));
      assert.match(received, /^HTTP\/1\.1 502 Bad Gateway\r\n.*\r\nx-hipache-error: AUTH_SERVER_FAILED\r\n/s);
      assert.equal(rig.backend.requests.length, 0);
    });
  }

  test('a response that breaks off', async (t) => {
    const { rig, auth } = await start(t, '');
    auth.serve((_request, peer) => {
      peer.socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf');
      return '';
    });
    assert.match(await rig.ask(get('/')), /^HTTP\/1\.1 502 /);
    assert.equal(rig.backend.requests.length, 0);
  });

  test('a connection that is refused, and options that cannot be used', async (t) => {
    const { rig, auth } = await start(t, '');
    const { url } = auth;
    await auth.stop();
    assert.match(await rig.ask(get('/')), /\r\nx-hipache-error: AUTH_SERVER_FAILED\r\n/);
    const wrong: Readonly<Record<string, string>>[] = [
      { forwardAuth: '' },
      { forwardAuth: 'ftp://auth.test/' },
      { forwardAuth: 'http://user:pass@auth.test/' },
      { forwardAuth: url, forwardAuthFields: 'Host, X-Forwarded-For' },
      { forwardAuth: url, forwardAuthFields: Array.from({ length: 51 }, (_, i) => `x-${i}`).join() },
      { forwardAuth: url, forwardAuthFields: 'x'.repeat(70_000) },
    ];
    for (const options of wrong) {
      rig.proxy.looseOptions('a.test', options);
      assert.match(await rig.ask(get('/')), /\r\nx-hipache-error: AUTH_SERVER_FAILED\r\n/, JSON.stringify(options));
      assert.match(rig.proxy.ended.at(-1)?.errorDetail ?? '', /the option forwardAuth/);
    }
    assert.equal(rig.backend.requests.length, 0);
  });

  test('a server that hangs: its host gets 502 in time, and others do not wait', async (t) => {
    const { rig, auth } = await start(t, '', { forwardAuthTimeout: '300ms' });
    const other = await authServer(t);
    other.serve(() => agrees);
    rig.proxy.route('b.test', [rig.backend.url]);
    rig.proxy.options('b.test', { forwardAuth: other.url, forwardAuthFields: 'Remote-User' });
    const waiting = await rig.send(get('/'));
    await until('the subrequest', () => auth.requests.length === 1);
    const client = await rig.send('GET / HTTP/1.1\r\nHost: b.test\r\n\r\n');
    await client.expect(/^HTTP\/1\.1 200 /);
    assert.equal(waiting.received, '');
    await waiting.expect(/^HTTP\/1\.1 502 .*AUTH_SERVER_FAILED/s);
    assert.match(rig.proxy.ended.at(-1)?.errorDetail ?? '', /no whole response in time/);
    assert.deepEqual(valuesOf(rig.backend.requests[0], 'remote-user'), ['ann']);
    await until('the end of the subrequest', () => auth.peers[0]?.closed === true || auth.peers[0]?.ended === true);
  });
});

test('a host has 200 subrequests under way, and more requests get 503', async (t) => {
  const { rig, auth } = await start(t, '');
  const clients = [];
  for (let i = 0; i < 201; i++) clients.push(await rig.send(get(`/${i}`)));
  await until('the reply to one too many', () => rig.proxy.ended.length === 1);
  assert.deepEqual([rig.proxy.ended[0]?.status, rig.proxy.ended[0]?.errorCode], [503, 'OVERLOADED']);
  await until('the subrequests', () => auth.requests.length === 200);
  for (const peer of auth.peers) peer.send(agrees);
  await until('the replies', () => rig.proxy.ended.filter(({ status }) => status === 200).length === 200);
  auth.serve(() => agrees);
  assert.match(await rig.ask(get('/')), /^HTTP\/1\.1 200 /);
});

test('a client that leaves ends its subrequest', async (t) => {
  const { rig, auth } = await start(t, '');
  const client = await rig.send(get('/'));
  await until('the subrequest', () => auth.requests.length === 1);
  client.close();
  await auth.peers[0]?.untilClosed();
  await until('the end', () => rig.proxy.ended.length === 1);
  assert.equal(rig.proxy.ended[0]?.errorCode, 'CLIENT_GONE');
  assert.equal(rig.backend.requests.length, 0);
});

test('credentials that authenticate a connection get one of their own', async (t) => {
  const { rig, auth } = await start(t, agrees);
  await rig.ask(get('/', 'Authorization: NTLM TlRM'));
  await rig.ask(get('/'));
  assert.equal(auth.peers.length, 2);
  assert.match(auth.peers[0]?.received ?? '', /NTLM/);
  assert.match(auth.peers[0]?.received ?? '', /\r\nConnection: close\r\n/i);
});

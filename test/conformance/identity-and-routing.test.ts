import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RouteCache } from '../../src/route-cache/route-cache.ts';
import { type ReferenceMessage, values } from '../helpers/reference-parser.ts';
import { get, Rig, type RigOptions, request, response, undated } from '../helpers/rig.ts';
import { trusted } from '../helpers/test-proxy.ts';
import { until } from '../helpers/until.ts';

const peer = '127.0.0.1';
const trusting: RigOptions = { settings: { trustedProxies: trusted('127.0.0.1') } };

/** The only request that reached the backend. */
function arrived(rig: Rig): ReferenceMessage {
  const { requests } = rig.backend;
  assert.equal(requests.length, 1);
  return requests[0] as ReferenceMessage;
}

/** The fields that identify the client, in any spelling, by lower-case name. */
function identity(message: ReferenceMessage): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  for (const [name, value] of message.fields) {
    const spelt = name.toLowerCase();
    if (!/^(x[-_](forwarded|real)|forwarded)/.test(spelt)) continue;
    found[spelt] ??= [];
    found[spelt].push(value);
  }
  return found;
}

const own = {
  'x-forwarded-for': [peer],
  'x-real-ip': [peer],
  'x-forwarded-proto': ['http'],
  'x-forwarded-port': ['80'],
  'x-forwarded-host': ['a.test'],
};

describe('case 13: the fields named by Connection are removed before the fields of the proxy are added', () => {
  const nominations = [
    'X-Forwarded-For, X-Real-IP, Host',
    'x-forwarded-for',
    'X-Forwarded-Proto, X-Forwarded-Protocol, X-Forwarded-Port',
    'close, X-Real-Ip',
    'HOST',
    'x-request-id, traceparent',
  ];
  for (const nomination of nominations) {
    test(`Connection: ${nomination} (CVE-2024-45410, CVE-2025-48865)`, async (t) => {
      const rig = await Rig.start(t);
      rig.backend.serve(() => response('ok'));
      const client = await rig.send(
        get('/', 'X-Forwarded-For: 6.6.6.6', `Connection: ${nomination}`, 'X-Real-IP: 6.6.6.6'),
      );
      await client.expect('ok');
      const message = arrived(rig);
      assert.deepEqual(identity(message), own);
      assert.deepEqual(values(message.fields, 'host'), ['a.test']);
      assert.deepEqual(values(message.fields, 'connection'), []);
      assert.equal(values(message.fields, 'x-request-id').length, 1);
      assert.equal(values(message.fields, 'traceparent').length, 1);
    });

    test(`Connection: ${nomination}, from a trusted peer`, async (t) => {
      const rig = await Rig.start(t, trusting);
      rig.backend.serve(() => response('ok'));
      const sent = ['X-Forwarded-For: 6.6.6.6', 'X-Real-IP: 6.6.6.6', 'X-Forwarded-Proto: https', 'X-Request-Id: abc'];
      const client = await rig.send(get('/', `Connection: ${nomination}`, ...sent));
      await client.expect('ok');
      const message = arrived(rig);
      assert.deepEqual(identity(message), {
        'x-forwarded-for': [`6.6.6.6, ${peer}`],
        'x-real-ip': ['6.6.6.6'],
        'x-forwarded-proto': ['https'],
        'x-forwarded-port': ['443'],
        'x-forwarded-host': ['a.test'],
      });
      assert.deepEqual(values(message.fields, 'host'), ['a.test']);
      assert.deepEqual(values(message.fields, 'x-request-id'), ['abc']);
      assert.equal(values(message.fields, 'traceparent').length, 1);
    });
  }

  test('the fields that it may name are removed, and so are the hop-by-hop ones that it need not name', async (t) => {
    const rig = await Rig.start(t);
    rig.backend.serve(() => response('ok'));
    const client = await rig.send(
      get(
        '/',
        'X-Hop: 1',
        'X-Kept: 2',
        'Connection: x-hop, , keep-alive',
        'Keep-Alive: 5',
        'Proxy-Connection: close',
        'TE: gzip',
      ),
    );
    await client.expect('ok');
    const { fields } = arrived(rig);
    for (const gone of ['x-hop', 'connection', 'keep-alive', 'proxy-connection', 'te']) {
      assert.deepEqual(values(fields, gone), [], gone);
    }
    assert.deepEqual(values(fields, 'x-kept'), ['2']);
  });
});

describe('case 14: an untrusted peer cannot pass on', () => {
  const forged = [
    'X-Forwarded-For: 6.6.6.6',
    'x-forwarded-for: 6.6.6.6',
    'X_Forwarded_For: 6.6.6.6',
    'X-Forwarded_For: 6.6.6.6',
    'X-Forwarded-Proto: https',
    'X_Forwarded_Proto: https (CVE-2026-39858)',
    'X_FORWARDED-PROTO: https',
    'X-Forwarded-Protocol: https',
    'X-Forwarded-Port: 443',
    'X-Forwarded-Host: evil.test',
    'X_Forwarded_Host: evil.test',
    'X-Forwarded-Server: evil.test',
    'X-Forwarded-Prefix: /admin',
    'X-Forwarded-Anything-Else: 1',
    'X-Real-IP: 6.6.6.6',
    'X_Real_IP: 6.6.6.6',
    'Forwarded: for=6.6.6.6;proto=https',
    'Client-IP: 6.6.6.6',
    'Client_IP: 6.6.6.6',
    'Front-End-Https: on, evil',
  ];
  for (const line of forged) {
    test(line, async (t) => {
      const rig = await Rig.start(t);
      rig.backend.serve(() => response('ok'));
      const client = await rig.send(get('/', line, line));
      await client.expect('ok');
      const message = arrived(rig);
      assert.deepEqual(identity(message), own);
      assert.doesNotMatch(rig.backend.received, /6\.6\.6\.6|evil|admin|https/);
    });
  }

  test('X-Request-Id, traceparent and tracestate, which are created anew', async (t) => {
    const rig = await Rig.start(t);
    rig.backend.serve(() => response('ok'));
    const client = await rig.send(
      get('/', 'X-Request-Id: forged', 'X_Request_Id: forged', 'traceparent: forged', 'tracestate: forged=1'),
    );
    await client.expect('ok');
    const { fields } = arrived(rig);
    assert.doesNotMatch(rig.backend.received, /forged/);
    const [id = ''] = values(fields, 'x-request-id');
    assert.match(id, /^[0-9a-f]{32}$/);
    assert.match(values(fields, 'traceparent').join(), new RegExp(`^00-${id}-[0-9a-f]{16}-00$`));
  });

  test('aliases are dropped from trusted peers too', async (t) => {
    const rig = await Rig.start(t, trusting);
    rig.backend.serve(() => response('ok'));
    const client = await rig.send(
      get('/', 'X_Forwarded_For: 6.6.6.6', 'X_Forwarded_Host: evil.test', 'X_Real_IP: 6.6.6.6'),
    );
    await client.expect('ok');
    assert.deepEqual(identity(arrived(rig)), own);
  });
});

describe('case 15: the Host', () => {
  const reaching: Record<string, string> = {
    'in upper case (CVE-2026-27588)': 'A.TEST',
    'with a trailing dot': 'a.test.',
    'with a port': 'a.test:8080',
    'with an empty port': 'a.test:',
    'with all of them': 'A.Test.:80',
  };
  for (const [name, host] of Object.entries(reaching)) {
    test(`${name} finds its route, and reaches the backend as sent`, async (t) => {
      const rig = await Rig.start(t);
      rig.backend.serve(() => response('ok'));
      const client = await rig.send(`GET / HTTP/1.1\r\nhOsT: ${host}\r\n\r\n`);
      await client.expect('ok');
      assert.deepEqual(rig.proxy.lookups, ['a.test']);
      assert.deepEqual(values(arrived(rig).fields, 'host'), [host]);
    });
  }

  test('with a port looks that up too if routes by port are used', async (t) => {
    const rig = await Rig.start(t, { settings: { routesByPort: true } });
    rig.backend.serve(() => response('ok'));
    for (const host of ['A.Test', 'a.test:', 'A.Test:8080']) {
      await rig.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    }
    await until('the lookups', () => rig.proxy.lookups.length === 3);
    assert.deepEqual(rig.proxy.lookups.toSorted(), ['a.test', 'a.test', 'a.test:8080']);
  });

  const refused: Record<string, string> = {
    'with user information': 'Host: a@a.test',
    'with a comma': 'Host: a.test, evil.test',
    'with a comma and no blank': 'Host: a.test,evil.test',
    'with a blank': 'Host: a.test evil.test',
    'with a slash': 'Host: a.test/x',
    'with a backslash': 'Host: a.test\\x',
    'with a percent sign': 'Host: a%2etest',
    'with an invalid port': 'Host: a.test:80a',
    'with a port beyond 65535': 'Host: a.test:65536',
    'with two ports': 'Host: a.test:80:80',
    'with an empty label': 'Host: a..test',
    'with bytes above 0x7f': 'Host: \xe4.test',
    'that is a wildcard': 'Host: *.test',
    'that is a broken literal': 'Host: [::1',
    'that has 254 characters': `Host: ${'a.'.repeat(126)}aa`,
    twice: 'Host: a.test\r\nHost: evil.test',
    'twice, the same': 'Host: a.test\r\nHost: a.test',
    'twice, in another case': 'Host: a.test\r\nhOST: evil.test',
    'with NUL': 'Host: a.test\0',
    missing: 'X: y',
  };
  for (const [name, line] of Object.entries(refused)) {
    test(`${name} is refused with 400`, async (t) => {
      const rig = await Rig.start(t);
      rig.backend.serve(() => response('served'));
      const client = await rig.send(`GET /refused HTTP/1.1\r\n${line}\r\n\r\n`);
      await client.expect('\r\n\r\n');
      assert.deepEqual(client.statuses, [400]);
      const other = await rig.send(get('/after'));
      await other.expect('served');
      assert.equal(arrived(rig).startLine, 'GET /after HTTP/1.1');
      assert.deepEqual(rig.proxy.lookups, ['a.test']);
    });
  }

  test('that is refused leaves the connection framed', async (t) => {
    const rig = await Rig.start(t);
    rig.backend.serve(() => response('served'));
    const client = await rig.send(`GET / HTTP/1.1\r\nHost: a@b\r\n\r\nGET / HTTP/1.1\r\nX: y\r\n\r\n${get('/after')}`);
    await client.expect('served');
    assert.deepEqual(client.statuses, [400, 400, 200]);
  });

  const absolute: Record<string, [string, string, string]> = {
    'with a path': ['http://a.test/x?y', 'a.test', '/x?y'],
    'without a path': ['http://a.test', 'a.test', '/'],
    'with a query alone': ['http://a.test?y', 'a.test', '/?y'],
    'in upper case': ['HTTP://A.TEST/x', 'a.test', '/x'],
    'with a port': ['http://a.test:80/x', 'a.test:80', '/x'],
    'of https': ['https://a.test/x', 'a.test', '/x'],
  };
  for (const [name, [target, host, path]] of Object.entries(absolute)) {
    test(`can agree with an absolute target ${name}, which reaches the backend in origin-form`, async (t) => {
      const rig = await Rig.start(t);
      rig.backend.serve(() => response('ok'));
      const client = await rig.send(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      await client.expect('ok');
      const { startLine, fields } = arrived(rig);
      assert.equal(startLine, `GET ${path} HTTP/1.1`);
      assert.deepEqual(values(fields, 'host'), [host]);
    });
  }

  /** RFC 9110 section 4.2.3. */
  const equal: readonly (readonly [target: string, host: string])[] = [
    ['http://a.test:80/x', 'a.test'],
    ['http://a.test/x', 'a.test:80'],
    ['http://a.test:/x', 'a.test'],
    ['http://a.test/x', 'A.test:'],
    ['http://a.test:80/x', 'a.test:'],
    ['https://a.test:443/x', 'a.test'],
    ['https://a.test/x', 'a.test:443'],
  ];
  for (const [target, host] of equal) {
    test(`${host} is the same as that of the target ${target}`, async (t) => {
      const rig = await Rig.start(t);
      rig.backend.serve(() => response('ok'));
      const client = await rig.send(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      await client.expect('ok');
      const { startLine, fields } = arrived(rig);
      assert.equal(startLine, 'GET /x HTTP/1.1');
      assert.deepEqual(values(fields, 'host'), [host]);
    });
  }

  /** Requests that name no host, and whether they are served where there is a route `*`. */
  const nameless: readonly (readonly [text: string, isServed: boolean])[] = [
    ['GET /x HTTP/1.0\r\n\r\n', true],
    ['OPTIONS * HTTP/1.0\r\n\r\n', true],
    ['GET /x HTTP/1.0\r\nHost:\r\n\r\n', true],
    ['GET /x HTTP/1.1\r\nHost: \r\n\r\n', true],
    ['GET /x HTTP/1.1\r\nX: y\r\n\r\n', false],
  ];
  for (const [text, isServed] of nameless) {
    const end = isServed ? 'takes the route *, with the backend as its host' : 'gets 400 in any case';
    test(`that is not named by ${JSON.stringify(text)} ${end}`, async (t) => {
      const rig = await Rig.start(t);
      rig.backend.serve(() => response('ok'));
      const refused = await rig.send(text);
      await refused.expect('no host header');
      rig.proxy.route('*', [rig.backend.url]);
      const client = await rig.send(text);
      if (!isServed) {
        await client.expect('no host header');
        assert.equal(rig.backend.received, '');
        return;
      }
      await client.expect('ok');
      const { startLine, fields } = arrived(rig);
      assert.match(startLine, / HTTP\/1\.1$/);
      assert.deepEqual(values(fields, 'host'), [rig.backend.url.slice('http://'.length)]);
    });
  }

  const differing: Record<string, string> = {
    'another host': 'GET http://evil.test/ HTTP/1.1',
    'another port': 'GET http://a.test:81/ HTTP/1.1',
    'the default port of another scheme': 'GET http://a.test:443/ HTTP/1.1',
    'a scheme of WebSockets without a handshake': 'GET ws://a.test/ HTTP/1.1',
    'user information': 'GET http://a.test@evil.test/ HTTP/1.1',
    'user information before the same host': 'GET http://evil@a.test/ HTTP/1.1',
    'no host': 'GET http:///x HTTP/1.1',
    'one slash': 'GET http:/a.test/ HTTP/1.1',
    'another scheme': 'GET ftp://a.test/ HTTP/1.1',
  };
  for (const [name, startLine] of Object.entries(differing)) {
    test(`is refused with an absolute target with ${name}`, async (t) => {
      const rig = await Rig.start(t);
      const client = await rig.send(request(startLine));
      await client.untilEnded();
      assert.deepEqual(client.statuses, [400]);
      assert.deepEqual(rig.proxy.lookups, []);
      assert.equal(rig.backend.received, '');
    });
  }

  test('is taken from an HTTP/1.0 absolute target if the field is missing, and sent to the backend', async (t) => {
    const rig = await Rig.start(t);
    rig.backend.serve(() => response('ok'));
    const client = await rig.send('GET http://a.test/x HTTP/1.0\r\n\r\n');
    await client.untilEnded();
    const { startLine, fields } = arrived(rig);
    assert.equal(startLine, 'GET /x HTTP/1.1');
    assert.deepEqual(values(fields, 'host'), ['a.test']);
  });

  test('with an absolute target without a path is OPTIONS *', async (t) => {
    const rig = await Rig.start(t);
    rig.backend.serve(() => response('ok'));
    const client = await rig.send(`OPTIONS http://a.test HTTP/1.1\r\nHost: a.test\r\n\r\n`);
    await client.expect('ok');
    assert.equal(arrived(rig).startLine, 'OPTIONS * HTTP/1.1');
  });

  test('of 10,000 random names leaves no more negativeEntries than the limit', async (t) => {
    const reads = { patterns: 0 };
    const routes = new RouteCache({
      store: {
        routes: {
          read: async (patterns) => {
            reads.patterns += patterns.length;
            return patterns.map(() => null);
          },
        },
        marks: { write: async () => true },
      },
      instance: 'test',
      limits: { negativeEntriesMax: 100 },
    });
    const rig = await Rig.start(t, { routes });
    t.after(() => routes.close());
    const client = await rig.client();
    for (let sent = 0; sent < 10_000; sent += 500) {
      const names = Array.from({ length: 500 }, (_, at) => `x${sent + at}.${at % 7}.test`);
      client.send(names.map((name) => `HEAD / HTTP/1.1\r\nHost: ${name}\r\n\r\n`).join(''));
      await until('the responses', () => client.statuses.length === sent + 500);
    }
    assert.ok(client.statuses.every((status) => status === 400));
    assert.ok(routes.negativeEntries <= 100, `${routes.negativeEntries} negativeEntries`);
    assert.ok(reads.patterns >= 10_000);
  });
});

test('case 17: fields named __proto__ and constructor are ordinary fields', async (t) => {
  const rig = await Rig.start(t);
  rig.backend.serve(() => response('ok', '200 OK', '__proto__: a', 'constructor: b', 'toString: c'));
  const lines = [
    '__proto__: 1',
    'constructor: 2',
    'hasOwnProperty: 3',
    '__PROTO__: 4',
    'Connection: __proto__, valueOf',
  ];
  const client = await rig.send(get('/__proto__?constructor=1', ...lines));
  await client.expect('ok');
  const { fields } = arrived(rig);
  assert.deepEqual(values(fields, '__proto__'), []);
  assert.deepEqual(values(fields, 'constructor'), ['2']);
  assert.deepEqual(values(fields, 'hasownproperty'), ['3']);
  assert.match(undated(client.received), /\r\n__proto__: a\r\nconstructor: b\r\ntoString: c\r\n\r\nok$/);
  for (const host of ['__proto__', 'constructor', 'toString']) {
    const other = await rig.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await other.expect('frontend not found');
  }
});

describe('the id of a request', () => {
  const idIn = (received: string) => /\r\nx-request-id: (\S+)\r\n/i.exec(received)?.[1];

  test('is the same at every backend that was asked and in the local reply', async (t) => {
    const rig = await Rig.start(t, { backends: 2 });
    for (const backend of rig.backends) {
      backend.serve((_request, peer) => {
        peer.socket.resetAndDestroy();
        return '';
      });
    }
    const client = await rig.send(get('/'));
    await client.expect(/^HTTP\/1\.1 502 /);
    const ids = rig.backends.map(({ received }) => idIn(received));
    assert.match(ids[0] ?? '', /^[0-9a-f]{32}$/);
    assert.deepEqual(ids, [idIn(client.received), idIn(client.received)]);
  });

  test('is that of a trusted peer, and of nobody else', async (t) => {
    for (const [options, expected] of [
      [trusting, /^abc-1$/],
      [{}, /^[0-9a-f]{32}$/],
    ] as const) {
      const rig = await Rig.start(t, options);
      const client = await rig.send('GET / HTTP/1.1\r\nHost: unknown.test\r\nX-Request-Id: abc-1\r\n\r\n');
      await client.expect(/^HTTP\/1\.1 400 /);
      assert.match(idIn(client.received) ?? '', expected);
    }
  });
});

import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { FrameType, Http2Error, preface, resetFrame, windowUpdateFrame } from '../../src/http2/frame.ts';
import { data, frame, headers } from '../helpers/http2-frames.ts';
import { Rig, type RigOptions } from '../helpers/rig.ts';
import { seeded } from '../helpers/seeded-random.ts';
import { until } from '../helpers/until.ts';

const protocols = ['h2', 'http/1.1'];
const get = [':method: GET', ':scheme: http', ':path: /', ':authority: a.test'];
const post = [':method: POST', ...get.slice(1)];
const ok = 'HTTP/1.1 200 OK\r\nDate: Sun, 29 Nov 2026 10:00:00 GMT\r\nContent-Length: 2\r\n\r\nok';

function start(test: TestContext, options: RigOptions = {}): Promise<Rig> {
  return Rig.start(test, { protocols, ...options });
}

/** Sets fields of a request, by their names. */
function but(lines: readonly string[], ...changes: readonly string[]): string[] {
  const nameOf = (line: string): string => line.slice(0, line.indexOf(': ', 1));
  const changed = lines.map((line) => changes.find((change) => nameOf(change) === nameOf(line)) ?? line);
  return [...changed, ...changes.filter((change) => !lines.some((line) => nameOf(line) === nameOf(change)))];
}

function without(lines: readonly string[], name: string): string[] {
  return lines.filter((line) => !line.startsWith(`${name}: `));
}

/** Header sections that are malformed, or that a server of HTTP/1 could read in another way, and the status. */
const refused: Readonly<Record<string, readonly [lines: readonly string[], status: number]>> = {
  'a field name in upper case (8.2.1)': [[...get, 'X-Upper: 1'], 400],
  'a line feed in a value (8.2.1)': [[...get, 'x: a\nevil: b'], 400],
  'a carriage return in a value (8.2.1)': [[...get, 'x: a\rb'], 400],
  'CR LF and a request in a value': [[...get, 'x: a\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a.test'], 400],
  'a NUL in a value (8.2.1)': [[...get, 'x: a\0b'], 400],
  'a blank before a value (8.2.1)': [[...get, 'x:  a'], 400],
  'a blank behind a value (8.2.1)': [[...get, 'x: a '], 400],
  'a blank in a name': [[...get, 'x y: a'], 400],
  'a line feed in a name': [[...get, 'x\ny: a'], 400],
  'a colon in a name': [[...get, 'x:y: a'], 400],
  'an empty name': [[...get, ': a'], 400],
  'a byte above 127 in a name': [[...get, 'x\xff: a'], 400],
  'connection (8.2.2)': [[...get, 'connection: close'], 400],
  'keep-alive (8.2.2)': [[...get, 'keep-alive: 5'], 400],
  'proxy-connection (8.2.2)': [[...get, 'proxy-connection: close'], 400],
  'upgrade (8.2.2)': [[...get, 'upgrade: websocket'], 400],
  'transfer-encoding: chunked (8.2.2)': [[...post, 'transfer-encoding: chunked'], 400],
  'transfer_encoding: chunked': [[...post, 'transfer_encoding: chunked'], 400],
  'te: gzip (8.2.2)': [[...get, 'te: gzip'], 400],
  'te: trailers, deflate (8.2.2)': [[...get, 'te: trailers, deflate'], 400],
  'no :method (8.3.1)': [without(get, ':method'), 400],
  'no :scheme (8.3.1)': [without(get, ':scheme'), 400],
  'no :path (8.3.1)': [without(get, ':path'), 400],
  'an empty :path (8.3.1)': [but(get, ':path: '), 400],
  'an empty :method': [but(get, ':method: '), 400],
  'an empty :authority': [but(get, ':authority: '), 400],
  'two :method (8.3)': [[':method: GET', ...get], 400],
  'two :path (8.3)': [[':path: /admin', ...get], 400],
  'two :scheme (8.3)': [[':scheme: https', ...get], 400],
  'two :authority (8.3)': [[':authority: b.test', ...get], 400],
  'a pseudo field behind others (8.3)': [['x: y', ...get], 400],
  ':status (8.3)': [[...get, ':status: 200'], 400],
  'an unknown pseudo field (8.3)': [[...get, ':x: y'], 400],
  'a :path without a slash': [but(get, ':path: admin'), 400],
  'a :path in absolute form': [but(get, ':path: http://b.test/'), 400],
  'a :path of two words': [but(get, ':path: / HTTP/1.1'), 400],
  'a :path with a request in it': [but(get, ':path: / HTTP/1.1\r\nHost: b.test\r\n\r\nGET /smuggled'), 400],
  'a :path with a fragment': [but(get, ':path: /a#b'), 400],
  'a :path of *': [but(get, ':path: *'), 400],
  'a :method of two words': [but(get, ':method: GET /smuggled HTTP/1.1'), 400],
  'a :method with CR LF': [but(get, ':method: GET / HTTP/1.1\r\nx: y'), 400],
  'a :scheme of another protocol': [but(get, ':scheme: ftp'), 400],
  'a :scheme with a path': [but(get, ':scheme: http://b.test/x?'), 400],
  'user information in :authority (8.3.1)': [but(get, ':authority: user@a.test'), 400],
  'a blank in :authority': [but(get, ':authority: a.test b.test'), 400],
  'a slash in :authority': [but(get, ':authority: a.test/b'), 400],
  'a host other than :authority': [[...get, 'host: b.test'], 400],
  'two hosts': [[...without(get, ':authority'), 'host: a.test', 'host: a.test'], 400],
  'two content lengths': [[...post, 'content-length: 2', 'content-length: 2'], 400],
  'a content length that is a list': [[...post, 'content-length: 2, 2'], 400],
  'a negative content length': [[...post, 'content-length: -1'], 400],
  'a content length of a request without a body (8.1.1)': [[...post, 'content-length: 5'], 400],
  'an expectation that is not known': [[...get, 'expect: 200-ok'], 417],
  'CONNECT (8.5)': [[':method: CONNECT', ':authority: a.test:443'], 405],
  ':protocol without CONNECT (RFC 8441 section 4)': [[...get, ':protocol: websocket'], 400],
  'a target that is too long': [but(get, `:path: /${'x'.repeat(9000)}`), 414],
  'a section that is too large': [[...get, ...Array.from({ length: 200 }, (_, i) => `x${i}: y`)], 431],
};

describe('requests over HTTP/2 that are refused reach no backend', () => {
  for (const [what, [lines, status]] of Object.entries(refused)) {
    test(what, async (t) => {
      const rig = await start(t);
      const client = await rig.http2();
      client.send(headers(1, lines));
      assert.equal((await client.response(1))?.status, status);
      // The connection goes on.
      rig.backend.serve(() => ok);
      client.send(headers(3, get));
      assert.equal((await client.response(3))?.body, 'ok');
      assert.equal(rig.backend.requests.length, 1);
      assert.equal(rig.backend.requests[0]?.startLine, 'GET / HTTP/1.1');
    });
  }
});

/** Requests, and the start line and the fields that a backend gets, without those about the client. */
const forwarded: Readonly<Record<string, readonly [lines: readonly string[], head: readonly string[]]>> = {
  plain: [get, ['GET / HTTP/1.1', 'Host: a.test']],
  'with fields in their order': [
    [...get, 'x-b: 1', 'accept: */*', 'x-a: 2', 'x-b: 3'],
    ['GET / HTTP/1.1', 'Host: a.test', 'x-b: 1', 'accept: */*', 'x-a: 2', 'x-b: 3'],
  ],
  'with a query': [but(get, ':path: /a?b=c&d'), ['GET /a?b=c&d HTTP/1.1', 'Host: a.test']],
  'with a host in place of :authority': [
    [...without(get, ':authority'), 'host: a.test'],
    ['GET / HTTP/1.1', 'Host: a.test'],
  ],
  'with both': [
    [...get, 'host: a.test'],
    ['GET / HTTP/1.1', 'Host: a.test'],
  ],
  'with a port in one of both': [
    [...but(get, ':authority: a.test:80'), 'host: a.test'],
    ['GET / HTTP/1.1', 'Host: a.test:80'],
  ],
  'with cookies, which become one (8.2.3)': [
    [...get, 'cookie: a=1', 'x: y', 'cookie: b=2', 'cookie: c=3'],
    ['GET / HTTP/1.1', 'Host: a.test', 'cookie: a=1; b=2; c=3', 'x: y'],
  ],
  'OPTIONS of the server': [but(get, ':method: OPTIONS', ':path: *'), ['OPTIONS * HTTP/1.1', 'Host: a.test']],
  'with te: trailers': [
    [...get, 'te: trailers'],
    ['GET / HTTP/1.1', 'Host: a.test', 'TE: trailers', 'Connection: TE'],
  ],
  'with fields about the client, which are dropped': [
    [...get, 'x-forwarded-for: 1.2.3.4', 'x_forwarded_for: 1.2.3.4', 'forwarded: for=1.2.3.4', 'x-real-ip: 1.2.3.4'],
    ['GET / HTTP/1.1', 'Host: a.test'],
  ],
  'of a method of its own': [but(get, ':method: M-SEARCH'), ['M-SEARCH / HTTP/1.1', 'Host: a.test']],
};

const ofProxy = /^(x-forwarded-|x-real-ip|x-request-id|traceparent|cdn-loop|forwarded)/i;

describe('requests over HTTP/2 reach a backend of HTTP/1.1', () => {
  for (const [what, [lines, head]] of Object.entries(forwarded)) {
    test(what, async (t) => {
      const rig = await start(t);
      rig.backend.serve(() => ok);
      const client = await rig.http2();
      client.send(headers(1, lines));
      assert.equal((await client.response(1))?.status, 200);
      const [got = ''] = rig.backend.received.split('\r\n\r\n');
      assert.deepEqual(
        got.split('\r\n').filter((line) => !ofProxy.test(line)),
        head,
      );
      assert.equal(got.includes('1.2.3.4'), false);
    });
  }

  test('with a body of a known length', async (t) => {
    const rig = await start(t);
    rig.backend.serve(() => ok);
    const client = await rig.http2();
    client.send(headers(1, [...post, 'content-length: 5'], false), data(1, 'he'), data(1, 'llo', true));
    assert.equal((await client.response(1))?.status, 200);
    assert.match(rig.backend.received, /\r\ncontent-length: 5\r\n[\s\S]*\r\n\r\nhello$/);
  });

  test('with a body of an unknown length, and trailers', async (t) => {
    const rig = await start(t);
    rig.backend.serve(() => ok);
    const client = await rig.http2();
    client.send(
      headers(1, post, false),
      data(1, 'hello'),
      headers(1, ['x-sum: 1', 'host: b.test', 'content-length: 9']),
    );
    assert.equal((await client.response(1))?.status, 200);
    assert.match(
      rig.backend.received,
      /\r\nTransfer-Encoding: chunked\r\n[\s\S]*\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n$/,
    );
  });

  test('that could have a body and has none', async (t) => {
    const rig = await start(t);
    rig.backend.serve(() => ok);
    const client = await rig.http2();
    client.send(headers(1, post));
    assert.equal((await client.response(1))?.status, 200);
    assert.match(rig.backend.received, /\r\nContent-Length: 0\r\n/);
  });

  test('with a length that has zeros before it, in both directions', async (t) => {
    const rig = await start(t);
    rig.backend.serve(() => 'HTTP/1.1 200 OK\r\nContent-Length: 0002\r\n\r\nok');
    const client = await rig.http2();
    client.send(headers(1, [...post, 'content-length: 0010'], false), data(1, '0123456789', true));
    assert.equal((await client.response(1))?.head, 'HEADERS 1 :status: 200, content-length: 2');
    assert.match(rig.backend.received, /\r\ncontent-length: 10\r\n/);
  });

  test('with bodies that come at the same time, cut anywhere', async (t) => {
    const rig = await start(t);
    const bodies = new Map<string, string>();
    rig.backend.serve(({ body, startLine }) => {
      bodies.set(startLine, body);
      return ok;
    });
    const client = await rig.http2();
    const random = seeded(1);
    const sent = [1, 3, 5, 7].map((id) => ({
      id,
      body: Array.from({ length: 5000 }, () => random().toString(36))
        .join('')
        .slice(0, 40_000),
    }));
    let frames = sent
      .map(({ body, id }) => headers(id, [...but(post, `:path: /${id}`), `content-length: ${body.length}`], false))
      .join('');
    for (let at = 0; at < 40_000; at += 1000) {
      for (const { body, id } of sent) frames += data(id, body.slice(at, at + 1000), at === 39_000);
    }
    for (let at = 0; at < frames.length; ) {
      const end = at + Math.ceil(random() * 9000);
      client.send(frames.slice(at, end));
      at = end;
      await nextTurn();
    }
    for (const { body, id } of sent) {
      assert.equal((await client.response(id))?.status, 200);
      assert.ok(bodies.get(`POST /${id} HTTP/1.1`) === body, `the body of stream ${id} is another one`);
    }
  });

  test('with trailers that are none', async (t) => {
    const connectionSpecific = ['connection: close', 'transfer-encoding: chunked', 'upgrade: h2c', 'te: gzip'];
    const others = [':path: /', 'X-Upper: 1', 'x: a\r\nb'];
    for (const trailer of [...connectionSpecific, ...others]) {
      const rig = await start(t);
      rig.backend.serve(() => ok);
      const client = await rig.http2();
      client.send(headers(1, post, false), data(1, 'hello'), headers(1, [trailer]));
      assert.notEqual((await client.response(1))?.status, 200);
      assert.doesNotMatch(rig.backend.received, /\r\n0\r\n/);
    }
  });

  test('of which the body is not as long as it says: the backend sees that it is incomplete', async (t) => {
    for (const rest of [data(1, 'hell', true), data(1, 'hello!', true)]) {
      const rig = await start(t, { settings: { bodyRateMin: 0 } });
      const client = await rig.http2();
      client.send(headers(1, [...post, 'content-length: 5'], false));
      await until('the head at the backend', () => rig.backend.received.includes('\r\n\r\n'));
      client.send(rest);
      assert.equal(await client.response(1), null);
      assert.deepEqual(client.lines, [`RST_STREAM 1 PROTOCOL_ERROR`]);
      await rig.backend.peers[0]?.untilClosed();
      assert.doesNotMatch(rig.backend.received, /hello!/);
    }
  });
});

/** Responses of a backend, and the frames for the client. */
const responses: Readonly<Record<string, readonly [response: string, frames: readonly string[]]>> = {
  'with a length': [
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Mixed: Case\r\n\r\nhello',
    ['HEADERS 1 :status: 200, content-length: 5, x-mixed: Case', 'DATA 1 hello', 'END 1'],
  ],
  'in chunks, with trailers': [
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n',
    ['HEADERS 1 :status: 200, trailer: x-sum', 'DATA 1 hello', 'HEADERS 1 x-sum: 1', 'END 1'],
  ],
  'without a body': ['HTTP/1.1 204 No Content\r\nX: y\r\n\r\n', ['HEADERS 1 :status: 204, x: y', 'END 1']],
  'with connection-specific fields': [
    'HTTP/1.1 200 OK\r\nConnection: keep-alive, x-hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n',
    ['HEADERS 1 :status: 200, content-length: 0', 'END 1'],
  ],
  'with cookies': [
    'HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n',
    ['HEADERS 1 :status: 200, set-cookie: a=1, set-cookie: b=2, content-length: 0', 'END 1'],
  ],
  'behind informational ones': [
    'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
    ['HEADERS 1 :status: 103, link: </a>', 'HEADERS 1 :status: 200, content-length: 0', 'END 1'],
  ],
};

describe('responses of a backend of HTTP/1.1 reach a client of HTTP/2', () => {
  for (const [what, [response, frames]] of Object.entries(responses)) {
    test(what, async (t) => {
      const rig = await start(t);
      rig.backend.serve(() => response);
      const client = await rig.http2();
      client.send(headers(1, get));
      await client.expect('END 1');
      assert.deepEqual(client.lines, frames);
    });
  }

  test('of which the head is the same again and again', async (t) => {
    const rig = await start(t);
    rig.backend.serve(() => ok);
    const client = await rig.http2();
    for (let id = 1; id < 40; id += 2) {
      client.send(headers(id, get));
      assert.equal((await client.response(id))?.head, `HEADERS ${id} :status: 200, content-length: 2`);
    }
  });

  test('to HEAD', async (t) => {
    const rig = await start(t);
    rig.backend.serve(() => 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n');
    const client = await rig.http2();
    client.send(headers(1, but(get, ':method: HEAD')));
    await client.expect('END 1');
    assert.deepEqual(client.lines, ['HEADERS 1 :status: 200, content-length: 5', 'END 1']);
  });

  test('that asks for credentials of a connection: the client is to come back with HTTP/1.1', async (t) => {
    const rig = await start(t);
    rig.backend.serve(
      () => 'HTTP/1.1 401 Unauthorized\r\nX-New: field\r\nWWW-Authenticate: NTLM\r\nContent-Length: 2\r\n\r\nno',
    );
    const client = await rig.http2();
    client.send(headers(1, get));
    await client.expect('RST_STREAM 1 HTTP_1_1_REQUIRED');
    assert.deepEqual(client.lines, ['RST_STREAM 1 HTTP_1_1_REQUIRED']);
    await until('the end of the connection to the backend', () =>
      rig.backend.peers.every(({ ended, closed }) => ended || closed),
    );
    // The tables of both sides still agree.
    rig.backend.serve(() => 'HTTP/1.1 200 OK\r\nX-New: field\r\nContent-Length: 0\r\n\r\n');
    for (const id of [3, 5]) {
      client.send(headers(id, get));
      assert.match((await client.response(id))?.head ?? '', /:status: 200, x-new: field, content-length: 0$/);
    }
  });

  test('that is cut off: the stream is reset', async (t) => {
    const rig = await start(t);
    const client = await rig.http2();
    client.send(headers(1, get));
    await until('the request', () => rig.backend.received.includes('\r\n\r\n'));
    rig.backend.peers[0]?.send('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe');
    await client.expect('DATA 1 he');
    rig.backend.peers[0]?.socket.destroy();
    await client.expect('RST_STREAM 1 INTERNAL_ERROR');
    // Another stream is not concerned.
    rig.backend.serve(() => ok);
    client.send(headers(3, get));
    assert.equal((await client.response(3))?.body, 'ok');
  });

  test('that is longer than the windows: it waits for the client, others do not', async (t) => {
    const rig = await start(t);
    const body = 'x'.repeat(200_000);
    rig.backend.serve(({ startLine }) =>
      startLine.startsWith('GET /long') ? `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}` : ok,
    );
    const client = await rig.http2();
    client.send(windowUpdateFrame(0, 1_000_000), headers(1, but(get, ':path: /long')));
    const got = (): number => client.dataBytes(1);
    await until('the window of the stream', () => got() === 65_535);
    client.send(headers(3, get));
    assert.equal((await client.response(3))?.body, 'ok');
    assert.equal(got(), 65_535);
    client.send(windowUpdateFrame(1, 1_000_000));
    await client.expect('END 1');
    assert.equal(got(), body.length);
  });
});

describe('clients of HTTP/2 that leave', () => {
  test('a reset ends the request at the backend, and no other', async (t) => {
    const rig = await start(t);
    const client = await rig.http2();
    client.send(headers(1, get), headers(3, get));
    await until(
      'both requests',
      () => rig.backend.peers.length === 2 && rig.backend.peers.every(({ received }) => received.includes('\r\n\r\n')),
    );
    client.send(resetFrame(1, Http2Error.CANCEL));
    await until(
      'one connection to end',
      () => rig.backend.peers.filter(({ ended, closed }) => ended || closed).length === 1,
    );
    assert.equal(rig.proxy.ended.at(-1)?.errorCode, 'CLIENT_GONE');
    rig.backend.peers.find(({ ended }) => !ended)?.send(ok);
    assert.equal((await client.response(3))?.body, 'ok');
  });

  test('the end of the connection ends all its requests', async (t) => {
    const rig = await start(t);
    const client = await rig.http2();
    client.send(headers(1, get), headers(3, get));
    await until('both requests', () => rig.backend.peers.length === 2);
    client.raw.close();
    for (const peer of rig.backend.peers) await peer.untilClosed();
    await until('both to be reported', () => rig.proxy.ended.length === 2);
  });

  test('one that does not read its response for too long is given up', async (t) => {
    const rig = await start(t, { settings: { inactivityMs: 300 } });
    rig.backend.serve(() => `HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n${'x'.repeat(100_000)}`);
    const client = await rig.http2();
    client.send(headers(1, get));
    await client.expect('RST_STREAM 1 CANCEL');
  });

  test('one that reads nothing is not read either: its requests do not pile up', async (t) => {
    const rig = await start(t, { settings: { writeBufferBytesMax: 4096 } });
    rig.backend.serve(
      () => `HTTP/1.1 204 No Content\r\nDate: Sun, 29 Nov 2026 10:00:00 GMT\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`,
    );
    const client = await rig.http2();
    client.raw.socket.pause();
    const { counters } = rig.proxy.dataPlane;
    let asked = 0;
    // Responses of 20 KB: 4,000 of them would be 80 MB. It knows when they have been made, and that its streams are free.
    while (asked < 4000) {
      for (let i = 0; i < 50; i++) client.send(headers(2 * asked++ + 1, get));
      const isRead = until('the requests', () => counters.requests === asked && counters.requestsInFlight === 0, 1000);
      if (
        !(await isRead.then(
          () => true,
          () => false,
        ))
      )
        break;
    }
    assert.ok(asked < 1000, `${asked} requests`);
    client.raw.socket.resume();
    await client.response(2 * asked - 1);
    assert.equal(counters.requests, asked);
  });

  test('one that sends its body too slowly gets 408', async (t) => {
    const rig = await start(t, { settings: { inactivityMs: 300 } });
    const client = await rig.http2();
    client.send(headers(1, [...post, 'content-length: 5'], false), data(1, 'h'));
    assert.equal((await client.response(1))?.status, 408);
  });

  test('one that speaks something else behind the preface ends alone', async (t) => {
    const rig = await start(t);
    rig.backend.serve(() => ok);
    const alike = await rig.send('PRI * HTTP/2.0\r\n\r\nGET / HTTP/1.1\r\n\r\n');
    await alike.expect(/^HTTP\/1\.1 505 /);
    const bad = await rig.send(`${preface}GET / HTTP/1.1\r\n\r\n`);
    await until('its end', () => bad.ended || bad.closed);
    const client = await rig.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n');
    await client.expect(/\r\n\r\nok$/);
  });

  test('an error of the connection is told to it, and ends its requests', async (t) => {
    const rig = await start(t);
    const client = await rig.http2();
    client.send(headers(1, get));
    await until('the request', () => rig.backend.received.includes('\r\n\r\n'));
    client.send(frame(FrameType.DATA, 0, 0, 'x'));
    await client.expect('GOAWAY 1 PROTOCOL_ERROR');
    await rig.backend.peers[0]?.untilClosed();
    await until('its end', () => client.raw.ended || client.raw.closed);
  });
});

test('a client that has closed its sending side gets its responses where that is allowed', async (t) => {
  const rig = await start(t, { halfClose: true });
  const client = await rig.http2();
  client.send(headers(1, get));
  await rig.backend.receive('\r\n\r\n');
  client.raw.socket.end();
  await until('the end to leave', () => client.raw.socket.writableFinished);
  rig.backend.peers[0]?.send(ok);
  assert.equal((await client.response(1))?.body, 'ok');
  await until('the end of the connection', () => client.raw.ended);
});

test('HTTP/1.1 and HTTP/2 share a port without TLS, where that is allowed', async (t) => {
  const rig = await start(t);
  rig.backend.serve(() => ok);
  const slow = await rig.client();
  for (const character of 'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n') slow.send(character);
  await slow.expect(/\r\n\r\nok$/);
  const alike = await rig.send('PRI');
  alike.send('NT / HTTP/1.1\r\nHost: a.test\r\n\r\n');
  await alike.expect(/\r\n\r\nok$/);
  const plain = await Rig.start(t);
  const client = await plain.send('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  await client.expect(/^HTTP\/1\.1 505 /);
});

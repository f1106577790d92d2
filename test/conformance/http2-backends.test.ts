import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { goAwayFrame, Http2Error, resetFrame, Setting, settingsFrame } from '../../src/http2/frame.ts';
import { Http2Backend } from '../helpers/http2-backend.ts';
import { block, data, frame, headers } from '../helpers/http2-frames.ts';
import { get, Rig, type RigOptions, request, response } from '../helpers/rig.ts';
import { until } from '../helpers/until.ts';

const ok = [':status: 200', 'x-app: one'];
const asked = [':method: POST', ':scheme: http', ':path: /', ':authority: a.test', 'te: trailers'];

/** A proxy whose host has a backend that speaks HTTP/2; one in reserve, so that the first may be marked. */
async function start(
  t: TestContext,
  options: RigOptions = {},
  backendOptions: Parameters<typeof Http2Backend.start>[1] = {},
): Promise<{ rig: Rig; backend: Http2Backend }> {
  const rig = await Rig.start(t, options);
  const backend = await Http2Backend.start(t, backendOptions);
  rig.backend.serve(() => response('reserve'));
  rig.proxy.route('a.test', [backend.url, `${rig.backend.url}#backup`]);
  return { rig, backend };
}

function post(body: string, ...lines: readonly string[]): string {
  return `${request('POST / HTTP/1.1', `Content-Length: ${body.length}`, ...lines)}${body}`;
}

describe('a backend that speaks HTTP/2', () => {
  it('gets a request of HTTP/1.1 without what belongs to a connection', async (t) => {
    const { rig, backend } = await start(t);
    backend.serve((stream, peer) => peer.send(headers(stream, ok, false), data(stream, 'hello', true)));
    const fields = ['Connection: keep-alive, x-own', 'X-Own: 1', 'Keep-Alive: 5', 'TE: trailers', 'X-Kept: Two'];
    const got = await rig.ask(get('/x?y=z', ...fields, 'Cookie: a=b', 'Connection: te'));
    assert.match(got, /^HTTP\/1\.1 200 \r\nx-app: one\r\n/);
    assert.match(got, /\r\n\r\n5\r\nhello\r\n0\r\n\r\n$/);
    const [head = ''] = backend.peer.lines;
    assert.match(head, /^HEADERS 1 :method: GET, :scheme: http, :authority: a\.test, :path: \/x\?y=z, x-kept: Two, /);
    assert.match(head, /, cookie: a=b, te: trailers, x-forwarded-for: 127\.0\.0\.1, /);
    assert.doesNotMatch(head, /x-own|keep-alive|connection|, host:/);
  });

  it('gets a body of any size, and sends one', async (t) => {
    const { rig, backend } = await start(t);
    const body = 'x'.repeat(200_000);
    backend.onFrame((peer, line) => {
      const [, stream, length] = /^DATA (\d+) (\d+) bytes$/.exec(line) ?? [];
      if (stream === undefined) return;
      const update = Buffer.alloc(4);
      update.writeUInt32BE(Number(length));
      peer.send(frame(8, 0, 0, update.toString('latin1')), frame(8, 0, Number(stream), update.toString('latin1')));
    });
    const client = await rig.send(post(body));
    await backend.connections(1);
    await backend.peer.expect('END 1');
    assert.equal(backend.peer.dataBytes(1), body.length);
    backend.peer.send(headers(1, [...ok, 'content-length: 200000'], false));
    for (let at = 0; at < 60_000; at += 10_000) backend.peer.send(data(1, body.slice(0, 10_000)));
    await until('the first part', () => client.received.length > 60_000);
    // As much as its window had; the rest comes once the client has read.
    for (let at = 60_000; at < 200_000; at += 10_000) {
      await backend.peer.expect(/^WINDOW_UPDATE 1 /);
      backend.peer.send(data(1, body.slice(0, 10_000), at === 190_000));
    }
    await until('all of it', () => client.received.endsWith(`\r\n\r\n${body}`));
    assert.match(client.received, /\r\ncontent-length: 200000\r\n/);
    client.close();
  });

  it('serves many requests on one connection, also if they come before it is there', async (t) => {
    const { rig, backend } = await start(t);
    const streams: number[] = [];
    backend.serve((stream) => streams.push(stream));
    const clients = await Promise.all(Array.from({ length: 20 }, () => rig.send(get('/'))));
    await until('all requests', () => streams.length === 20);
    assert.equal(backend.peers.length, 1);
    // The last comes first: none waits for another one.
    for (const stream of streams.toReversed()) {
      backend.peer.send(headers(stream, [...ok, 'content-length: 0']));
    }
    for (const client of clients) await client.expect(/^HTTP\/1\.1 200 /);
    assert.equal(rig.proxy.dataPlane.counters.backendConnectionsOpen, 1);
  });

  it('gets a second connection when the first has no room, and further requests wait', async (t) => {
    const settings = settingsFrame([[Setting.MAX_CONCURRENT_STREAMS, 2]]);
    const { rig, backend } = await start(t, { settings: { backendConnectionsMax: 2 } }, { settings });
    const clients = await Promise.all(Array.from({ length: 6 }, () => rig.send(get('/'))));
    const begun = (): number =>
      backend.peers.reduce((sum, { lines }) => sum + lines.filter((line) => line.startsWith('HEADERS')).length, 0);
    await until('four requests', () => begun() === 4);
    await until('two that wait', () => rig.proxy.dataPlane.origins.waitingRequests === 2);
    assert.equal(backend.peers.length, 2);
    backend.serve((stream, peer) => peer.send(headers(stream, ok)));
    for (const peer of backend.peers) peer.send(headers(1, ok), headers(3, ok));
    for (const client of clients) await client.expect(/^HTTP\/1\.1 200 /);
    assert.equal(begun(), 6);
  });

  it('has the body of an empty response told to clients of HTTP/1.1', async (t) => {
    const { rig, backend } = await start(t);
    backend.serve((stream, peer) => peer.send(headers(stream, ok)));
    assert.match(await rig.ask(get('/')), /\r\nContent-Length: 0\r\n/);
    assert.doesNotMatch(await rig.ask(request('HEAD / HTTP/1.1')), /Content-Length/i);
  });

  it('is not asked for bodies where there are none', async (t) => {
    const { rig, backend } = await start(t);
    backend.serve((stream, peer) =>
      peer.send(headers(stream, [...ok, 'content-length: 5'], false), data(stream, '', true)),
    );
    assert.match(await rig.ask(request('HEAD / HTTP/1.1')), /\r\ncontent-length: 5\r\n.*\r\n\r\n$/s);
    backend.serve((stream, peer) => peer.send(headers(stream, [':status: 304', 'etag: "a"'])));
    assert.match(await rig.ask(get('/')), /^HTTP\/1\.1 304 \r\netag: "a"\r\n/);
  });

  it('may send informational responses and trailers', async (t) => {
    const { rig, backend } = await start(t);
    backend.serve((stream, peer) => {
      const early = headers(stream, [':status: 103', 'link: </a>'], false);
      peer.send(early, headers(stream, ok, false), data(stream, 'x'), headers(stream, ['x-sum: 1']));
    });
    const got = await rig.ask(get('/', 'TE: trailers', 'Connection: TE'));
    assert.match(
      got,
      /^HTTP\/1\.1 103 \r\nlink: <\/a>\r\n\r\nHTTP\/1\.1 200 .*\r\n\r\n1\r\nx\r\n0\r\nx-sum: 1\r\n\r\n$/s,
    );
  });

  it('may respond before the request has ended, and gets no more of it', async (t) => {
    const { rig, backend } = await start(t);
    backend.onFrame((peer, line) => {
      if (line.startsWith('HEADERS 1 ')) peer.send(headers(1, [':status: 413']));
    });
    const client = await rig.send(request('POST / HTTP/1.1', 'Content-Length: 100000'));
    await client.expect(/^HTTP\/1\.1 413 /);
    await backend.peer.expect('RST_STREAM 1 CANCEL');
    client.close();
  });

  it('is told when the client goes, and its other requests go on', async (t) => {
    const { rig, backend } = await start(t);
    const one = await rig.send(get('/1'));
    const two = await rig.send(get('/2'));
    await backend.connections(1);
    await backend.peer.expect(/^HEADERS 3 /);
    one.close();
    await backend.peer.expect(/^RST_STREAM \d CANCEL$/);
    const gone = backend.peer.lines.includes('RST_STREAM 1 CANCEL') ? 1 : 3;
    backend.peer.send(headers(4 - gone, ok));
    await two.expect(/^HTTP\/1\.1 200 /);
    assert.equal(backend.peers.length, 1);
  });
});

/** What a backend sends for a request on stream 1, and what the log says of it. */
const faults: readonly (readonly [name: string, frames: string, code: string, detail: RegExp])[] = [
  ['no status', headers(1, ['x: y']), 'BACKEND_RESPONSE_INVALID', /status/],
  ['two', headers(1, [':status: 200', ':status: 200']), 'BACKEND_RESPONSE_INVALID', /status/],
  ['101', headers(1, [':status: 101'], false), 'BACKEND_RESPONSE_INVALID', /101/],
  ['a status of four digits', headers(1, [':status: 2000']), 'BACKEND_RESPONSE_INVALID', /status/],
  ['a pseudo field behind others', headers(1, ['x: y', ':status: 200']), 'BACKEND_RESPONSE_INVALID', /status/],
  ['a pseudo field of requests', headers(1, [':status: 200', ':path: /']), 'BACKEND_RESPONSE_INVALID', /status/],
  ['upper case', headers(1, [...ok, 'X-A: b']), 'BACKEND_RESPONSE_INVALID', /upper case/],
  ['a line feed in a value', headers(1, [...ok, 'x: a\nb']), 'BACKEND_RESPONSE_INVALID', /control/],
  ['connection', headers(1, [...ok, 'connection: close']), 'BACKEND_RESPONSE_INVALID', /connection-specific/],
  ['transfer-encoding', headers(1, [...ok, 'transfer-encoding: chunked']), 'BACKEND_RESPONSE_INVALID', /specific/],
  ['two lengths', headers(1, [...ok, 'content-length: 1', 'content-length: 1']), 'BACKEND_RESPONSE_INVALID', /length/],
  ['a length that is none', headers(1, [...ok, 'content-length: +1']), 'BACKEND_RESPONSE_INVALID', /length/],
  ['a length without a body', headers(1, [...ok, 'content-length: 1']), 'BACKEND_RESPONSE_INVALID', /length/],
  ['an end after 103', headers(1, [':status: 103']), 'BACKEND_RESPONSE_INVALID', /before the head/],
  ['data before the head', data(1, 'x'), 'BACKEND_RESPONSE_INVALID', /before the head/],
  ['a reset', resetFrame(1, Http2Error.INTERNAL_ERROR), 'BACKEND_STREAM_RESET', /INTERNAL_ERROR/],
  [
    'a head that is too large',
    headers(1, [...ok, ...new Array(50).fill('x: y')]),
    'BACKEND_RESPONSE_TOO_LARGE',
    /large/,
  ],
];

describe('a fault of a backend in one stream', () => {
  const responseLimits = { headBytesMax: 1000, headFieldsMax: 100, targetBytesMax: 0 };
  for (const [name, frames, code, detail] of faults) {
    it(`${name}: ends that request, marks nothing, and the connection goes on`, async (t) => {
      const { rig, backend } = await start(t, { settings: { responseLimits, retriesMax: 0 } });
      const client = await rig.send(post('x'));
      await backend.connections(1);
      await backend.peer.expect('END 1');
      const other = await rig.send(get('/'));
      await backend.peer.expect('END 3');
      backend.peer.send(frames);
      await client.expect(/^HTTP\/1\.1 502 /);
      backend.peer.send(headers(3, ok));
      await other.expect(/^HTTP\/1\.1 200 /);
      await until('both ends', () => rig.proxy.ended.length === 2);
      assert.equal(rig.proxy.ended[0]?.errorCode, code);
      assert.match(rig.proxy.ended[0]?.errorDetail ?? '', detail);
      assert.deepEqual(rig.proxy.marks, []);
      assert.equal(backend.peers.length, 1);
    });
  }

  for (const [name, frames] of [
    ['more than its length', data(1, 'xyz')],
    ['less than its length', data(1, 'x', true)],
    ['a reset', resetFrame(1, Http2Error.CANCEL)],
    ['trailers with a pseudo field', headers(1, [':status: 200'])],
  ] as const) {
    it(`${name}: resets the client that has a part, and no other one`, async (t) => {
      const { rig, backend } = await start(t);
      const client = await rig.send(get('/'));
      await backend.connections(1);
      await backend.peer.expect('END 1');
      backend.peer.send(headers(1, [...ok, 'content-length: 2'], false));
      await client.expect(/\r\n\r\n/);
      backend.peer.send(frames);
      await until('a reset', () => client.reset);
      backend.serve((stream, peer) => peer.send(headers(stream, ok)));
      assert.match(await rig.ask(get('/')), /^HTTP\/1\.1 200 /);
      assert.equal(backend.peers.length, 1);
    });
  }
});

describe('a request that a backend has not begun with', () => {
  for (const [name, frames] of [
    ['a refused stream', resetFrame(1, Http2Error.REFUSED_STREAM)],
    ['a GOAWAY', goAwayFrame(0, Http2Error.NO_ERROR)],
    ['a GOAWAY with an error', goAwayFrame(0, Http2Error.ENHANCE_YOUR_CALM)],
  ] as const) {
    it(`${name}: is sent again, whatever its method, and marks nothing`, async (t) => {
      const { rig, backend } = await start(t);
      let isFirst = true;
      backend.serve((stream, peer) => {
        peer.send(isFirst ? frames : headers(stream, ok));
        isFirst = false;
      });
      assert.match(await rig.ask(post('abc')), /^HTTP\/1\.1 200 /);
      const all = backend.peers.flatMap(({ lines }) => lines).filter((line) => line.startsWith('DATA'));
      assert.equal(all.length, 2);
      assert.match(all[1] ?? '', / abc$/);
      assert.deepEqual(rig.proxy.marks, []);
      assert.equal(rig.proxy.ended[0]?.attempts, 2);
    });
  }

  it('gets 503 if it is refused again and there is no other backend', async (t) => {
    const { rig, backend } = await start(t);
    rig.proxy.route('a.test', [backend.url]);
    backend.serve((stream, peer) => peer.send(resetFrame(stream, Http2Error.REFUSED_STREAM)));
    assert.match(await rig.ask(post('abc')), /^HTTP\/1\.1 503 .*BACKEND_STREAM_REFUSED/s);
  });

  it('goes to another backend if it is refused again', async (t) => {
    const { rig, backend } = await start(t, { random: () => 0 });
    rig.backend.serve(() => response('other'));
    rig.proxy.route('a.test', [backend.url, rig.backend.url]);
    rig.proxy.options('a.test', { balance: 'round-robin' });
    backend.serve((stream, peer) => peer.send(resetFrame(stream, Http2Error.REFUSED_STREAM)));
    for (let i = 0; i < 2; i++) assert.match(await rig.ask(post('abc')), /other$/);
  });

  it('is not sent again if it may have been begun with', async (t) => {
    const { rig, backend } = await start(t);
    backend.serve((_stream, peer) => peer.raw.socket.destroy());
    assert.match(await rig.ask(post('abc')), /^HTTP\/1\.1 502 .*BACKEND_RESET/s);
    assert.equal(backend.peers.length, 1);
  });
});

describe('the connection to a backend', () => {
  it('is left behind a GOAWAY: requests in it end, and others get a new one', async (t) => {
    const { rig, backend } = await start(t);
    const one = await rig.send(get('/1'));
    await backend.connections(1);
    await backend.peer.expect('END 1');
    backend.peer.send(goAwayFrame(0x7fff_ffff, Http2Error.NO_ERROR));
    backend.serve((stream, peer) => peer.send(headers(stream, ok)));
    // The GOAWAY may come behind the next request.
    await until('a second connection', async () => {
      assert.match(await rig.ask(get('/2')), /^HTTP\/1\.1 200 /);
      return backend.peers.length === 2;
    });
    backend.peer.send(headers(1, ok));
    await one.expect(/^HTTP\/1\.1 200 /);
    await backend.peer.raw.untilClosed();
  });

  it('fails at once if the backend does not speak HTTP/2', async (t) => {
    const rig = await Rig.start(t, { settings: { retriesMax: 0 } });
    rig.backend.onBytes((peer) => peer.send('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n'));
    rig.proxy.route('a.test', [rig.backend.url.replace('http:', 'h2c:')]);
    assert.match(await rig.ask(get('/')), /^HTTP\/1\.1 502 .*BACKEND_CONNECT_REFUSED/s);
    assert.match(rig.proxy.ended[0]?.errorDetail ?? '', /does not speak HTTP\/2/);
  });

  it('has the time to connect for the settings of the backend', async (t) => {
    const rig = await Rig.start(t, { settings: { retriesMax: 0, connectTimeoutMs: 50 } });
    rig.backend.onBytes(() => {});
    rig.proxy.route('a.test', [rig.backend.url.replace('http:', 'h2c:')]);
    assert.match(await rig.ask(get('/')), /^HTTP\/1\.1 504 .*BACKEND_CONNECT_TIMEOUT/s);
  });

  it('that is lost without a response is replaced once, and only then marks', async (t) => {
    const { rig, backend } = await start(t, { random: () => 0 });
    rig.backend.serve(() => response('other'));
    rig.proxy.route('a.test', [backend.url, rig.backend.url]);
    backend.serve((stream, peer) => peer.send(headers(stream, ok)));
    assert.match(await rig.ask(get('/')), /x-app: one/);
    let lost = 0;
    backend.serve((_stream, peer) => {
      lost++;
      peer.raw.socket.destroy();
    });
    assert.match(await rig.ask(get('/')), /other$/);
    assert.equal(lost, 2);
    assert.deepEqual(rig.proxy.marks, [{ url: backend.url, reason: 'BACKEND_RESET' }]);
  });

  it('takes no more requests while it does not reply to a ping after a request without a response', async (t) => {
    const options = { settings: { inactivityMs: 300, retriesMax: 0 } };
    const { rig, backend } = await start(t, options, { pongs: false });
    const client = await rig.send(get('/'));
    await client.expect(/^HTTP\/1\.1 504 /);
    await backend.peer.expect(/^PING /);
    backend.serve((stream, peer) => {
      if (peer !== backend.peer) peer.send(headers(stream, ok));
    });
    assert.match(await rig.ask(get('/')), /^HTTP\/1\.1 200 /);
    assert.equal(backend.peers.length, 2);
  });

  it('is spared before it has had as many resets as servers take for an attack (nodejs/node#56306)', async (t) => {
    const { rig, backend } = await start(t, { protocols: ['h2'] });
    const client = await rig.http2();
    const count = (start: string): number =>
      backend.peers.flatMap(({ lines }) => lines).filter((line) => line.startsWith(start)).length;
    for (let sent = 0; sent < 1100; sent += 50) {
      const streams = Array.from({ length: 50 }, (_, at) => 2 * (sent + at) + 1);
      client.send(...streams.map((stream) => headers(stream, asked)));
      await until('the requests', () => count('HEADERS') === sent + 50);
      client.send(...streams.map((stream) => resetFrame(stream, Http2Error.CANCEL)));
      await until('their resets', () => count('RST_STREAM') === sent + 50);
    }
    assert.ok(backend.peers.length > 1);
    for (const { lines } of backend.peers) {
      assert.ok(lines.filter((line) => line.startsWith('RST_STREAM')).length < 1000);
    }
    // The client is not disconnected either.
    backend.serve((stream, peer) => peer.send(headers(stream, ok)));
    client.send(headers(2201, asked));
    await client.expect('END 2201');
  });

  it('ends when it was idle for its time', async (t) => {
    const { rig, backend } = await start(t, { settings: { backendIdleMs: 50 } });
    backend.serve((stream, peer) => peer.send(headers(stream, ok)));
    await rig.ask(get('/'));
    await backend.peer.expect(/^GOAWAY 0 NO_ERROR/);
    await backend.peer.raw.untilClosed();
    await until('its end', () => rig.proxy.dataPlane.counters.backendConnectionsOpen === 0);
  });

  it('that is full for its backend (ENHANCE_YOUR_CALM, as of Node) gets no more, and the request goes to another', async (t) => {
    const { rig, backend } = await start(t);
    backend.serve((stream, peer) => {
      if (peer !== backend.peer) peer.send(headers(stream, ok));
      else if (stream === 3) peer.send(resetFrame(stream, Http2Error.ENHANCE_YOUR_CALM));
    });
    const first = await rig.send(get('/1'));
    await backend.connections(1);
    await backend.peer.expect('END 1');
    for (let i = 0; i < 3; i++) assert.match(await rig.ask(get('/2')), /^HTTP\/1\.1 200 /);
    assert.equal(backend.peers.length, 2);
    assert.deepEqual(rig.proxy.marks, []);
    backend.peer.send(headers(1, ok));
    await first.expect(/^HTTP\/1\.1 200 /);
    await backend.peer.raw.untilClosed();
  });

  it('does not get a request of a backend that allows none, and is not made again and again', async (t) => {
    const settings = settingsFrame([[Setting.MAX_CONCURRENT_STREAMS, 0]]);
    const { rig, backend } = await start(t, { settings: { connectTimeoutMs: 50, retriesMax: 0 } }, { settings });
    assert.match(await rig.ask(get('/')), /^HTTP\/1\.1 504 .*BACKEND_CONNECT_TIMEOUT/s);
    assert.equal(backend.peers.length, 1);
    assert.deepEqual(backend.peer.lines, []);
  });

  it('gets the requests that wait once the backend allows more', async (t) => {
    const settings = settingsFrame([[Setting.MAX_CONCURRENT_STREAMS, 1]]);
    const { rig, backend } = await start(t, { settings: { backendConnectionsMax: 1 } }, { settings });
    const clients = await Promise.all(Array.from({ length: 3 }, () => rig.send(get('/'))));
    await until('two that wait', () => rig.proxy.dataPlane.origins.waitingRequests === 2);
    backend.peer.send(settingsFrame([[Setting.MAX_CONCURRENT_STREAMS, 3]]));
    await backend.peer.expect('END 5');
    for (const stream of [1, 3, 5]) backend.peer.send(headers(stream, ok));
    for (const client of clients) await client.expect(/^HTTP\/1\.1 200 /);
  });

  it('that begins with a GOAWAY counts as refused', async (t) => {
    const settings = settingsFrame([]) + goAwayFrame(0, Http2Error.NO_ERROR);
    const { rig } = await start(t, { settings: { retriesMax: 0 } }, { settings });
    // Where the two come one after the other, the request has been sent.
    assert.match(await rig.ask(get('/')), /^HTTP\/1\.1 50[23] .*BACKEND_(CONNECT_REFUSED|STREAM_REFUSED)/s);
  });

  it('serves a request that comes while the proxy stops', async (t) => {
    const { rig, backend } = await start(t);
    backend.serve((stream, peer) => peer.send(headers(stream, ok)));
    const client = await rig.send(get('/1'));
    await client.expect(/x-app: one/);
    const drained = rig.proxy.dataPlane.drain({ forMs: 1000, closeCode: 1001 });
    client.send(get('/2'));
    await client.expect(/x-app: one.*x-app: one/s);
    client.close();
    await drained;
  });

  it('goes on for others while clients do not read', async (t) => {
    const { rig, backend } = await start(t);
    const streams: number[] = [];
    backend.serve((stream) => streams.push(stream));
    const slow = await Promise.all(Array.from({ length: 40 }, () => rig.send(get('/'))));
    for (const { socket } of slow) socket.pause();
    await until('all of them', () => streams.length === 40);
    // Each as much as its window has: 2.5 MiB in all.
    const part = 'x'.repeat(16_000);
    for (const stream of streams) {
      backend.peer.send(headers(stream, ok, false), ...Array.from({ length: 4 }, () => data(stream, part)));
    }
    backend.serve((stream, peer) => peer.send(headers(stream, ok)));
    assert.match(await rig.ask(get('/')), /^HTTP\/1\.1 200 /);
    for (const client of slow) client.close();
  });

  it('serves one request if connections are not kept', async (t) => {
    const { rig, backend } = await start(t, { settings: { backendKeepAlive: false } });
    backend.serve((stream, peer) => peer.send(headers(stream, ok)));
    for (let i = 0; i < 2; i++) await rig.ask(get('/'));
    assert.equal(backend.peers.length, 2);
  });
});

describe('HTTP/2 on both sides', () => {
  it('carries trailers both ways, and a response that consists of a head alone', async (t) => {
    const { rig, backend } = await start(t, { protocols: ['h2'] });
    backend.serve((stream, peer) => {
      if (stream === 1) peer.send(headers(stream, ok, false), data(stream, 'y'), headers(stream, ['x-sum: 2']));
      else peer.send(headers(stream, [...ok, 'grpc-status: 5']));
    });
    const client = await rig.http2();
    client.send(headers(1, asked, false), data(1, 'x'), frame(1, 5, 1, block('x-sum: 1')));
    await client.expect('END 1');
    client.send(headers(3, asked));
    await client.expect('END 3');
    const shown = client.lines.map((line) => line.replace(/, (date|x-request-id): [^,]+/g, ''));
    assert.deepEqual(
      shown.filter((line) => !line.startsWith('PING')),
      [
        'HEADERS 1 :status: 200, x-app: one',
        'DATA 1 y',
        'HEADERS 1 x-sum: 2',
        'END 1',
        'HEADERS 3 :status: 200, x-app: one, grpc-status: 5',
        'END 3',
      ],
    );
    const lines = backend.peer.lines;
    assert.deepEqual(lines.slice(1, 4), ['DATA 1 x', 'HEADERS 1 x-sum: 1', 'END 1']);
  });
});

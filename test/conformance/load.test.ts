import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RawClient } from '../helpers/raw-client.ts';
import { get, Rig, request, response } from '../helpers/rig.ts';
import { until, untilStill } from '../helpers/until.ts';

describe('case 29: slow clients', () => {
  test('a head that is never completed gets 408, and the connection is closed', async (t) => {
    const rig = await Rig.start(t, { settings: { headTimeoutMs: 300 } });
    const client = await rig.send('GET / HTTP/1.1\r\nHost: a.test\r\n');
    await client.untilEnded();
    assert.deepEqual(client.statuses, [408]);
    assert.match(client.received, /\r\nx-hipache-error: REQUEST_TIMEOUT\r\n/);
    assert.equal(rig.backend.peers.length, 0);
  });

  test('a head that trickles in gets 408 as well', async (t) => {
    const rig = await Rig.start(t, { settings: { headTimeoutMs: 600 } });
    const client = await rig.send('GET / HTTP/1.1\r\nHost: a.test\r\nX: ');
    await until('the response', () => {
      if (!client.ended && !client.closed) client.send('x');
      return client.ended || client.closed;
    });
    assert.deepEqual(client.statuses, [408]);
  });

  test('so does the head of a later request', async (t) => {
    const rig = await Rig.start(t, { settings: { headTimeoutMs: 300 } });
    rig.backend.serve(() => response('ok'));
    const client = await rig.send(`${get('/')}GET / HTTP/1.1\r\n`);
    await client.untilEnded();
    assert.deepEqual(client.statuses, [200, 408]);
  });

  test('a connection on which nothing or only an empty line arrives is closed without a response', async (t) => {
    const rig = await Rig.start(t, { settings: { headTimeoutMs: 300 } });
    const silent = await rig.client();
    const blank = await rig.send('\r\n');
    await silent.untilEnded();
    await blank.untilEnded();
    assert.equal(silent.received + blank.received, '');
  });

  test('a connection that is idle between requests is closed', async (t) => {
    const rig = await Rig.start(t, { settings: { keepAliveMs: 300 } });
    rig.backend.serve(() => response('ok'));
    const client = await rig.send(get('/'));
    await client.untilEnded();
    assert.deepEqual(client.statuses, [200]);
  });

  test('a body that stops gets 408, and both connections end', async (t) => {
    const rig = await Rig.start(t, { settings: { inactivityMs: 300 } });
    const client = await rig.send(`${request('POST / HTTP/1.1', 'Content-Length: 10')}hello`);
    const peer = await rig.backend.peer();
    await client.untilEnded();
    await peer.untilClosed();
    assert.deepEqual(client.statuses, [408]);
    assert.match(peer.received, /\r\n\r\nhello$/);
  });

  test('a client that does not read is cut off, along with its backend connection', async (t) => {
    const rig = await Rig.start(t, { settings: { inactivityMs: 300 } });
    const client = await rig.client();
    client.socket.pause();
    client.send(get('/'));
    const peer = await rig.backend.peer();
    await rig.backend.receive('\r\n\r\n');
    peer.send('HTTP/1.1 200 OK\r\n\r\n');
    await until('the end of the connections', () => {
      if (peer.socket.writableLength === 0) peer.socket.write(Buffer.alloc(256 * 1024));
      return rig.proxy.dataPlane.counters.clientConnectionsOpen === 0;
    });
    await until('the backend connection', () => peer.closed || peer.ended);
    assert.equal(rig.proxy.ended[0]?.errorCode, 'CLIENT_GONE');
    assert.equal(rig.proxy.ended[0]?.errorDetail, 'stopped reading');
  });

  test('a client that reads slowly is served', async (t) => {
    const rig = await Rig.start(t, { settings: { inactivityMs: 3000, writeBufferBytesMax: 16_384 } });
    const client = await rig.client();
    client.socket.pause();
    client.send(get('/'));
    const peer = await rig.backend.peer();
    await rig.backend.receive('\r\n\r\n');
    const length = 12 * 1024 * 1024;
    peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`);
    peer.socket.write(Buffer.alloc(length, 'x'));
    const counted = slowly(client, 1024 * 1024);
    await until('the whole response', () => counted.bytes > length, 40_000);
    assert.equal(client.reset, false);
    assert.equal(rig.proxy.ended[0]?.errorCode, null);
  });
});

/** Lets the client read this many bytes every 100 ms, and counts them. */
function slowly(client: RawClient, bytesPerTurn: number): { bytes: number } {
  const counted = { bytes: 0 };
  let allowed = bytesPerTurn;
  client.socket.removeAllListeners('data');
  client.socket.on('data', (bytes: Buffer) => {
    counted.bytes += bytes.length;
    allowed -= bytes.length;
    if (allowed <= 0) client.socket.pause();
  });
  const timer = setInterval(() => {
    allowed = bytesPerTurn;
    client.socket.resume();
  }, 100);
  client.socket.once('close', () => clearInterval(timer));
  client.socket.resume();
  return counted;
}

describe('case 29: oversized messages', () => {
  const head = (bytes: number): string => {
    const lines = get('/refused', 'X: ');
    return get('/refused', `X: ${'x'.repeat(bytes - lines.length)}`);
  };
  const target = (bytes: number): string => request(`GET /${'x'.repeat(bytes - 1)} HTTP/1.1`);
  const fields = (count: number): string => get('/', ...Array.from({ length: count - 1 }, (_, at) => `X-${at}: y`));

  test('a head at the limit passes, one byte more gets 431', async (t) => {
    const rig = await Rig.start(t, { settings: { headBytesMax: 2000 } });
    rig.backend.serve(() => response('ok'));
    const passing = await rig.send(head(2000));
    await passing.expect('ok');
    const refused = await rig.send(head(2001));
    await refused.untilEnded();
    assert.deepEqual(refused.statuses, [431]);
    assert.equal(rig.backend.requests.length, 1);
  });

  test('an endless field gets 431', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.send(`GET / HTTP/1.1\r\nX: ${'x'.repeat(40_000)}`);
    await client.untilEnded();
    assert.deepEqual(client.statuses, [431]);
    assert.equal(rig.backend.peers.length, 0);
  });

  test('as many fields as the limit pass, one more gets 431', async (t) => {
    const rig = await Rig.start(t);
    rig.backend.serve(() => response('ok'));
    const passing = await rig.send(fields(100));
    await passing.expect('ok');
    const refused = await rig.send(fields(101));
    await refused.untilEnded();
    assert.deepEqual(refused.statuses, [431]);
  });

  test('a target at the limit passes, one byte more gets 414', async (t) => {
    const rig = await Rig.start(t);
    rig.backend.serve(() => response('ok'));
    const passing = await rig.send(target(8192));
    await passing.expect('ok');
    const refused = await rig.send(target(8193));
    await refused.untilEnded();
    assert.deepEqual(refused.statuses, [414]);
    assert.equal(rig.backend.requests.length, 1);
  });

  test('an endless target gets 414, an endless method 400 or 431', async (t) => {
    const rig = await Rig.start(t);
    const endless = await rig.send(`GET /${'x'.repeat(60_000)}`);
    await endless.untilEnded();
    assert.deepEqual(endless.statuses, [414]);
    const method = await rig.send('G'.repeat(60_000));
    await method.untilEnded();
    assert.deepEqual(method.statuses, [431]);
  });

  test('endless trailers get 400', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.send(
      `${request('POST / HTTP/1.1', 'Transfer-Encoding: chunked')}0\r\nX: ${'y'.repeat(40_000)}`,
    );
    await client.untilEnded();
    assert.deepEqual(client.statuses, [400]);
  });
});

describe('case 29: very many clients', () => {
  test('2000 idle connections are held while another is served, and leave nothing behind', async (t) => {
    const rig = await Rig.start(t);
    rig.backend.serve(() => response('ok'));
    const { counters } = rig.proxy.dataPlane;
    for (let count = 0; count < 2000; count += 100) {
      await Promise.all(Array.from({ length: 100 }, (_, at) => (at % 2 === 0 ? rig.client() : rig.send('GET / '))));
    }
    await until('all connections', () => counters.clientConnectionsOpen === 2000);
    const client = await rig.send(get('/'));
    await client.expect('ok');
    assert.equal(counters.requestsInFlight, 0);
  });

  test('connections beyond the limit are closed at once, and accepted again once others have gone', async (t) => {
    const rig = await Rig.start(t, { settings: { connectionsMax: 2 } });
    rig.backend.serve(() => response('ok'));
    const { counters } = rig.proxy.dataPlane;
    const first = await rig.client();
    const second = await rig.client();
    await until('both', () => counters.clientConnectionsOpen === 2);
    const third = await rig.client();
    await third.untilEnded();
    assert.equal(third.received, '');
    assert.equal(counters.clientConnectionsRefused, 1);
    first.close();
    await until('one to be gone', () => counters.clientConnectionsOpen === 1);
    const fourth = await rig.send(get('/'));
    await fourth.expect('ok');
    second.send(get('/'));
    await second.expect('ok');
  });

  test('requests of a host beyond its limit get 503 and reach no backend', async (t) => {
    const rig = await Rig.start(t, { settings: { requestsMax: 1 } });
    const first = await rig.send(get('/1'));
    const peer = await rig.backend.peer();
    await rig.backend.receive('\r\n\r\n');
    const second = await rig.send(get('/2'));
    await second.expect('overloaded');
    assert.deepEqual(second.statuses, [503]);
    assert.match(second.received, /\r\nx-hipache-error: OVERLOADED\r\nretry-after: 1\r\n/);
    assert.equal(rig.proxy.frontend('a.test').load.inFlight, 1);
    peer.send(response('first'));
    await first.expect('first');
    second.send(get('/3'));
    await rig.backend.receive('/3');
    peer.send(response('third'));
    await second.expect('third');
    assert.doesNotMatch(rig.backend.received, /\/2/);
  });

  test('a host with its own policy is subject to that, and no other host is', async (t) => {
    const rig = await Rig.start(t);
    const urls = [`http://127.0.0.1:${rig.backend.port}`];
    rig.proxy.route('small.test', urls, 'small', { requestsMax: 1 });
    await rig.send(get('/1').replace('a.test', 'small.test'));
    await rig.backend.receive('/1');
    const second = await rig.send(get('/2').replace('a.test', 'small.test'));
    await second.expect('overloaded');
    await rig.send(get('/3'));
    await rig.send(get('/4'));
    await rig.backend.receive('/4');
    assert.doesNotMatch(rig.backend.received, /\/2/);
  });
});

describe('case 11: a client that pipelines and never reads', () => {
  test('is no longer read: neither its requests nor their responses pile up', async (t) => {
    const rig = await Rig.start(t);
    const body = 'x'.repeat(100_000);
    rig.backend.serve(() => response(body));
    const client = await rig.client();
    client.socket.pause();
    const batch = get('/').repeat(20_000);
    const { counters } = rig.proxy.dataPlane;
    // The kernel's buffers are full in both directions, and nothing moves.
    await untilStill('the proxy to stop reading', () => {
      if (client.socket.writableLength < batch.length) client.send(batch);
      return counters.requests;
    });
    assert.ok(client.socket.writableLength > 0);
    const asked = counters.requests;
    assert.ok(counters.requestsInFlight <= 1);
    // The client reads: everything continues, in order.
    client.socket.resume();
    await until('more requests', () => counters.requests > asked + 10);
  });
});

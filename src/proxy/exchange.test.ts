import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { get, Rig, request, response, undated } from '../../test/helpers/rig.ts';
import { until, untilStill } from '../../test/helpers/until.ts';

describe('a request body', () => {
  test('with a length reaches the backend as it arrives', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.send(request('POST / HTTP/1.1', 'Content-Length: 10'));
    await rig.backend.receive('\r\n\r\n');
    for (const part of ['hel', 'lowor', 'ld']) {
      client.send(part);
      await rig.backend.receive(part);
    }
    assert.match(rig.backend.received, /\r\nContent-Length: 10\r\n.*\r\n\r\nhelloworld$/s);
    (await rig.backend.peer()).send(response('done'));
    await client.expect('done');
  });

  test('in chunks reaches the backend in new chunks, without extensions, with its trailers', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.send(request('POST / HTTP/1.1', 'Transfer-Encoding: chunked', 'Trailer: X-Sum'));
    await rig.backend.receive('\r\n\r\n');
    client.send('5;a=b\r\nhello\r\n');
    await rig.backend.receive('\r\n\r\n5\r\nhello\r\n');
    client.send('00A ;'.replace(' ', ''));
    client.send('x\r\n01234');
    await rig.backend.receive('5\r\n01234\r\n');
    client.send('56789\r\n0;end\r\nX-Sum: 1\r\nHost: evil\r\n\r\n');
    await rig.backend.receive('5\r\n56789\r\n0\r\nX-Sum: 1\r\n\r\n');
    assert.match(rig.backend.received, /\r\nTrailer: X-Sum\r\n/);
    (await rig.backend.peer()).send(response('done'));
    await client.expect('done');
  });

  test('that is large arrives completely', async (t) => {
    const rig = await Rig.start(t);
    const body = Array.from({ length: 300_000 }, (_, at) => String.fromCharCode(at % 251)).join('');
    let received = 0;
    rig.backend.serve((message) => {
      received = message.body.length;
      return response(message.body === body ? 'same' : 'other');
    });
    const client = await rig.send(request('POST / HTTP/1.1', `Content-Length: ${body.length}`) + body + get('/'));
    await client.expect(/same.*other/s);
    assert.equal(received, 0);
  });
});

describe('a response body', () => {
  test('with a length reaches the client as it arrives', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.send(get('/'));
    const peer = await rig.backend.peer();
    await rig.backend.receive('\r\n\r\n');
    peer.send('HTTP/1.1 200 Fine\r\nX-A: b\r\nContent-Length: 10\r\n\r\nhello');
    await client.expect('hello');
    peer.send('world');
    await client.expect('world');
    assert.equal(undated(client.received), 'HTTP/1.1 200 Fine\r\nX-A: b\r\nContent-Length: 10\r\n\r\nhelloworld');
  });

  test('in chunks reaches the client in new chunks, with its trailers except the forbidden ones', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.send(get('/', 'TE: trailers'));
    const peer = await rig.backend.peer();
    await rig.backend.receive('\r\nTE: trailers\r\nConnection: TE\r\n\r\n');
    peer.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5;x=y\r\nhello\r\n');
    await client.expect('5\r\nhello\r\n');
    peer.send(
      '5\r\nworld\r\n0\r\nX-Sum: 1\r\nContent-Length: 5\r\nSet-Cookie: a=b\r\nTransfer-Encoding: chunked\r\n\r\n',
    );
    await client.expect('0\r\nX-Sum: 1\r\n\r\n');
    assert.equal(
      undated(client.received),
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n' +
        '5\r\nhello\r\n5\r\nworld\r\n0\r\nX-Sum: 1\r\n\r\n',
    );
    assert.equal(client.closed, false);
  });

  test('up to the end of the connection reaches an HTTP/1.1 client in chunks; its connection is kept', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.send(get('/'));
    const peer = await rig.backend.peer();
    await rig.backend.receive('\r\n\r\n');
    peer.send('HTTP/1.0 200 OK\r\nContent-Type: x\r\nConnection: close\r\n\r\nhello');
    await client.expect('hello');
    peer.socket.end();
    await client.expect('0\r\n\r\n');
    assert.equal(
      undated(client.received),
      'HTTP/1.1 200 OK\r\nContent-Type: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
    );
    rig.backend.serve(() => response('next'));
    client.send(get('/next'));
    await client.expect('next');
  });

  test('up to the end of the connection can be empty', async (t) => {
    const rig = await Rig.start(t);
    rig.backend.serve((_, peer) => {
      peer.socket.end('HTTP/1.1 200 OK\r\n\r\n');
      return '';
    });
    const client = await rig.send(get('/') + request('GET / HTTP/1.0'));
    await client.untilEnded();
    assert.equal(
      undated(client.received),
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.0 200 OK\r\nConnection: close\r\n\r\n',
    );
  });

  test('is followed by the end of the connection if the request asks to close', async (t) => {
    const rig = await Rig.start(t);
    rig.backend.serve(() => response('done'));
    const client = await rig.send(get('/', 'Connection: close') + get('/never'));
    await client.untilEnded();
    assert.equal(undated(client.received), 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ndone');
    assert.doesNotMatch(rig.backend.received, /never|connection/i);
  });

  test('comes without hop-by-hop fields and those that Connection names', async (t) => {
    const rig = await Rig.start(t);
    rig.backend.serve(() =>
      response(
        'done',
        '200 OK',
        'X-Hop: 1',
        'Connection: x-hop',
        'Keep-Alive: 5',
        'Upgrade: h2c',
        'Proxy-Connection: x',
        'X: y',
      ),
    );
    const client = await rig.send(get('/'));
    await client.expect('done');
    assert.equal(undated(client.received), 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX: y\r\n\r\ndone');
  });
});

test('OPTIONS * reaches the backend unchanged', async (t) => {
  const rig = await Rig.start(t);
  rig.backend.serve(() => response('done'));
  const client = await rig.send(request('OPTIONS * HTTP/1.1'));
  await client.expect('done');
  assert.match(rig.backend.received, /^OPTIONS \* HTTP\/1\.1\r\nHost: a\.test\r\n/);
});

test('a response that begins before the request has ended is passed on, and both can continue', async (t) => {
  const rig = await Rig.start(t);
  const client = await rig.send(`${request('POST / HTTP/1.1', 'Transfer-Encoding: chunked')}3\r\none\r\n`);
  await rig.backend.receive('one');
  const peer = await rig.backend.peer();
  peer.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nONE\r\n');
  await client.expect('ONE');
  client.send('3\r\ntwo\r\n0\r\n\r\n');
  await rig.backend.receive('two\r\n0\r\n\r\n');
  peer.send('3\r\nTWO\r\n0\r\n\r\n');
  await client.expect('TWO\r\n0\r\n\r\n');
});

describe('backpressure reaches the sender', () => {
  test('from a slow client: the proxy stops reading from the backend', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.client();
    client.socket.pause();
    client.send(get('/'));
    const peer = await rig.backend.peer();
    await rig.backend.receive('\r\n\r\n');
    const chunk = Buffer.alloc(1024 * 1024, 'x');
    const length = 200 * chunk.length;
    peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`);
    let written = 0;
    const taken = (): number => written - peer.socket.writableLength;
    await untilStill('the backend to block', () => {
      while (peer.socket.writableLength < chunk.length && written < length) {
        peer.socket.write(chunk);
        written += chunk.length;
      }
      return taken();
    });
    // The kernel's buffers on both sides, and a few of the proxy's own.
    assert.ok(taken() < 64 * chunk.length, `${taken()} bytes were taken`);
    let received = 0;
    client.socket.removeAllListeners('data');
    client.socket.on('data', (bytes: Buffer) => {
      received += bytes.length;
    });
    client.socket.resume();
    while (written < length) {
      await until('the backend to continue', () => peer.socket.writableLength < 8 * chunk.length);
      peer.socket.write(chunk);
      written += chunk.length;
    }
    await until('the whole response', () => received > length);
    assert.equal(rig.proxy.ended[0]?.errorCode, null);
  });

  test('from a slow backend: the proxy stops reading from the client', async (t) => {
    const rig = await Rig.start(t);
    const chunk = Buffer.alloc(1024 * 1024, 'x');
    const length = 200 * chunk.length;
    const client = await rig.send(request('POST / HTTP/1.1', `Content-Length: ${length}`));
    const peer = await rig.backend.peer();
    peer.socket.pause();
    let written = 0;
    const taken = (): number => written - client.socket.writableLength;
    await untilStill('the client to block', () => {
      while (client.socket.writableLength < chunk.length && written < length) {
        client.socket.write(chunk);
        written += chunk.length;
      }
      return taken();
    });
    assert.ok(taken() < 64 * chunk.length, `${taken()} bytes were taken`);
    let received = 0;
    peer.socket.removeAllListeners('data');
    peer.socket.on('data', (bytes: Buffer) => {
      received += bytes.length;
    });
    peer.socket.resume();
    while (written < length) {
      await until('the client to continue', () => client.socket.writableLength < 8 * chunk.length);
      client.socket.write(chunk);
      written += chunk.length;
    }
    await until('the whole body', () => received >= length);
    peer.send(response('done'));
    await client.expect('done');
  });

  test('from a pending route lookup: the proxy stops reading the body', async (t) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const rig = await Rig.start(t, { beforeLoad: () => promise });
    const chunk = Buffer.alloc(1024 * 1024, 'x');
    const length = 40 * chunk.length;
    const client = await rig.send(request('POST / HTTP/1.1', `Content-Length: ${length}`));
    for (let at = 0; at < 40; at++) client.socket.write(chunk);
    await until('the lookup', () => rig.proxy.lookups.length === 1);
    const left = await untilStill('the client to block', () => client.socket.writableLength);
    assert.ok(left > 20 * chunk.length, `${length - left} bytes were taken`);
    resolve();
    const peer = await rig.backend.peer();
    await until('the whole body', () => peer.received.length > length);
    peer.send(response('done'));
    await client.expect('done');
  });
});

describe('a client that goes away', () => {
  test('during its response: the backend connection is destroyed', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.send(get('/'));
    const peer = await rig.backend.peer();
    await rig.backend.receive('\r\n\r\n');
    peer.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello');
    await client.expect('hello');
    client.socket.resetAndDestroy();
    await peer.untilClosed();
    await rig.proxy.untilQuiet();
    assert.equal(rig.proxy.ended[0]?.errorCode, 'CLIENT_GONE');
    assert.deepEqual(rig.proxy.marks, []);
  });

  for (const how of ['reset', 'end'] as const) {
    test(`during its body (${how}): the backend connection is destroyed`, async (t) => {
      const rig = await Rig.start(t, { backends: 2 });
      const client = await rig.send(`${request('POST / HTTP/1.1', 'Content-Length: 10')}hello`);
      await until('the body', () => rig.backends.some(({ received }) => received.endsWith('hello')));
      const used = rig.backends.find(({ peers }) => peers.length > 0) ?? rig.backend;
      if (how === 'reset') client.socket.resetAndDestroy();
      else client.socket.end();
      await (await used.peer()).untilClosed();
      await rig.proxy.untilQuiet();
      assert.equal(rig.proxy.ended[0]?.errorCode, 'CLIENT_GONE');
      assert.deepEqual(rig.proxy.marks, []);
      assert.equal(rig.backends.flatMap(({ peers }) => peers).length, 1);
    });
  }

  test('before its response: the backend connection is destroyed, and there is no retry', async (t) => {
    const rig = await Rig.start(t, { backends: 2 });
    const client = await rig.send(get('/'));
    await until('the request', () => rig.backends.some(({ received }) => received.endsWith('\r\n\r\n')));
    client.socket.resetAndDestroy();
    await until('the end', () => rig.proxy.dataPlane.counters.backendConnectionsOpen === 0);
    assert.equal(rig.proxy.dataPlane.counters.retries, 0);
  });

  test('by closing its sending side after the request: the backend connection is destroyed', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.send(get('/slow'));
    await rig.backend.receive('/slow');
    client.socket.end();
    await (await rig.backend.peer()).untilClosed();
    await client.untilEnded();
    assert.equal(client.received, '');
    assert.deepEqual(
      rig.proxy.ended.map(({ errorCode, status }) => ({ errorCode, status })),
      [{ errorCode: 'CLIENT_GONE', status: 0 }],
    );
  });

  test('by closing its sending side in the middle of the response: the backend connection is destroyed', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.send(get('/events'));
    const peer = await rig.backend.peer();
    peer.send('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n');
    await client.expect('data: 1');
    client.socket.end();
    await peer.untilClosed();
  });

  test('with requests behind the current one: none of them is begun', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.send(get('/1') + get('/2'));
    const peer = await rig.backend.peer();
    await rig.backend.receive('/1');
    client.socket.resetAndDestroy();
    await peer.untilClosed();
    await rig.proxy.untilQuiet();
    assert.doesNotMatch(rig.backend.received, /\/2/);
  });

  test('half-closed where that is allowed: it gets its response, and the end', async (t) => {
    const rig = await Rig.start(t, { halfClose: true });
    const client = await rig.client();
    client.socket.end(`${request('POST / HTTP/1.1', 'Content-Length: 5')}hello`, 'latin1');
    await rig.backend.receive('hello');
    (await rig.backend.peer()).send(response('done'));
    await client.untilEnded();
    assert.match(client.received, /^HTTP\/1\.1 200 OK\r\n.*\r\n\r\ndone$/s);
  });

  test('half-closed after several requests where that is allowed: it gets all responses', async (t) => {
    const rig = await Rig.start(t, { halfClose: true });
    rig.backend.serve(({ startLine }) => response(startLine));
    const client = await rig.client();
    client.socket.end(get('/1') + get('/2') + get('/3'), 'latin1');
    await client.untilEnded();
    assert.deepEqual(client.statuses, [200, 200, 200]);
  });

  test('half-closed where that is allowed, within the next head: it gets its response, and the end', async (t) => {
    const rig = await Rig.start(t, { halfClose: true });
    rig.backend.serve(({ startLine }) => response(startLine));
    const client = await rig.client();
    client.socket.end(`${get('/1')}GET / HT`, 'latin1');
    await client.untilEnded();
    assert.deepEqual(client.statuses, [200]);
  });

  test('within a head: it gets nothing', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.client();
    client.socket.end('GET / HTTP/1.1\r\nHost: a.test\r\n');
    await client.untilEnded();
    assert.equal(client.received, '');
  });
});

describe('a silent backend', () => {
  test('before its response: 504, and its connection is destroyed', async (t) => {
    const rig = await Rig.start(t, { settings: { inactivityMs: 300 } });
    const client = await rig.send(request('POST / HTTP/1.1', 'Content-Length: 0'));
    await client.expect('backend did not respond in time');
    assert.deepEqual(client.statuses, [504]);
    await (await rig.backend.peer()).untilClosed();
    rig.backend.serve(({ startLine }) => (startLine.startsWith('GET') ? response('next') : ''));
    client.send(get('/'));
    await client.expect('next');
  });

  test('within its response: the client is reset', async (t) => {
    const rig = await Rig.start(t, { settings: { responseIdleMs: 300 } });
    const client = await rig.send(get('/'));
    const peer = await rig.backend.peer();
    await rig.backend.receive('\r\n\r\n');
    peer.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello');
    await until('the reset', () => client.reset);
    await peer.untilClosed();
    assert.equal(rig.proxy.ended[0]?.errorCode, 'BACKEND_RESPONSE_SILENT');
    assert.equal(rig.proxy.ended[0]?.backend, rig.backend.url);
  });

  test('within its response may be silent for longer than before its response', async (t) => {
    const rig = await Rig.start(t, { settings: { inactivityMs: 300 } });
    const events = await rig.send(get('/events'));
    const peer = await rig.backend.peer();
    await rig.backend.receive('/events');
    peer.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n');
    await events.expect('first');
    // A request that begins after the last event is given up meanwhile.
    const silent = await rig.send(get('/silent'));
    await silent.expect('backend did not respond in time');
    peer.send('6\r\nsecond\r\n0\r\n\r\n');
    await events.expect('second');
    assert.deepEqual(events.statuses, [200]);
  });

  test('within the head of its response: 504', async (t) => {
    const rig = await Rig.start(t, { settings: { inactivityMs: 300 } });
    const client = await rig.send(get('/'));
    const peer = await rig.backend.peer();
    await rig.backend.receive('\r\n\r\n');
    peer.send('HTTP/1.1 200 OK\r\n');
    await client.expect('backend did not respond in time');
  });

  test('that does not accept the body: 504', async (t) => {
    const rig = await Rig.start(t, { settings: { inactivityMs: 300 } });
    const client = await rig.send(request('POST / HTTP/1.1', 'Content-Length: 100000000'));
    const peer = await rig.backend.peer();
    peer.socket.pause();
    client.socket.write(Buffer.alloc(50_000_000));
    await client.expect('backend did not respond in time');
    assert.deepEqual(client.statuses, [504]);
  });

  test('without an inactivity limit: the response still arrives', async (t) => {
    const rig = await Rig.start(t, { settings: { inactivityMs: 0, headTimeoutMs: 200, keepAliveMs: 200 } });
    const client = await rig.send(get('/'));
    await rig.backend.receive('\r\n\r\n');
    const idle = await rig.client();
    await idle.untilEnded();
    (await rig.backend.peer()).send(response('late'));
    await client.expect('late');
  });

  test('with an idle connection: it is closed after its timeout', async (t) => {
    const rig = await Rig.start(t, { settings: { backendIdleMs: 300 } });
    rig.backend.serve(() => response('done'));
    const client = await rig.send(get('/'));
    await client.expect('done');
    await (await rig.backend.peer()).untilClosed();
    client.send(get('/'));
    await client.expect(/done.*done/s);
    assert.equal(rig.backend.peers.length, 2);
  });
});

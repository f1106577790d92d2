import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { ReferenceMessage } from '../helpers/reference-parser.ts';
import { readRequests, values } from '../helpers/reference-parser.ts';
import { get, Rig, request, response, undated } from '../helpers/rig.ts';
import { until } from '../helpers/until.ts';

const next = get('/next');

/** Sends `text` followed by a second request. Both must arrive as two requests and get responses. */
async function exchange(t: TestContext, text: string): Promise<ReferenceMessage> {
  const rig = await Rig.start(t);
  rig.backend.serve(({ startLine }) => response(startLine.startsWith('HEAD') ? '' : `to ${startLine}`));
  const client = await rig.send(text + next);
  await client.expect('to GET /next');
  assert.deepEqual(client.statuses, [200, 200]);
  const requests = readRequests(rig.backend.received);
  assert.deepEqual(
    requests.map(({ startLine }) => startLine),
    [text.slice(0, text.indexOf('\r\n')), 'GET /next HTTP/1.1'],
  );
  assert.equal(client.closed, false);
  return requests[0] as ReferenceMessage;
}

describe('case 8: a body reaches the backend, and the next request is framed, with', () => {
  for (const method of ['DELETE', 'OPTIONS', 'GET', 'HEAD', 'PUT', 'POST', 'PATCH', 'PROPFIND']) {
    test(`${method} and chunks without a length (CVE-2026-29057)`, async (t) => {
      const sent = request(`${method} /first HTTP/1.1`, 'Transfer-Encoding: chunked');
      const { body, chunked, fields } = await exchange(t, `${sent}5\r\nhello\r\n0\r\n\r\n`);
      assert.equal(body, 'hello');
      assert.equal(chunked, true);
      assert.deepEqual(values(fields, 'content-length'), []);
    });

    test(`${method} and a length`, async (t) => {
      const sent = request(`${method} /first HTTP/1.1`, 'Content-Length: 29');
      // The content of the body makes no difference.
      const { body, chunked } = await exchange(t, `${sent}GET /smuggled HTTP/1.1\r\nHost: `.slice(0, sent.length + 29));
      assert.equal(body, 'GET /smuggled HTTP/1.1\r\nHost:');
      assert.equal(chunked, false);
    });
  }

  test('a length of 0', async (t) => {
    const { body } = await exchange(t, request('POST /first HTTP/1.1', 'Content-Length: 0'));
    assert.equal(body, '');
  });

  test('no length and no coding: no body', async (t) => {
    const { body } = await exchange(t, request('POST /first HTTP/1.1'));
    assert.equal(body, '');
  });

  test('a length with leading zeros', async (t) => {
    const { body } = await exchange(t, `${request('POST /first HTTP/1.1', 'Content-Length: 005')}hello`);
    assert.equal(body, 'hello');
  });

  test('a length of any number of leading zeros', async (t) => {
    const { body } = await exchange(t, `${request('POST /first HTTP/1.1', `Content-Length: ${'0'.repeat(60)}5`)}hello`);
    assert.equal(body, 'hello');
  });

  const sizes: Record<string, string> = {
    'many leading zeros': `${'0'.repeat(60)}5\r\nhello\r\n${'0'.repeat(60)}\r\n\r\n`,
    'blanks before and around extensions (RFC 9112 section 7.1.1)': '5 \t; a = "b" ;\tc\r\nhello\r\n0 ;d\r\n\r\n',
  };
  for (const [name, chunked] of Object.entries(sizes)) {
    test(`chunk sizes with ${name}`, async (t) => {
      const { body } = await exchange(t, request('POST /first HTTP/1.1', 'Transfer-Encoding: chunked') + chunked);
      assert.equal(body, 'hello');
    });
  }

  test('CHUNKED in capitals, with extensions, which are dropped', async (t) => {
    const sent = request('POST /first HTTP/1.1', 'Transfer-Encoding: CHUNKED');
    const { body } = await exchange(t, `${sent}3;a=b\r\nhel\r\n02;c="d;e"\r\nlo\r\n000;f\r\n\r\n`);
    assert.equal(body, 'hello');
  });
});

test('case 6: one empty line before a request is skipped', async (t) => {
  const rig = await Rig.start(t);
  rig.backend.serve(({ startLine }) => response(`to ${startLine}`));
  const client = await rig.send(`\r\n${get('/first')}\r\n${next}`);
  await client.expect('to GET /next');
  assert.match(rig.backend.received, /^GET \/first HTTP\/1\.1\r\n/);
  assert.deepEqual(
    readRequests(rig.backend.received).map(({ startLine }) => startLine),
    ['GET /first HTTP/1.1', 'GET /next HTTP/1.1'],
  );
});

describe('case 9: Expect', () => {
  const expecting = request('PUT /first HTTP/1.1', 'Expect: 100-continue', 'Content-Length: 5');

  test('100-continue goes to the backend, its 100 to the client, and then the body', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.send(expecting);
    const peer = await rig.backend.peer();
    await rig.backend.receive('\r\n\r\n');
    assert.match(peer.received, /\r\nExpect: 100-continue\r\n/);
    peer.send('HTTP/1.1 100 Continue\r\n\r\n');
    await client.expect('HTTP/1.1 100 Continue\r\n\r\n');
    client.send('hello');
    await rig.backend.receive('\r\n\r\nhello');
    peer.send(response('done', '201 Created'));
    await client.expect('done');
    assert.deepEqual(client.statuses, [100, 201]);
    client.send(next);
    await rig.backend.receive('hello' + 'GET /next');
    peer.send(response('again'));
    await client.expect('again');
    assert.equal(rig.backend.peers.length, 1);
  });

  for (const value of ['100-continue, 100-continue', ',100-Continue,', '100-continue \t']) {
    test(`${JSON.stringify(value)} is the same (RFC 9110 sections 5.6.1 and 10.1.1)`, async (t) => {
      const rig = await Rig.start(t);
      const client = await rig.send(request('PUT /first HTTP/1.1', `Expect: ${value}`, 'Content-Length: 5'));
      const peer = await rig.backend.peer();
      await rig.backend.receive('\r\n\r\n');
      peer.send('HTTP/1.1 100 Continue\r\n\r\n');
      await client.expect('HTTP/1.1 100 Continue\r\n\r\n');
      client.send('hello');
      await rig.backend.receive('\r\n\r\nhello');
      peer.send(response('done'));
      await client.expect('done');
    });
  }

  test('an empty value expects nothing, and is not forwarded', async (t) => {
    const { body, fields } = await exchange(
      t,
      `${request('PUT /first HTTP/1.1', 'Expect:', 'Content-Length: 5')}hello`,
    );
    assert.equal(body, 'hello');
    assert.deepEqual(values(fields, 'expect'), []);
  });

  test('anything else gets 417, and nothing is forwarded', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.send(request('PUT / HTTP/1.1', 'Expect: 200-ok', 'Content-Length: 5'));
    await client.untilEnded();
    assert.deepEqual(client.statuses, [417]);
    assert.equal(rig.backend.received, '');
  });

  test('both 100-continue and something else get 417', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.send(
      `${request('PUT / HTTP/1.1', 'Expect: 100-continue', 'Expect: x', 'Content-Length: 5')}hello`,
    );
    await client.untilEnded();
    assert.deepEqual(client.statuses, [417]);
    assert.equal(rig.backend.received, '');
  });

  for (const status of ['200 OK', '401 Unauthorized', '413 Content Too Large', '417 Expectation Failed']) {
    test(`a backend that sends ${status} before reading the body is not reused (CVE-2025-4366, CVE-2025-32094)`, async (t) => {
      const rig = await Rig.start(t);
      const client = await rig.send(expecting);
      const peer = await rig.backend.peer();
      await rig.backend.receive('\r\n\r\n');
      peer.send(response('early', status));
      await client.expect('early');
      await peer.untilClosed();
      // The bytes that follow are or are not the body: nobody may take them for a request.
      client.send(`GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n`);
      await client.untilEnded();
      assert.deepEqual(client.statuses, [Number(status.slice(0, 3))]);
      assert.match(client.received, /\r\nConnection: close\r\n/);
      rig.backend.serve(() => response('fresh'));
      const other = await rig.send(next);
      await other.expect('fresh');
      assert.equal(rig.backend.peers.length, 2);
      assert.doesNotMatch(rig.backend.received, /smuggled/);
    });
  }

  test('a backend that responds within a body is not reused, and the rest is dropped', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.send(`${request('POST / HTTP/1.1', 'Content-Length: 1000')}part`);
    const peer = await rig.backend.peer();
    await rig.backend.receive('\r\n\r\npart');
    peer.send(response('enough', '413 Content Too Large'));
    await client.expect('enough');
    await peer.untilClosed();
    client.send('x'.repeat(996) + next);
    await client.untilEnded();
    assert.deepEqual(client.statuses, [413]);
    assert.equal(rig.backend.received.endsWith('part'), true);
  });

  test('in HTTP/1.0, 100-continue means nothing: it is not forwarded, and no 100 is sent', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.send(`${request('PUT / HTTP/1.0', 'Expect: 100-continue', 'Content-Length: 5')}hello`);
    const peer = await rig.backend.peer();
    await rig.backend.receive('hello');
    peer.send(`HTTP/1.1 100 Continue\r\n\r\n${response('done')}`);
    await client.expect('done');
    assert.doesNotMatch(peer.received, /expect/i);
    assert.deepEqual(client.statuses, [200]);
  });
});

describe('case 10: request trailers', () => {
  const trailers = [
    'Content-Length: 5',
    'Transfer-Encoding: chunked',
    'Host: evil.test',
    'Authorization: Basic eDp5',
    'X-Forwarded-For: 1.2.3.4',
    'X_Forwarded_For: 1.2.3.4',
    'X-Real-IP: 1.2.3.4',
    'Forwarded: for=1.2.3.4',
    'X-Request-Id: x',
    'Cookie: a=b',
    'Connection: close',
    'Trailer: X',
    'TE: trailers',
    'Set-Cookie: a=b',
    'Content-Type: text/plain',
    'Cache-Control: no-store',
    'X-Debug: 1',
  ];

  test('those for framing, routing or authorisation are dropped, and the others kept', async (t) => {
    const sent = request('POST /first HTTP/1.1', 'Transfer-Encoding: chunked', 'Trailer: X-Checksum');
    const all = [...trailers, 'X-Checksum: abc', '__proto__: y'].map((line) => `${line}\r\n`).join('');
    const message = await exchange(t, `${sent}5\r\nhello\r\n0\r\n${all}\r\n`);
    assert.deepEqual(message.trailers, [
      ['X-Checksum', 'abc'],
      ['__proto__', 'y'],
    ]);
    assert.deepEqual(values(message.fields, 'host'), ['a.test']);
  });

  for (const trailer of trailers) {
    test(`${trailer} is dropped`, async (t) => {
      const sent = request('POST /first HTTP/1.1', 'Transfer-Encoding: chunked');
      const message = await exchange(t, `${sent}0\r\n${trailer.toLowerCase()}\r\n\r\n`);
      assert.deepEqual(message.trailers, []);
    });
  }
});

describe('case 11: pipelined requests', () => {
  const first = `${request('POST /1 HTTP/1.1', 'Transfer-Encoding: chunked')}3\r\nabc\r\n2;x\r\nde\r\n0\r\nX-T: t\r\n\r\n`;
  const second = `${request('PUT /2 HTTP/1.1', 'Content-Length: 4')}four`;
  const pipeline = first + second + get('/3') + get('/4', 'Connection: close');
  const expected = [
    ['POST /1 HTTP/1.1', 'abcde'],
    ['PUT /2 HTTP/1.1', 'four'],
    ['GET /3 HTTP/1.1', ''],
    ['GET /4 HTTP/1.1', ''],
  ];

  async function check(t: TestContext, send: (rig: Rig) => Promise<string>): Promise<void> {
    const rig = await Rig.start(t);
    rig.backend.serve(({ startLine }) => response(`<${startLine}>`));
    const received = await send(rig);
    assert.deepEqual(
      [...received.matchAll(/<(.*?)>/g)].map(([, line]) => line),
      expected.map(([line]) => line),
    );
    assert.deepEqual(
      readRequests(rig.backend.received).map(({ startLine, body }) => [startLine, body]),
      expected,
    );
  }

  test('are answered in order, and each is framed as sent', async (t) => {
    await check(t, async (rig) => {
      const client = await rig.send(pipeline);
      await client.untilEnded();
      return client.received;
    });
  });

  test('can arrive byte by byte', async (t) => {
    await check(t, async (rig) => {
      const client = await rig.client();
      for (const byte of pipeline) {
        const before = client.socket.bytesWritten;
        client.send(byte);
        await until('the byte to leave', () => client.socket.bytesWritten > before);
      }
      await client.untilEnded();
      return client.received;
    });
  });

  test('can be split at every byte', async (t) => {
    const rig = await Rig.start(t);
    rig.backend.serve(({ startLine }) => response(`<${startLine}>`));
    for (let split = 1; split < pipeline.length; split++) {
      const client = await rig.send(pipeline.slice(0, split));
      // The first part has been read before the rest arrives.
      await until('the connection', () => rig.proxy.dataPlane.counters.clientConnections === split);
      await new Promise(setImmediate);
      client.send(pipeline.slice(split));
      await client.untilEnded();
      assert.deepEqual(
        [...client.received.matchAll(/<(.*?)>/g)].map(([, line]) => line),
        expected.map(([line]) => line),
        `split at ${split}`,
      );
      client.close();
    }
    for (const peer of rig.backend.peers) readRequests(peer.received);
  });

  test('a slow first response delays the second request, which is not sent before it', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.send(get('/1') + get('/2'));
    const peer = await rig.backend.peer();
    await rig.backend.receive('\r\n\r\n');
    peer.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\non');
    await client.expect('\r\n\r\non');
    assert.doesNotMatch(rig.backend.received, /\/2/);
    peer.send('e!');
    await rig.backend.receive('GET /2 HTTP/1.1\r\n');
    peer.send(response('two!'));
    await client.expect('two!');
    assert.match(client.received, /one!HTTP\/1\.1 200 OK[^!]*two!$/);
  });
});

describe('case 12: HTTP/1.0 clients', () => {
  const old = 'GET /old HTTP/1.0\r\nHost: a.test\r\n\r\n';
  const kept = 'GET /old HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n';
  const chunkedResponse =
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n';

  test('without keep-alive get an HTTP/1.0 response, and the end', async (t) => {
    const rig = await Rig.start(t);
    rig.backend.serve(() => response('hello'));
    const client = await rig.send(old + old);
    await client.untilEnded();
    assert.equal(undated(client.received), 'HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello');
    assert.match(rig.backend.received, /^GET \/old HTTP\/1\.1\r\n/);
  });

  test('with keep-alive keep their connection', async (t) => {
    const rig = await Rig.start(t);
    rig.backend.serve(() => response('hello'));
    const client = await rig.send(kept);
    await client.expect('hello');
    assert.match(client.received, /^HTTP\/1\.0 200 OK\r\n.*\r\nConnection: keep-alive\r\n\r\nhello$/s);
    client.send(old);
    await client.untilEnded();
    assert.deepEqual(client.statuses, [200, 200]);
    assert.doesNotMatch(rig.backend.received, /keep-alive/i);
  });

  for (const [name, sent] of Object.entries({ 'without keep-alive': old, 'with keep-alive': kept })) {
    test(`${name} get a chunked response without chunks and trailers, up to the end of the connection`, async (t) => {
      const rig = await Rig.start(t);
      rig.backend.serve(() => chunkedResponse);
      const client = await rig.send(sent);
      await client.untilEnded();
      assert.equal(undated(client.received), 'HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nabcde');
    });
  }

  test('never get an informational response', async (t) => {
    const rig = await Rig.start(t);
    rig.backend.serve(() => `HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n${response('hello')}`);
    const client = await rig.send(old);
    await client.untilEnded();
    assert.deepEqual(client.statuses, [200]);
  });
});

describe('a Connection field', () => {
  const ignored = [
    'keep-alive; timeout=5',
    'keep alive',
    'timeout=5, max=100',
    '"close"',
    'close; x',
    '\xff',
    'a b, X-Y',
  ];
  for (const value of ignored) {
    test(`of ${JSON.stringify(value)} has elements that are ignored`, async (t) => {
      const { fields } = await exchange(t, get('/first', `Connection: ${value}`, 'X-Y: z', 'X-Z: z'));
      assert.deepEqual(values(fields, 'connection'), []);
      assert.deepEqual(values(fields, 'x-z'), ['z']);
      assert.deepEqual(values(fields, 'x-y'), value.includes('X-Y') ? [] : ['z']);
    });
  }

  test('beside Keep-Alive: timeout=5 keeps an HTTP/1.0 connection', async (t) => {
    const rig = await Rig.start(t);
    rig.backend.serve(({ startLine }) => response(`to ${startLine}`));
    const client = await rig.send(
      request('GET /first HTTP/1.0', 'Connection: timeout=5, Keep-Alive', 'Keep-Alive: timeout=5') + next,
    );
    await client.expect('to GET /next');
    assert.deepEqual(client.statuses, [200, 200]);
  });
});

describe('the version', () => {
  for (const version of ['HTTP/1.2', 'HTTP/1.9']) {
    test(`${version} counts as HTTP/1.1 (RFC 9110 section 2.5)`, async (t) => {
      const rig = await Rig.start(t);
      rig.backend.serve(({ body }) => response(`got ${body}`));
      const sent = request(`POST /first ${version}`, 'Transfer-Encoding: chunked');
      const client = await rig.send(`${sent}5\r\nhello\r\n0\r\n\r\n${next}`);
      await client.expect('got hello');
      await client.expect(/got $/);
      assert.match(client.received, /^HTTP\/1\.1 200 /);
      assert.match(rig.backend.received, /^POST \/first HTTP\/1\.1\r\n/);
    });
  }
});

describe('a transfer coding that is not supported', () => {
  const codings = [
    ['Transfer-Encoding: gzip, chunked'],
    ['Transfer-Encoding: GZIP;level=9 , Chunked'],
    ['Transfer-Encoding: gzip', 'Transfer-Encoding: chunked'],
    ['Transfer-Encoding: deflate, br, chunked'],
  ];
  for (const lines of codings) {
    test(`gets 501: ${lines.join(' | ')} (RFC 9112 section 6.1)`, async (t) => {
      const rig = await Rig.start(t);
      const client = await rig.send(`${request('POST /first HTTP/1.1', ...lines)}0\r\n\r\n${next}`);
      await client.untilEnded();
      assert.deepEqual(client.statuses, [501]);
      assert.match(client.received, /\r\nx-hipache-error: REQUEST_TRANSFER_CODING\r\n/);
      assert.equal(rig.backend.received, '');
    });
  }
});

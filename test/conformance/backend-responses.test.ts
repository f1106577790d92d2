import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { values } from '../helpers/reference-parser.ts';
import { get, Rig, request, response, undated } from '../helpers/rig.ts';
import { until } from '../helpers/until.ts';

describe('case 18: bytes on an idle backend connection', () => {
  const surplus: Record<string, string> = {
    'a whole response (CVE-2026-48931)': response('poison'),
    'a single byte': '\n',
    '408 as some servers send it': 'HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n',
  };
  for (const [name, bytes] of Object.entries(surplus)) {
    test(`${name}: the connection is destroyed, and the bytes are never read as a response`, async (t) => {
      const rig = await Rig.start(t);
      rig.backend.serve(() => response('first'));
      const client = await rig.send(get('/1'));
      await client.expect('first');
      const peer = await rig.backend.peer();
      peer.send(bytes);
      await peer.untilClosed();
      rig.backend.serve(() => response('second'));
      client.send(get('/2'));
      await client.expect('second');
      assert.doesNotMatch(client.received, /poison|HTTP\/1\.1 408/);
      assert.equal(rig.backend.peers.length, 2);
      assert.equal(rig.proxy.dataPlane.counters.backendConnectionsUnsolicited, 1);
    });
  }
});

/** What an HTTP/1.1 client gets for a GET that the backend answers with `sent`, on a connection that both keep open. */
async function toGet(
  t: TestContext,
  sent: string,
  method = 'GET',
): Promise<{ rig: Rig; received: string; statuses: number[] }> {
  const rig = await Rig.start(t);
  let count = 0;
  rig.backend.serve(() => (count++ === 0 ? sent : response('fresh')));
  const client = await rig.send(request(`${method} / HTTP/1.1`));
  await client.expect(/\r\n\r\n/);
  await rig.proxy.untilQuiet();
  const { received, statuses } = { received: client.received, statuses: client.statuses };
  const again = await rig.send(get('/after'));
  await again.expect('fresh');
  return { rig, received, statuses };
}

describe('case 19: a response is refused with 502, and its connection is not reused, if it has', () => {
  const invalid: Record<string, string> = {
    'a length and a coding': 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'a coding and a length': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n',
    'two lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!',
    'two equal lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello',
    'a list of lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello',
    'a length that is not a number': 'HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello',
    'an unknown coding': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n',
    'two codings': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'a coding on HTTP/1.0': 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'a fold before the first field': 'HTTP/1.1 200 OK\r\n X: a\r\nContent-Length: 0\r\n\r\n',
    'a fold of blanks alone': 'HTTP/1.1 200 OK\r\nX: a\r\n \t\r\nContent-Length: 0\r\n\r\n',
    'a folded length': 'HTTP/1.1 200 OK\r\nContent-Length:\r\n 5\r\n\r\nhello',
    'a folded coding': 'HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n\tchunked\r\n\r\n0\r\n\r\n',
    'a fold with CR': 'HTTP/1.1 200 OK\r\nX: a\r\n b\rc\r\nContent-Length: 0\r\n\r\n',
    'CR in a value': 'HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\nContent-Length: 0\r\n\r\n',
    'LF in a value': 'HTTP/1.1 200 OK\r\nX: a\nSet-Cookie: b\r\nContent-Length: 0\r\n\r\n',
    'LF from the last value on': 'HTTP/1.1 200 OK\r\nY: b\r\nX: a\nContent-Length: 3\nSet-Cookie: c\n\nabc\r\n\r\nlate',
    'NUL in a value': 'HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n',
    'a space in a name': 'HTTP/1.1 200 OK\r\nX Y: 0\r\nContent-Length: 0\r\n\r\n',
    'a space before a name': 'HTTP/1.1 200 OK\nContent-Length: 0\n : x\n\n',
    'LF in the reason': 'HTTP/1.1 200 O\nK\r\nContent-Length: 0\r\n\r\n',
    'no status': 'HTTP/1.1 OK\r\n\r\n',
    'a status of two digits': 'HTTP/1.1 20 OK\r\n\r\n',
    'a status of four digits': 'HTTP/1.1 2000 OK\r\n\r\n',
    'a status of 0': 'HTTP/1.1 000 OK\r\n\r\n',
    'another version': 'HTTP/2.0 200 OK\r\n\r\n',
    'another protocol': 'SSH-2.0-OpenSSH_9.2\r\n',
    'Connection: content-length': 'HTTP/1.1 200 OK\r\nConnection: content-length\r\nContent-Length: 0\r\n\r\n',
    'an endless head': `HTTP/1.1 200 OK\r\n${'X: y\r\n'.repeat(2000)}`,
    'an endless field': `HTTP/1.1 200 OK\r\nX: ${'y'.repeat(300_000)}`,
    '101 without an upgrade (case 23)':
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: foo\r\nConnection: upgrade\r\n\r\n',
    'an endless field with LF alone': `HTTP/1.1 200 OK\nX: ${'y'.repeat(300_000)}`,
    'endless informational responses': 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(17) + response('late'),
  };
  for (const [name, sent] of Object.entries(invalid)) {
    test(name, async (t) => {
      const { rig, received, statuses } = await toGet(t, sent);
      assert.deepEqual(
        statuses.filter((status) => status !== 103),
        [502],
      );
      const code = name.includes('endless') ? 'BACKEND_RESPONSE_TOO_LARGE' : 'BACKEND_RESPONSE_INVALID';
      assert.match(received, new RegExp(`\r\nx-hipache-error: ${code}\r\n`));
      assert.doesNotMatch(received, /Set-Cookie|late/);
      // It is neither asked again nor marked, because it did respond.
      assert.equal(rig.backend.requests.length, 2);
      assert.equal(rig.backend.peers.length, 2);
    });
  }
});

/** Heads that backends write loosely, and how they reach the client, without the fields that the proxy adds. */
describe('a response is forwarded in its strict form if its head has', () => {
  const end = 'Content-Length: 5\r\n\r\nhello';
  const loose: readonly (readonly [name: string, sent: string, strict: string])[] = [
    ['LF as line end', 'HTTP/1.1 200 OK\nX: a\nContent-Length: 5\n\nhello', `HTTP/1.1 200 OK\r\nX: a\r\n${end}`],
    [
      'LF as line end behind CR LF, as a CGI program behind a server',
      'HTTP/1.1 200 OK\r\nServer: s\r\nX: a\nContent-Length: 5\n\nhello',
      `HTTP/1.1 200 OK\r\nServer: s\r\nX: a\r\n${end}`,
    ],
    [
      'LF as line end behind the status line',
      'HTTP/1.1 200 OK\r\nX: a\nContent-Length: 5\n\nhello',
      `HTTP/1.1 200 OK\r\nX: a\r\n${end}`,
    ],
    [
      'LF as the empty line',
      'HTTP/1.1 200 OK\r\nX: a\r\nContent-Length: 5\r\n\nhello',
      `HTTP/1.1 200 OK\r\nX: a\r\n${end}`,
    ],
    ['a folded line', `HTTP/1.1 200 OK\r\nX: a \r\n \t b\r\n\tc\r\n${end}`, `HTTP/1.1 200 OK\r\nX: a  b c\r\n${end}`],
    [
      'a folded line with LF',
      'HTTP/1.1 200 OK\nX:\n a\nContent-Length: 5\n\nhello',
      `HTTP/1.1 200 OK\r\nX: a\r\n${end}`,
    ],
    [
      'a blank before a colon (RFC 9112 section 5.1)',
      `HTTP/1.1 200 OK\r\nX \t: a\r\nContent-Length : 5\r\n\r\nhello`,
      `HTTP/1.1 200 OK\r\nX: a\r\n${end}`,
    ],
    ['no blank behind the status', `HTTP/1.1 200\r\n${end}`, `HTTP/1.1 200 \r\n${end}`],
    ['no blank behind the status, and LF', 'HTTP/1.1 404\nContent-Length: 5\n\nhello', `HTTP/1.1 404 \r\n${end}`],
    ['a higher minor version', `HTTP/1.2 200 OK\r\n${end}`, `HTTP/1.1 200 OK\r\n${end}`],
  ];
  for (const [name, sent, strict] of loose) {
    test(name, async (t) => {
      for (const pieces of [[sent], [...sent]]) {
        const rig = await Rig.start(t);
        const client = await rig.send(get('/'));
        const peer = await rig.backend.peer();
        await rig.backend.receive('\r\n\r\n');
        for (const piece of pieces) {
          peer.send(piece);
          await new Promise(setImmediate);
        }
        await client.expect('hello');
        assert.equal(undated(client.received), strict);
        rig.backend.serve(() => response('fresh'));
        client.send(get('/again'));
        await client.expect('fresh');
        assert.equal(rig.backend.peers.length, 1, 'its connection is kept');
      }
    });
  }
});

test('blanks may follow the sizes of chunks, as some servers pad them', async (t) => {
  const { received } = await toGet(
    t,
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0005  \r\nhello\r\n0 \t\r\n\r\n',
  );
  assert.match(received, /hello\r\n0\r\n\r\n$/);
});

test('a response may have a head that is too large for a request', async (t) => {
  const fields = Array.from({ length: 900 }, (_, at) => `Set-Cookie: ${at}=${'x'.repeat(200)}`);
  const { received } = await toGet(t, response('ok', '200 OK', ...fields));
  assert.equal(received.match(/\r\nSet-Cookie: \d+=x{200}(?=\r\n)/g)?.length, 900);
});

describe('the Date of a response', () => {
  test('is added if it is missing (RFC 9110 section 6.6.1)', async (t) => {
    const { received } = await toGet(t, response('ok'));
    const [, date = ''] = /\r\nDate: ([^\r]+ GMT)\r\n/.exec(received) ?? [];
    assert.ok(Math.abs(Date.parse(date) - Date.now()) < 60_000, received);
  });

  test('stays as it is, and is not added to informational responses', async (t) => {
    const sent = response('ok', '200 OK', 'dATE: Fri, 27 Nov 2026 18:00:00 GMT');
    const { received } = await toGet(t, `HTTP/1.1 103 Early Hints\r\n\r\n${sent}`);
    assert.equal(received, `HTTP/1.1 103 Early Hints\r\n\r\n${sent}`);
  });
});

describe('426 of a backend', () => {
  for (const [client, connection] of [
    ['keep-alive', 'upgrade'],
    ['close', 'upgrade, close'],
  ]) {
    test(`keeps its Upgrade, for which Connection has ${connection} (RFC 9110 section 7.8)`, async (t) => {
      const rig = await Rig.start(t);
      rig.backend.serve(() => response('no', '426 Upgrade Required', 'Upgrade: TLS/1.3, foo', 'Connection: Upgrade'));
      const asked = await rig.send(get('/', `Connection: ${client}`));
      await asked.expect(/no$/);
      assert.match(asked.received, /\r\nUpgrade: TLS\/1\.3, foo\r\n/);
      assert.match(asked.received, new RegExp(`\r\nConnection: ${connection}\r\n`));
    });
  }
});

describe('case 19: informational responses', () => {
  for (const line of ['\r\n', '\n']) {
    test(`may be followed by ${JSON.stringify(line)}, in pieces too`, async (t) => {
      const sent = `HTTP/1.1 100 Continue\r\n\r\n${line}${response('done')}`;
      for (const pieces of [[sent], [...sent]]) {
        const rig = await Rig.start(t);
        const client = await rig.send(get('/'));
        const peer = await rig.backend.peer();
        await rig.backend.receive('\r\n\r\n');
        for (const piece of pieces) {
          peer.send(piece);
          await new Promise(setImmediate);
        }
        await client.expect('done');
        assert.deepEqual(client.statuses, [100, 200]);
      }
    });
  }

  test('are relayed as they arrive, up to their limit', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.send(get('/'));
    const peer = await rig.backend.peer();
    await rig.backend.receive('\r\n\r\n');
    for (let count = 1; count <= 16; count++) {
      peer.send(`HTTP/1.1 103 Early Hints\r\nLink: </${count}>\r\nConnection: x\r\nX: y\r\nContent-Length: 9\r\n\r\n`);
      await client.expect(`HTTP/1.1 103 Early Hints\r\nLink: </${count}>\r\n\r\n`);
    }
    peer.send(response('done'));
    await client.expect('done');
    client.send(get('/again'));
    await rig.backend.receive('GET /again');
    peer.send(`HTTP/1.1 103 Early Hints\r\n\r\n${response('again')}`);
    await client.expect('again');
    assert.equal(rig.backend.peers.length, 1);
  });

  test('102 and unknown ones are relayed too', async (t) => {
    const { statuses, received } = await toGet(
      t,
      `HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 199 What\r\nTransfer-Encoding: chunked\r\n\r\n${response('done')}`,
    );
    assert.deepEqual(statuses, [102, 199, 200]);
    assert.doesNotMatch(received, /Transfer-Encoding/);
  });
});

describe('case 19: a body after a response that has none never reaches the client', () => {
  const bodiless: Record<string, [string, string]> = {
    '204 with a length': ['GET', 'HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\npoison'],
    '204 with chunks': ['GET', 'HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n6\r\npoison\r\n0\r\n\r\n'],
    '204 followed by a response': ['GET', `HTTP/1.1 204 No Content\r\n\r\n${response('poison')}`],
    '304 with a length': ['GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\npoison'],
    '304 with chunks': [
      'GET',
      'HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n6\r\npoison\r\n0\r\n\r\n',
    ],
    'HEAD with a body': ['HEAD', response('poison')],
    'HEAD with chunks': ['HEAD', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\npoison\r\n0\r\n\r\n'],
  };
  for (const [name, [method, sent]] of Object.entries(bodiless)) {
    test(name, async (t) => {
      const { rig, received } = await toGet(t, sent, method);
      assert.match(received, /^HTTP\/1\.1 (200|204|304) .*\r\n\r\n$/s);
      assert.doesNotMatch(received, /poison|chunked/);
      assert.equal(rig.backend.peers.length, 2);
    });
  }

  test('and the length passes with 304 and HEAD, but not with 204', async (t) => {
    const rig = await Rig.start(t);
    rig.backend.serve(({ startLine }) => {
      if (startLine.includes('/204')) return 'HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n';
      if (startLine.includes('/304')) return 'HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n';
      return startLine.startsWith('HEAD') ? 'HTTP/1.1 200 OK\r\nContent-Length: 88\r\n\r\n' : response('end');
    });
    const client = await rig.send(get('/204') + get('/304') + request('HEAD / HTTP/1.1') + get('/end'));
    await client.expect('end');
    assert.equal(
      undated(client.received),
      'HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n' +
        `HTTP/1.1 200 OK\r\nContent-Length: 88\r\n\r\n${response('end')}`,
    );
    assert.equal(rig.backend.peers.length, 1);
  });
});

describe('case 19: a truncated body is visible to the client as a reset', () => {
  const truncated: Record<string, string> = {
    'in its length': 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello',
    'before any byte of it': 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n',
    'in a chunk': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhello',
    'in a chunk size': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5',
    'before the last chunk': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n',
    'in the last chunk': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n',
    'in the trailers': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n',
  };
  for (const [name, sent] of Object.entries(truncated)) {
    for (const version of ['1.1', '1.0']) {
      test(`${name}, to a client of ${version}`, async (t) => {
        const rig = await Rig.start(t);
        const client = await rig.send(request(`GET / HTTP/${version}`, 'Connection: keep-alive'));
        const peer = await rig.backend.peer();
        await rig.backend.receive('\r\n\r\n');
        peer.send(sent);
        await client.expect('200 OK\r\n');
        peer.socket.end();
        await until('the reset', () => client.reset);
        assert.doesNotMatch(client.received, /\r\n0\r\n/);
        assert.equal(client.ended, false);
        assert.equal(rig.proxy.ended[0]?.errorCode, 'BACKEND_RESPONSE_TRUNCATED');
      });
    }
  }

  const broken: Record<string, string> = {
    'an invalid chunk size': 'xyz\r\n',
    'LF after a chunk': '5\r\nhello\n0\r\n\r\n',
    'a broken trailer': '0\r\nbroken\r\n\r\n',
  };
  for (const [name, chunk] of Object.entries(broken)) {
    test(`and so is ${name}`, async (t) => {
      const rig = await Rig.start(t);
      const client = await rig.send(get('/'));
      const peer = await rig.backend.peer();
      await rig.backend.receive('\r\n\r\n');
      peer.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
      await client.expect('hello');
      peer.send(chunk);
      await until('the reset', () => client.reset);
      await peer.untilClosed();
      assert.doesNotMatch(client.received, /\r\n0\r\n/);
    });
  }

  test('even one that ends with the connection, if that is reset', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.send(get('/'));
    const peer = await rig.backend.peer();
    await rig.backend.receive('\r\n\r\n');
    peer.send('HTTP/1.1 200 OK\r\n\r\nhello');
    await client.expect('hello');
    peer.socket.resetAndDestroy();
    await until('the reset', () => client.reset);
    assert.doesNotMatch(client.received, /\r\n0\r\n/);
  });
});

describe('case 20: bytes beyond the length of a response', () => {
  const surplus: Record<string, string> = {
    'a response': 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison',
    'one byte': 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello!',
    'after the last chunk': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\npoison!',
    'after a length of 0': 'HTTP/1.1 200 hello\r\nContent-Length: 0\r\n\r\npoison!',
  };
  for (const [name, sent] of Object.entries(surplus)) {
    test(`${name}: never reach the client, and the connection is not reused`, async (t) => {
      const { rig, received, statuses } = await toGet(t, sent);
      assert.match(received, /hello/);
      assert.doesNotMatch(received, /poison|!/);
      assert.deepEqual(statuses, [200]);
      assert.equal(rig.backend.peers.length, 2);
    });
  }

  test('not even in a later packet', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.send(get('/'));
    const peer = await rig.backend.peer();
    await rig.backend.receive('\r\n\r\n');
    peer.send('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel');
    await client.expect('hel');
    peer.send(`lo${response('poison')}`);
    await client.expect('hello');
    await peer.untilClosed();
    assert.doesNotMatch(client.received, /poison/);
  });
});

describe('case 23: an Upgrade to anything but websocket is not forwarded, and the request is an ordinary one', () => {
  for (const protocol of ['h2c', 'TLS/1.0', 'foo']) {
    test(protocol, async (t) => {
      const rig = await Rig.start(t);
      rig.backend.serve(({ startLine }) =>
        response(`to ${startLine}`, '200 OK', 'Upgrade: h2c', 'Connection: upgrade'),
      );
      const lines = [`Upgrade: ${protocol}`, 'Connection: Upgrade, HTTP2-Settings', 'HTTP2-Settings: AAMAAABkAAQAAP__'];
      const client = await rig.send(get('/1', ...lines) + get('/2'));
      await client.expect('to GET /2 HTTP/1.1');
      assert.deepEqual(client.statuses, [200, 200]);
      assert.doesNotMatch(client.received, /upgrade/i);
      const [first] = rig.backend.requests;
      for (const name of ['upgrade', 'connection', 'http2-settings'])
        assert.deepEqual(values(first?.fields ?? [], name), []);
    });
  }
});

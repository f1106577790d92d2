import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { DeafBackend } from '../../test/helpers/deaf-backend.ts';
import type { BackendPeer } from '../../test/helpers/raw-backend.ts';
import { get, Rig, request, response } from '../../test/helpers/rig.ts';
import { type TestSettings, testSettings, trusted } from '../../test/helpers/test-proxy.ts';
import { until } from '../../test/helpers/until.ts';

/** Nothing ever listens on these. */
const refusing = ['http://127.0.0.1:1', 'http://127.0.0.2:1', 'http://127.0.0.3:1', 'http://127.0.0.4:1'] as const;

/** A rig that always chooses the first backend that is alive and not tried yet. */
function startRig(t: TestContext, settings: Partial<TestSettings> = {}, backends = 2): Promise<Rig> {
  return Rig.start(t, { settings, backends, random: () => 0 });
}

/** Two backends. The first calls `first` with the connection once a head has arrived; the second serves. */
async function startPair(t: TestContext, first: (peer: BackendPeer) => void, settings: Partial<TestSettings> = {}) {
  const rig = await startRig(t, settings);
  const [one, two] = rig.backends as [Rig['backend'], Rig['backend']];
  one.onBytes((peer) => {
    if (peer.received.includes('\r\n\r\n')) first(peer);
  });
  two.serve(({ body }) => response(`two got ${body}`));
  return { rig, one, two };
}

const end = (peer: BackendPeer): void => {
  peer.socket.end();
};
const reset = (peer: BackendPeer): void => {
  peer.socket.resetAndDestroy();
};

describe('a backend that refuses the connection', () => {
  test('is marked, and the next backend is asked', async (t) => {
    const rig = await startRig(t, {}, 1);
    rig.proxy.route('a.test', [refusing[0], rig.backend.url]);
    rig.backend.serve(() => response('second'));
    const client = await rig.send(get('/1') + get('/2'));
    await client.expect(/second.*second/s);
    assert.deepEqual(rig.proxy.marks, [{ url: refusing[0], reason: 'BACKEND_CONNECT_REFUSED' }]);
    assert.deepEqual(
      rig.proxy.ended.map(({ attempts }) => attempts),
      [2, 1],
    );
    assert.equal(rig.proxy.dataPlane.counters.retries, 1);
  });

  const bodies: Record<string, [string, string]> = {
    'a length': [request('POST / HTTP/1.1', 'Content-Length: 10'), 'helloworld'],
    chunks: [
      request('POST / HTTP/1.1', 'Transfer-Encoding: chunked'),
      '5\r\nhello\r\n5;x\r\nworld\r\n0\r\nX-T: t\r\n\r\n',
    ],
  };
  for (const [name, [head, body]] of Object.entries(bodies)) {
    test(`does no harm to a POST with ${name}: the next backend gets the whole body`, async (t) => {
      const rig = await startRig(t, {}, 1);
      rig.proxy.route('a.test', [...refusing.slice(1), rig.backend.url]);
      rig.backend.serve(({ body: arrived, trailers }) => response(`got ${arrived} ${JSON.stringify(trailers)}`));
      const client = await rig.send(head + body + get('/next'));
      await client.expect(/got helloworld .*got {2}\[\]/s);
    });

    test(`does no harm to a POST with ${name} that is still being sent`, async (t) => {
      const rig = await startRig(t, {}, 1);
      rig.proxy.route('a.test', [refusing[0], refusing[1], rig.backend.url]);
      rig.backend.serve(({ body: arrived }) => response(`got ${arrived}`));
      const client = await rig.send(head);
      for (const byte of body) {
        client.send(byte);
        await new Promise(setImmediate);
      }
      await client.expect('got helloworld');
      assert.equal(rig.backend.peers.length, 1);
    });
  }

  test('does no harm to a large body: what no backend has received is kept beyond the limit', async (t) => {
    const rig = await startRig(t, { retryBodyBytesMax: 0 }, 1);
    rig.proxy.route('a.test', [refusing[0], rig.backend.url]);
    rig.backend.serve(({ body }) => response(`got ${body.length}`));
    const length = 300_000;
    const client = await rig.send(`${request('POST / HTTP/1.1', `Content-Length: ${length}`)}${'x'.repeat(length)}`);
    await client.expect(`got ${length}`);
  });

  test('ends the request if it is the only backend, and is not marked', async (t) => {
    const rig = await startRig(t, {}, 1);
    rig.proxy.route('a.test', [refusing[0]]);
    const client = await rig.send(get('/'));
    await client.expect('Reached max retries limit');
    assert.deepEqual(client.statuses, [502]);
    assert.match(client.received, /\r\nx-hipache-error: BACKEND_CONNECT_REFUSED\r\n/);
    assert.deepEqual(rig.proxy.marks, []);
    client.send(get('/'));
    await client.expect(/Reached max.*Reached max/s);
  });

  test('is not marked if it is the last one alive', async (t) => {
    const rig = await startRig(t, {}, 1);
    rig.proxy.route('a.test', [...refusing]);
    for (let count = 1; count <= 3; count++) {
      const client = await rig.send(get('/'));
      await client.expect('Reached max retries limit');
    }
    assert.deepEqual(
      rig.proxy.frontend('a.test').backends.map(({ down }) => down !== null),
      [true, true, true, false],
    );
  });

  test('is asked again if all backends are marked', async (t) => {
    const rig = await startRig(t, {}, 1);
    rig.proxy.route('a.test', [refusing[0], rig.backend.url]);
    rig.backend.serve(() => response('alive'));
    for (const backend of rig.proxy.frontend('a.test').backends) {
      backend.down = { untilMs: Date.now() + 60_000, sinceMs: Date.now(), reason: 'test', instance: 'test' };
    }
    const client = await rig.send(get('/'));
    await client.expect('alive');
  });
});

describe('no retry is made', () => {
  test('if retries are disabled', async (t) => {
    const { rig, two } = await startPair(t, end, { retriesMax: 0 });
    const client = await rig.send(get('/'));
    await client.expect('Retry on error is disabled');
    assert.deepEqual(client.statuses, [502]);
    assert.equal(two.peers.length, 0);
  });

  test('beyond the limit for retries', async (t) => {
    const rig = await startRig(t, { retriesMax: 2 }, 1);
    rig.proxy.route('a.test', [...refusing.slice(0, 3), rig.backend.url]);
    rig.backend.serve(() => response('never'));
    const client = await rig.send(get('/'));
    await client.expect('Reached max retries limit');
    assert.equal(rig.proxy.ended[0]?.attempts, 3);
    assert.equal(rig.backend.peers.length, 0);
  });

  test('beyond the retry budget of the host', async (t) => {
    const rig = await startRig(t, { retryBudget: { ratio: 0, retriesMin: 2, bucketMs: 3_600_000 }, downMs: 0 }, 1);
    rig.proxy.route('a.test', [refusing[0], rig.backend.url]);
    rig.backend.serve(() => response('second'));
    const client = await rig.send(get('/').repeat(4));
    await client.expect(/(second.*){2}(Reached max.*){2}/s);
    assert.deepEqual(client.statuses, [200, 200, 502, 502]);
    assert.deepEqual(rig.proxy.marks, []);
  });

  const notSafe: Record<string, string> = {
    'a POST that has been sent': request('POST / HTTP/1.1'),
    'a POST with a body that has been sent': `${request('POST / HTTP/1.1', 'Content-Length: 5')}hello`,
    'a PATCH': request('PATCH / HTTP/1.1'),
    'a method that is not known': request('FROB / HTTP/1.1'),
  };
  for (const [name, text] of Object.entries(notSafe)) {
    for (const [how, fail] of Object.entries({ ended: end, reset })) {
      test(`of ${name}, after the connection was ${how}`, async (t) => {
        const { rig, one, two } = await startPair(t, fail);
        const client = await rig.send(text);
        await client.expect('backend closed the connection');
        assert.deepEqual(client.statuses, [502]);
        assert.equal(one.peers.length, 1);
        assert.equal(two.peers.length, 0);
        // The backend did fail: later requests go elsewhere.
        assert.deepEqual(rig.proxy.marks, [{ url: one.url, reason: 'BACKEND_RESET' }]);
      });
    }
  }

  test('of a POST whose body has been sent in part', async (t) => {
    const { rig, two } = await startPair(t, end);
    const client = await rig.send(`${request('POST / HTTP/1.1', 'Content-Length: 5')}he`);
    await client.expect('backend closed the connection');
    await client.untilEnded();
    assert.equal(two.peers.length, 0);
  });

  test('after one byte of a response', async (t) => {
    const { rig, one, two } = await startPair(t, (peer) => {
      peer.send('H');
      peer.socket.end();
    });
    const client = await rig.send(get('/'));
    await client.expect('backend closed the connection');
    assert.deepEqual(client.statuses, [502]);
    assert.equal(two.peers.length, 0);
    assert.deepEqual(rig.proxy.marks, [{ url: one.url, reason: 'BACKEND_RESET' }]);
  });

  test('after an informational response', async (t) => {
    const { rig, two } = await startPair(t, (peer) => {
      peer.send('HTTP/1.1 103 Early Hints\r\n\r\n');
      peer.socket.end();
    });
    const client = await rig.send(get('/'));
    await client.expect('backend closed the connection');
    assert.deepEqual(client.statuses, [103, 502]);
    assert.equal(two.peers.length, 0);
  });

  test('of a body larger than the replay buffer', async (t) => {
    const { rig, one, two } = await startPair(t, () => {}, { retryBodyBytesMax: 1000 });
    const client = await rig.send(`${request('PUT / HTTP/1.1', 'Content-Length: 1001')}${'x'.repeat(1001)}`);
    await one.receive('x'.repeat(1001));
    (await one.peer()).socket.end();
    await client.expect('backend closed the connection');
    assert.deepEqual(client.statuses, [502]);
    assert.equal(two.peers.length, 0);
  });
});

describe('an idempotent request whose connection ends before a response is retried', () => {
  const requests: Record<string, [string, string]> = {
    GET: [get('/'), ''],
    HEAD: [request('HEAD / HTTP/1.1'), ''],
    OPTIONS: [request('OPTIONS * HTTP/1.1'), ''],
    DELETE: [request('DELETE / HTTP/1.1'), ''],
    'PUT with a length': [`${request('PUT / HTTP/1.1', 'Content-Length: 5')}hello`, 'hello'],
    'PUT in chunks': [
      `${request('PUT / HTTP/1.1', 'Transfer-Encoding: chunked')}2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n`,
      'hello',
    ],
    'GET with a body': [`${request('GET / HTTP/1.1', 'Content-Length: 5')}hello`, 'hello'],
  };
  for (const [name, [text, body]] of Object.entries(requests)) {
    for (const [how, fail] of Object.entries({ ended: end, reset })) {
      test(`${name}, ${how}`, async (t) => {
        const { rig, one, two } = await startPair(t, fail);
        const client = await rig.send(text + get('/next'));
        await until('both answers', () => client.statuses.length === 2);
        await rig.proxy.untilQuiet();
        assert.deepEqual(client.statuses, [200, 200]);
        assert.deepEqual(
          two.requests.map((arrived) => arrived.body),
          [body, ''],
        );
        assert.deepEqual(rig.proxy.marks, [{ url: one.url, reason: 'BACKEND_RESET' }]);
      });
    }
  }

  test('with a body that just fits into the replay buffer', async (t) => {
    const { rig, one, two } = await startPair(t, () => {}, { retryBodyBytesMax: 1000 });
    const client = await rig.send(`${request('PUT / HTTP/1.1', 'Content-Length: 1000')}${'x'.repeat(1000)}`);
    await one.receive('x'.repeat(1000));
    (await one.peer()).socket.end();
    await client.expect('two got xxx');
    assert.equal(two.requests[0]?.body.length, 1000);
  });

  test('while its body is still being sent', async (t) => {
    const { rig, one, two } = await startPair(t, () => {});
    const client = await rig.send(`${request('PUT / HTTP/1.1', 'Content-Length: 10')}hello`);
    await one.receive('hello');
    (await one.peer()).socket.end();
    await two.receive('hello');
    client.send('world');
    await client.expect('two got helloworld');
  });
});

describe('a request that a backend does not respond to in time', () => {
  const settings = { inactivityMs: 300, marking: { ...testSettings.marking, byFirst: true } };

  test('gets 504 and is not done again elsewhere; one is no reason for a mark', async (t) => {
    const { rig, one, two } = await startPair(t, () => {}, { inactivityMs: 300 });
    const client = await rig.send(get('/'));
    await client.expect('backend did not respond in time');
    assert.deepEqual(client.statuses, [504]);
    assert.deepEqual([one.peers.length, two.peers.length], [1, 0]);
    assert.deepEqual(rig.proxy.marks, []);
    await (await one.peer()).untilClosed();
  });

  test('marks its backend where the first failure does', async (t) => {
    const { rig, one } = await startPair(t, () => {}, settings);
    const client = await rig.send(get('/'));
    await client.expect('backend did not respond in time');
    assert.deepEqual(rig.proxy.marks, [{ url: one.url, reason: 'BACKEND_TIMEOUT' }]);
  });

  test('marks its backend once enough of them fail', async (t) => {
    const { rig, one } = await startPair(t, () => {}, { inactivityMs: 300 });
    for (let count = 0; count < 5; count++) {
      assert.deepEqual(rig.proxy.marks, []);
      await (await rig.send(get('/'))).expect('504');
    }
    assert.deepEqual(rig.proxy.marks, [{ url: one.url, reason: 'BACKEND_TIMEOUT' }]);
  });

  test('is done again by another backend if the option says so', async (t) => {
    const { rig, one } = await startPair(t, () => {}, { ...settings, retryTimeouts: true });
    const client = await rig.send(get('/'));
    await client.expect('two got ');
    assert.deepEqual(rig.proxy.marks, [{ url: one.url, reason: 'BACKEND_TIMEOUT' }]);
    await (await one.peer()).untilClosed();
  });

  test('even then, a POST is not', async (t) => {
    const { rig, one, two } = await startPair(t, () => {}, { ...settings, retryTimeouts: true });
    const client = await rig.send(request('POST / HTTP/1.1'));
    await client.expect('backend did not respond in time');
    assert.deepEqual([one.peers.length, two.peers.length], [1, 0]);
  });

  test('nor is any request whose time for retries is over', async (t) => {
    const { rig, two } = await startPair(t, () => {}, { ...settings, retryTimeouts: true, retryForMs: 100 });
    const client = await rig.send(get('/'));
    await client.expect('Reached max retries limit');
    assert.deepEqual(client.statuses, [504]);
    assert.equal(two.peers.length, 0);
  });
});

describe('a kept connection that the backend has ended meanwhile', () => {
  /** A rig whose only backend has served one request, and calls `second` for the next one on that connection. */
  async function served(t: TestContext, second: (peer: BackendPeer) => void): Promise<Rig> {
    const rig = await startRig(t, {}, 1);
    rig.backend.serve((_, peer) => {
      if (peer !== rig.backend.peers[0] || peer.requests.length === 1) return response('served');
      second(peer);
      return '';
    });
    const client = await rig.send(get('/'));
    await client.expect('served');
    return rig;
  }

  for (const [how, fail] of Object.entries({ ended: end, reset })) {
    test(`(${how}) does no harm to an idempotent request: it gets a new connection without a mark`, async (t) => {
      const rig = await served(t, fail);
      rig.proxy.route('a.test', [rig.backend.url, refusing[0]]);
      const client = await rig.send(`${request('PUT / HTTP/1.1', 'Content-Length: 5')}hello`);
      await client.expect('served');
      assert.deepEqual(rig.proxy.marks, []);
      assert.equal(rig.backend.peers.length, 2);
      assert.equal(rig.backend.requests.at(-1)?.body, 'hello');
    });

    test(`(${how}) gives a POST that it has received a 502, but marks no backend`, async (t) => {
      const rig = await served(t, fail);
      rig.proxy.route('a.test', [rig.backend.url, refusing[0]]);
      const client = await rig.send(request('POST / HTTP/1.1'));
      await client.expect('backend closed the connection');
      assert.deepEqual(rig.proxy.marks, []);
      assert.equal(rig.backend.peers.length, 1);
    });
  }

  test('is not reused if it ended before the next request, not even for a POST', async (t) => {
    const rig = await served(t, () => {});
    const peer = await rig.backend.peer();
    peer.socket.end();
    await peer.untilClosed();
    const client = await rig.send(request('POST / HTTP/1.1'));
    await client.expect('served');
    assert.equal(rig.backend.peers.length, 2);
    assert.equal(rig.proxy.dataPlane.counters.retries, 0);
  });

  test('is replaced even if retries are disabled', async (t) => {
    const rig = await Rig.start(t, { settings: { retriesMax: 0 } });
    rig.backend.serve((_, peer) => {
      if (peer.requests.length === 1) return response('served');
      peer.socket.end();
      return '';
    });
    const client = await rig.send(get('/1'));
    await client.expect('served');
    client.send(get('/2'));
    await client.expect(/served.*served/s);
    assert.equal(rig.backend.peers.length, 2);
  });
});

describe('the status of a response', () => {
  const cases: readonly [string, string[], boolean, boolean][] = [
    ['404 Not Found', [], true, false],
    ['500 Oh', [], true, false],
    ['501 No', [], true, false],
    ['502 Bad', [], true, true],
    ['503 Busy', [], true, true],
    ['503 Maintenance', ['Retry-After: 120'], true, false],
    ['504 Late', [], true, true],
    ['505 Version', [], true, false],
    ['507 Full', [], true, false],
    ['511 Login', [], true, false],
    ['599 Odd', [], true, false],
    ['502 Bad', [], false, false],
  ];
  for (const [status, lines, byFirst, marks] of cases) {
    const how = `${status}${lines.length > 0 ? ' with Retry-After' : ''}, by ${byFirst ? 'the first' : 'share'}`;
    test(`${how}: ${marks ? 'one marks its backend' : 'one does not mark'}, and the client gets it unchanged`, async (t) => {
      const rig = await startRig(t, { marking: { ...testSettings.marking, byFirst } });
      const [one, two] = rig.backends as [Rig['backend'], Rig['backend']];
      one.serve(() => response('one', status, ...lines));
      two.serve(() => response('two'));
      const client = await rig.send(get('/1'));
      await client.expect('one');
      client.send(get('/2'));
      await client.expect(marks ? 'two' : /one.*one/s);
      assert.deepEqual(rig.proxy.marks, marks ? [{ url: one.url, reason: `status ${status.slice(0, 3)}` }] : []);
      assert.equal(rig.proxy.dataPlane.counters.retries, 0);
    });
  }

  test('marks once enough of the requests have failed', async (t) => {
    const rig = await startRig(t, {});
    const [one, two] = rig.backends as [Rig['backend'], Rig['backend']];
    one.serve(() => response('one', '500 Oh'));
    two.serve(() => response('two'));
    const client = await rig.send(get('/').repeat(5));
    await client.expect(/(one.*){5}/s);
    assert.deepEqual(rig.proxy.marks, [{ url: one.url, reason: 'status 500' }]);
    client.send(get('/'));
    await client.expect('two');
  });

  test('that one of several clients provokes does not mark, however often', async (t) => {
    const rig = await startRig(t, { trustedProxies: trusted('127.0.0.1') });
    const [one] = rig.backends as [Rig['backend'], Rig['backend']];
    one.serve(({ startLine }) => response('one', startLine.includes('bad') ? '500 Oh' : '200 OK'));
    const client = await rig.send(get('/', 'X-Forwarded-For: 198.51.100.1'));
    client.send(get('/bad', 'X-Forwarded-For: 198.51.100.2').repeat(20));
    await client.expect(/(one.*){21}/s);
    assert.deepEqual(rig.proxy.marks, []);
    client.send(get('/bad', 'X-Forwarded-For: 198.51.100.3'));
    await until('the mark', () => rig.proxy.marks.length === 1);
  });

  test('501 by requests with unknown methods never marks', async (t) => {
    const rig = await startRig(t, {});
    for (const backend of rig.backends) {
      backend.serve(({ startLine }) =>
        startLine.startsWith('FOO') ? response('x', '501 No') : response(`at ${backend.port}`),
      );
    }
    for (let client = 0; client < 3; client++) {
      await (await rig.send(request('FOO / HTTP/1.1').repeat(20))).expect(/(501.*){20}/s);
    }
    assert.deepEqual(rig.proxy.marks, []);
  });

  test('but never the only backend', async (t) => {
    const rig = await startRig(t, {}, 1);
    rig.backend.serve(() => response('broken', '500 Oh'));
    const client = await rig.send(get('/1') + get('/2'));
    await client.expect(/broken.*broken/s);
    assert.deepEqual(rig.proxy.marks, []);
  });
});

describe('a backend that does not accept the connection in time', () => {
  test('is marked, and the next one is asked, for a POST too', async (t) => {
    const deaf = await DeafBackend.start();
    t.after(() => deaf.stop());
    const rig = await startRig(t, { connectTimeoutMs: 300 }, 1);
    rig.proxy.route('a.test', [deaf.url, rig.backend.url]);
    rig.backend.serve(({ body }) => response(`got ${body}`));
    const client = await rig.send(`${request('POST / HTTP/1.1', 'Content-Length: 5')}hello`);
    await client.expect('got hello');
    assert.deepEqual(rig.proxy.marks, [{ url: deaf.url, reason: 'BACKEND_CONNECT_TIMEOUT' }]);
  });

  test('results in 504 if it is the only one', async (t) => {
    const deaf = await DeafBackend.start();
    t.after(() => deaf.stop());
    const rig = await startRig(t, { connectTimeoutMs: 300 }, 1);
    rig.proxy.route('a.test', [deaf.url]);
    const client = await rig.send(get('/'));
    await client.expect('\r\n\r\n');
    assert.deepEqual(client.statuses, [504]);
    assert.match(client.received, /\r\nx-hipache-error: BACKEND_CONNECT_TIMEOUT\r\n/);
  });

  test('does not get the request of a client that has gone', async (t) => {
    const deaf = await DeafBackend.start();
    t.after(() => deaf.stop());
    const rig = await startRig(t, { connectTimeoutMs: 600 }, 1);
    rig.proxy.route('a.test', [deaf.url, rig.backend.url]);
    const client = await rig.send(get('/'));
    const { counters } = rig.proxy.dataPlane;
    while (counters.requestsInFlight === 0) await new Promise(setImmediate);
    client.socket.resetAndDestroy();
    await rig.proxy.untilQuiet();
    while (counters.backendConnectionsOpen > 0) await new Promise(setImmediate);
    assert.equal(rig.proxy.ended.length, 1);
    assert.equal(rig.proxy.ended[0]?.errorCode, 'CLIENT_GONE');
    // Its failure concerns no client any more, so the request of the client that has gone is not retried.
    assert.equal(rig.backend.peers.length, 0);
    assert.equal(counters.retries, 0);
  });
});

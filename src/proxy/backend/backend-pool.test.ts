import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { BackendPeer } from '../../../test/helpers/raw-backend.ts';
import { RawBackend } from '../../../test/helpers/raw-backend.ts';
import { get, Rig, request, response, undated } from '../../../test/helpers/rig.ts';
import { testPolicy, testSettings } from '../../../test/helpers/test-proxy.ts';
import { until } from '../../../test/helpers/until.ts';
import { systemClock } from '../../base/clock.ts';
import type { ErrorCode } from '../../base/errors.ts';
import { Backend } from '../../routing/backend.ts';
import { backendTls } from '../../tls/backend-tls.ts';
import { Activity } from '../activity.ts';
import type { BackendStream, Freshness, StreamWaiter } from '../backend-stream.ts';
import type { ProxyContext } from '../context.ts';
import { Counters } from '../counters.ts';
import { Deadlines } from '../deadlines.ts';
import { HostPages } from '../host-pages.ts';
import { RefusalQueue } from '../refusal-queue.ts';
import type { ProxySettings } from '../settings.ts';
import { Tunnels } from '../tunnel/tunnels.ts';
import { BackendPool } from './backend-pool.ts';
import type { Dial } from './dial.ts';
import type { Http1BackendConnection } from './http1-connection.ts';
import { Origins } from './origins.ts';

/** Records what it gets. */
class Waiter implements StreamWaiter {
  readonly timeouts = testPolicy().timeouts;
  readonly carries = 'message';
  readonly connections: Http1BackendConnection[] = [];
  readonly errors: ErrorCode[] = [];

  onStream(stream: BackendStream): void {
    this.connections.push(stream as Http1BackendConnection);
  }

  onNoStream(code: ErrorCode): void {
    this.errors.push(code);
  }

  get calls(): number {
    return this.connections.length + this.errors.length;
  }
}

function contextWith(settings: Partial<ProxySettings>): ProxyContext {
  const unused = (): never => {
    throw new Error('not asked for here');
  };
  const parts = { clock: systemClock, fetch: unused, onWarning: unused, version: 'test' };
  const routes = {
    cached: unused,
    load: unused,
    confirmAbsent: unused,
    current: unused,
    markDown: unused,
    policyWithoutRoute: unused,
  };
  const tunnels = new Tunnels();
  return {
    settings: { ...testSettings, ...settings },
    routes,
    fetch: unused,
    hostPages: new HostPages({ ...parts, routes }),
    policy: testPolicy(),
    origins: new Origins(),
    responders: [],
    onInternalError: unused,
    deadlines: new Deadlines(systemClock.monotonicMs()),
    tunnels,
    activity: new Activity(tunnels, unused),
    rooms: { count: 0 },
    refusals: new RefusalQueue(),
    onAwake: unused,
    onAsleep: unused,
    onUsed: unused,
    observer: { exchangeEnded: unused },
    pages: null,
    backendTls: backendTls([], true),
    clock: systemClock,
    random: Math.random,
    counters: new Counters(),
    version: 'test',
    onProblem: () => {},
    onWarning: () => {},
    makeRoom: () => true,
    resolver: { watch: unused },
    draining: false,
  };
}

describe('a pool', () => {
  let server: RawBackend;
  let context: ProxyContext;
  let pool: BackendPool;
  let emptied: number;

  function open(settings: Partial<ProxySettings> = {}, port = server.port): void {
    context = contextWith(settings);
    emptied = 0;
    pool = new BackendPool(new Backend(`http://127.0.0.1:${port}`, '127.0.0.1', port, 0, 1), context, () => emptied++);
  }

  async function take(freshness: Freshness = 'any'): Promise<Http1BackendConnection> {
    const waiter = new Waiter();
    pool.acquire(waiter, freshness);
    await until('a connection', () => waiter.connections.length === 1);
    return waiter.connections[0] as Http1BackendConnection;
  }

  beforeEach(async () => {
    server = await RawBackend.start();
    open();
  });

  afterEach(async () => {
    context.draining = true;
    pool.closeIdle();
    await until('the end of every connection', () => {
      return context.counters.backendConnectionsOpen === 0 && context.deadlines.size === 0;
    });
    assert.equal(pool.openConnections, 0);
    assert.equal(context.deadlines.size, 0);
    await server.stop();
  });

  test('returns the most recently used connection, at once', async () => {
    const first = await take();
    const second = await take();
    assert.notEqual(first, second);
    pool.giveBack(first);
    pool.giveBack(second);
    const waiter = new Waiter();
    pool.acquire(waiter, 'any');
    pool.acquire(waiter, 'any');
    assert.deepEqual(waiter.connections, [second, first]);
    for (const connection of waiter.connections) connection.destroy();
  });

  test('keeps an idle connection from a waiter that needs a new or recently used one', async () => {
    const first = await take();
    pool.giveBack(first);
    const second = await take('new');
    assert.notEqual(second, first);
    second.destroy();
    const laterMs = systemClock.monotonicMs() + 1001;
    Object.assign(context, { clock: { ...systemClock, monotonicMs: () => laterMs } });
    const third = await take('proven');
    assert.notEqual(third, first);
    third.destroy();
  });

  test('keeps every kept connection from a waiter that cannot try again, once the backend has ended a young one', async () => {
    let nowMs = systemClock.monotonicMs();
    Object.assign(context, { clock: { ...systemClock, monotonicMs: () => nowMs } });
    const first = await take();
    pool.giveBack(first);
    const isGiven = async () => {
      const connection = await take('proven');
      pool.giveBack(connection);
      return connection === first;
    };
    pool.endedByBackend(2000);
    assert.equal(await isGiven(), true);
    pool.endedByBackend(1999);
    const second = await take('proven');
    assert.notEqual(second, first);
    second.destroy();
    assert.equal(await take(), first);
    pool.giveBack(first);
    nowMs += 60_000;
    pool.giveBack(await take());
    assert.equal(await isGiven(), true);
  });

  test('never calls a waiter that cancelled during the dial', async () => {
    const gone = new Waiter();
    pool.acquire(gone, 'any');
    pool.cancel(gone);
    const other = await take();
    await until('both', () => server.peers.length === 2);
    assert.equal(gone.calls, 0);
    other.destroy();
    const next = await take();
    assert.equal(gone.calls, 0);
    next.destroy();
  });

  test('gives the connection of a waiter that cancelled to the queue', async () => {
    open({ backendConnectionsMax: 1 });
    const gone = new Waiter();
    const waiting = new Waiter();
    pool.acquire(gone, 'any');
    pool.acquire(waiting, 'any');
    pool.cancel(gone);
    await until('the connection', () => waiting.connections.length === 1);
    assert.equal(gone.calls, 0);
    assert.equal(context.counters.backendConnections, 1);
    waiting.connections[0]?.destroy();
  });

  test('does not dial for a cancelled waiter while draining', async () => {
    const gone = new Waiter();
    pool.acquire(gone, 'any');
    context.draining = true;
    pool.cancel(gone);
    await until('its end', () => pool.openConnections === 0);
    assert.equal(gone.calls, 0);
    assert.equal(emptied, 1);
  });

  test('skips an idle connection that is closed but not yet gone', async () => {
    const first = await take();
    pool.giveBack(first);
    first.destroy();
    const waiter = new Waiter();
    pool.acquire(waiter, 'any');
    assert.equal(waiter.calls, 0);
    await until('a new one', () => waiter.connections.length === 1);
    assert.notEqual(waiter.connections[0], first);
    waiter.connections[0]?.destroy();
  });

  test('hands a freed connection to the queue, in order, as a reused one', async () => {
    open({ backendConnectionsMax: 1 });
    const connection = await take();
    assert.equal(connection.reused, false);
    const [first, second] = [new Waiter(), new Waiter()];
    pool.acquire(first, 'any');
    pool.acquire(second, 'any');
    assert.equal(pool.waitingRequests, 2);
    pool.giveBack(connection);
    assert.deepEqual(first.connections, [connection]);
    assert.equal(connection.reused, true);
    assert.equal(second.calls, 0);
    pool.cancel(second);
    assert.equal(pool.waitingRequests, 0);
    connection.destroy();
  });

  test('dials for the queue after a connection in use was destroyed', async () => {
    open({ backendConnectionsMax: 1 });
    const connection = await take();
    const waiting = new Waiter();
    pool.acquire(waiting, 'any');
    connection.destroy();
    await until('another', () => waiting.connections.length === 1);
    assert.equal(server.peers.length, 2);
    waiting.connections[0]?.destroy();
  });

  test('refuses a request at once if the queue is full, and a queued one after its timeout', async () => {
    open({ backendConnectionsMax: 1, queueMax: 1, queueTimeoutMs: 5 });
    const connection = await take();
    const [waiting, refused] = [new Waiter(), new Waiter()];
    pool.acquire(waiting, 'any');
    pool.acquire(refused, 'any');
    assert.deepEqual(refused.errors, ['BACKEND_QUEUE_FULL']);
    assert.equal(waiting.calls, 0);
    await until('the deadline', () => {
      context.deadlines.tick(systemClock.monotonicMs(), assert.fail);
      return waiting.calls > 0;
    });
    assert.deepEqual(waiting.errors, ['BACKEND_QUEUE_TIMEOUT']);
    assert.equal(pool.waitingRequests, 0);
    connection.destroy();
  });

  test('replaces an idle connection that is too old', async () => {
    open({ backendConnectionsMax: 1 });
    const first = await take();
    pool.giveBack(first);
    const second = await take('new');
    assert.notEqual(first, second);
    await until('the end of the first', () => pool.openConnections === 1);
    second.destroy();
  });

  test('closes an idle connection after its timeout', async () => {
    open({ backendIdleMs: 5 });
    pool.giveBack(await take());
    await until('the end', () => {
      context.deadlines.tick(systemClock.monotonicMs(), assert.fail);
      return pool.openConnections === 0;
    });
    assert.equal(emptied, 1);
  });

  test('reports a refused connection, and is empty again', async () => {
    open({}, 1);
    const waiter = new Waiter();
    pool.acquire(waiter, 'any');
    await until('the refusal', () => waiter.calls === 1);
    assert.deepEqual(waiter.errors, ['BACKEND_CONNECT_REFUSED']);
    assert.equal(emptied, 1);
  });

  const local = ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EADDRNOTAVAIL'];
  for (const code of [...local, 'ECONNREFUSED', 'EHOSTUNREACH', 'ENOTFOUND', 'ETIMEDOUT']) {
    const expected = local.includes(code)
      ? 'OVERLOADED'
      : code === 'ETIMEDOUT'
        ? 'BACKEND_CONNECT_TIMEOUT'
        : 'BACKEND_CONNECT_REFUSED';
    test(`reports ${code} while connecting as ${expected}`, async () => {
      const waiter = new Waiter();
      pool.acquire(waiter, 'new');
      const [dial] = (pool as unknown as { dials: readonly Dial[] }).dials;
      dial?.onClosed(Object.assign(new Error(code), { code }));
      assert.deepEqual(waiter.errors, [expected]);
      // Its socket connects, or is closed, by itself, and must not count twice.
      await turn();
      assert.equal(context.counters.backendConnectionsOpen, 0);
      assert.deepEqual([waiter.errors, waiter.connections], [[expected], []]);
    });
  }
});

describe('connections to a backend', () => {
  test('are reused, even by other hosts that share the backend', async (t) => {
    const rig = await Rig.start(t);
    rig.proxy.route('b.test', [rig.backend.url]);
    rig.backend.serve(({ startLine }) => response(`to ${startLine}`));
    const client = await rig.send(get('/1') + request('GET /2 HTTP/1.1').replace('a.test', 'b.test') + get('/3'));
    await client.expect('to GET /3');
    assert.equal(rig.backend.peers.length, 1);
    assert.equal(rig.proxy.dataPlane.counters.backendConnectionsOpen, 1);
  });

  test('are not reused without keep-alive, and the request asks to close', async (t) => {
    const rig = await Rig.start(t, { settings: { backendKeepAlive: false } });
    rig.backend.serve(({ startLine }) => response(`to ${startLine}`));
    const client = await rig.send(get('/1') + get('/2'));
    await client.expect('to GET /2');
    assert.equal(rig.backend.peers.length, 2);
    assert.equal(rig.backend.received.match(/\r\nConnection: close\r\n/g)?.length, 2);
    assert.doesNotMatch(client.received, /connection/i);
  });

  const last: Record<string, string> = {
    'Connection: close': response('last', '200 OK', 'Connection: close'),
    'Connection: Close among others': response('last', '200 OK', 'Connection: x, Close'),
    'HTTP/1.0': 'HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nlast',
    'no length': 'HTTP/1.1 200 OK\r\n\r\nlast',
  };
  for (const [name, sent] of Object.entries(last)) {
    test(`are not reused after a response with ${name}`, async (t) => {
      const rig = await Rig.start(t);
      rig.backend.serve((_, peer) => {
        peer.send(sent);
        peer.socket.end();
        return '';
      });
      const client = await rig.send(get('/1') + get('/2'));
      await client.expect(/last.*last/s);
      assert.equal(rig.backend.peers.length, 2);
    });
  }

  test('are reused after an HTTP/1.0 response with keep-alive', async (t) => {
    const rig = await Rig.start(t);
    rig.backend.serve(() => 'HTTP/1.0 200 OK\r\nContent-Length: 4\r\nConnection: Keep-Alive\r\n\r\nkept');
    const client = await rig.send(get('/1') + get('/2'));
    await client.expect(/kept.*kept/s);
    assert.equal(rig.backend.peers.length, 1);
    assert.equal(undated(client.received), 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nkept'.repeat(2));
  });

  test('stay within their limit: further requests wait their turn', async (t) => {
    const rig = await Rig.start(t, { settings: { backendConnectionsMax: 2 } });
    const waiting: BackendPeer[] = [];
    rig.backend.serve((_, peer) => {
      waiting.push(peer);
      return '';
    });
    const clients = [];
    for (let at = 0; at < 5; at++) clients.push(await rig.send(get(`/${at}`)));
    await until('all requests', () => rig.proxy.dataPlane.counters.requestsInFlight === 5);
    for (let at = 0; at < 5; at++) {
      await until('a request', () => waiting.length > 0);
      (waiting.shift() as BackendPeer).send(response('done'));
    }
    for (const client of clients) await client.expect('done');
    assert.equal(rig.backend.peers.length, 2);
  });

  test('have a limited queue: the next request gets 503', async (t) => {
    const rig = await Rig.start(t, { settings: { backendConnectionsMax: 1, queueMax: 1 } });
    rig.backend.serve(({ startLine, body }) => (startLine.includes('/one') ? '' : response(`${startLine} ${body}`)));
    const { counters } = rig.proxy.dataPlane;
    const first = await rig.send(get('/one'));
    await until('the first', () => counters.requestsInFlight === 1);
    const second = await rig.send(`${request('POST /2 HTTP/1.1', 'Content-Length: 3')}two`);
    await until('the second', () => counters.requestsInFlight === 2);
    const third = await rig.send(get('/3'));
    await third.expect('too many requests wait for the backend');
    assert.deepEqual(third.statuses, [503]);
    assert.match(third.received, /\r\nx-hipache-error: BACKEND_QUEUE_FULL\r\n/);
    await rig.backend.receive('/one');
    const peer = await rig.backend.peer();
    peer.send(response('one'));
    await first.expect('one');
    await second.expect('POST /2 HTTP/1.1 two');
    assert.deepEqual(rig.proxy.marks, []);
  });

  test('have a queue with a timeout: then the request gets 503', async (t) => {
    const rig = await Rig.start(t, { settings: { backendConnectionsMax: 1, queueTimeoutMs: 300 } });
    await rig.send(get('/1'));
    await rig.backend.receive('/1');
    const second = await rig.send(get('/2'));
    await second.expect('no connection to the backend became free in time');
    assert.deepEqual(second.statuses, [503]);
    assert.match(second.received, /\r\nx-hipache-error: BACKEND_QUEUE_TIMEOUT\r\n/);
    assert.doesNotMatch(rig.backend.received, /\/2/);
  });

  test('do not serve a queued request whose client has gone', async (t) => {
    const rig = await Rig.start(t, { settings: { backendConnectionsMax: 1 } });
    const first = await rig.send(get('/1'));
    await rig.backend.receive('/1');
    const second = await rig.send(get('/2'));
    await until('the second', () => rig.proxy.dataPlane.counters.requestsInFlight === 2);
    second.socket.resetAndDestroy();
    await until('its end', () => rig.proxy.dataPlane.counters.requestsInFlight === 1);
    (await rig.backend.peer()).send(response('one'));
    await first.expect('one');
    rig.backend.serve(({ startLine }) => (startLine.includes('/3') ? response('three') : ''));
    const third = await rig.send(get('/3'));
    await third.expect('three');
    assert.doesNotMatch(rig.backend.received, /\/2/);
  });
});

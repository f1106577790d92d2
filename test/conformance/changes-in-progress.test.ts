import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { values } from '../helpers/reference-parser.ts';
import { get, Rig, request, response } from '../helpers/rig.ts';
import { until } from '../helpers/until.ts';

describe('a route that changes while a request waits', () => {
  /** The backends are swapped as a deploy does it. */
  function swap(rig: Rig): void {
    const [former, next] = rig.backends.map(({ url }) => url) as [string, string];
    rig.proxy.route('a.test', [next, `${former}#drain=${Date.now() + 60_000}`]);
  }

  test('for its body: the present backends are asked', async (t) => {
    const rig = await Rig.start(t, { backends: 2, settings: { bodyRateMin: 1 } });
    for (const backend of rig.backends) backend.serve(() => response('ok'));
    rig.proxy.route('a.test', [rig.backend.url]);
    const client = await rig.send(`${request('POST / HTTP/1.1', 'Content-Length: 6')}abc`);
    await until('the request', () => rig.proxy.frontend('a.test').load.inFlight === 1);
    swap(rig);
    client.send('def');
    await client.expect(/^HTTP\/1\.1 200 /);
    assert.deepEqual(
      rig.backends.map(({ requests }) => requests.length),
      [0, 1],
    );
  });

  test('for a check of its password: the present backends are asked', async (t) => {
    const rig = await Rig.start(t, { backends: 2 });
    for (const backend of rig.backends) backend.serve(() => response('ok'));
    rig.proxy.route('a.test', [rig.backend.url]);
    const { promise, resolve } = Promise.withResolvers<boolean>();
    rig.proxy.checkPassword = () => promise;
    rig.proxy.options('a.test', { basicAuth: 'ann:$2b$x' });
    const client = await rig.send(get('/', `Authorization: Basic ${Buffer.from('ann:x').toString('base64')}`));
    await until('the request', () => rig.proxy.dataPlane.counters.requests === 1);
    swap(rig);
    resolve(true);
    await client.expect(/^HTTP\/1\.1 200 /);
    assert.equal(rig.backends[1]?.requests.length, 1);
  });

  test('for a backend that then fails: the present ones are tried', async (t) => {
    const rig = await Rig.start(t, { backends: 2 });
    rig.proxy.route('a.test', [rig.backend.url]);
    rig.backends[1]?.serve(() => response('ok'));
    const client = await rig.send(get('/'));
    const peer = await rig.backend.peer();
    await rig.backend.receive('\r\n\r\n');
    swap(rig);
    peer.socket.resetAndDestroy();
    await client.expect(/^HTTP\/1\.1 200 /);
  });
});

describe('rules', () => {
  test('that change while a request waits for one of them are asked again', async (t) => {
    const rig = await Rig.start(t);
    const { promise, resolve } = Promise.withResolvers<boolean>();
    rig.proxy.checkPassword = () => promise;
    rig.proxy.options('a.test', { basicAuth: 'ann:$2b$x' });
    const client = await rig.send(get('/', `Authorization: Basic ${Buffer.from('ann:x').toString('base64')}`));
    await until('the request', () => rig.proxy.dataPlane.counters.requests === 1);
    rig.proxy.options('a.test', { deny: '127.0.0.0/8' });
    resolve(true);
    await client.expect(/^HTTP\/1\.1 403 /);
    assert.equal(rig.backend.requests.length, 0);
  });

  test('count a chunked body that comes with its head', async (t) => {
    const rig = await Rig.start(t);
    rig.proxy.options('a.test', { requestBodyMax: '1k' });
    const body = `4e20\r\n${'x'.repeat(20_000)}\r\n0\r\n\r\n`;
    const client = await rig.send(`${request('POST / HTTP/1.1', 'Transfer-Encoding: chunked')}${body}`);
    await client.expect(/^HTTP\/1\.1 413 /);
    assert.equal(rig.backend.requests.length, 0);
  });

  test('for fields hold for trailers as well, and leave those that count proxies alone', async (t) => {
    const rig = await Rig.start(t);
    rig.backend.serve(() => response('ok'));
    rig.proxy.looseOptions('a.test', { requestFields: 'X-Tenant: 7\nCDN-Loop:\nVia: x\nMax-Forwards:' });
    const head = request('POST / HTTP/1.1', 'Transfer-Encoding: chunked', 'CDN-Loop: other', 'Max-Forwards: 5');
    const client = await rig.send(`${head}0\r\nX-Tenant: 9\r\n\r\n`);
    await client.expect(/^HTTP\/1\.1 200 /);
    const [message] = rig.backend.requests;
    assert.doesNotMatch(rig.backend.received, /X-Tenant: 9/);
    assert.equal(values(message?.fields ?? [], 'cdn-loop').length > 0, true);
    assert.deepEqual(values(message?.fields ?? [], 'via'), []);
  });
});

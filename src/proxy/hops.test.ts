import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { values } from '../../test/helpers/reference-parser.ts';
import { get, Rig, request, response } from '../../test/helpers/rig.ts';
import { testSettings, trusted } from '../../test/helpers/test-proxy.ts';
import { hopResponder } from './hops.ts';

describe('a loop', () => {
  for (const peers of [[], ['127.0.0.1']]) {
    test(`of a proxy to itself ends with 508${peers.length > 0 ? ', also where the proxy trusts itself' : ''}`, async (t) => {
      const rig = await Rig.start(t, { settings: { trustedProxies: trusted(...peers) } });
      rig.proxy.route('loop.test', [`http://127.0.0.1:${rig.proxy.port}`]);
      const client = await rig.send('GET /x HTTP/1.1\r\nHost: loop.test\r\n\r\n');
      await client.expect('loop detected');
      assert.deepEqual(client.statuses, [508]);
      assert.match(client.received, /\r\nx-hipache-error: REQUEST_LOOP\r\n/);
      assert.equal(rig.proxy.dataPlane.counters.requests, 11);
      assert.match(rig.proxy.warnings.join(), /a backend of the host leads back here.*"host":"loop\.test"/);
    });
  }

  test('is no request that came through other proxies, or a few times', async (t) => {
    const rig = await Rig.start(t);
    rig.backend.serve(() => response('ok'));
    const passes = Array.from({ length: 9 }, () => 'Hipache;v=1').join(', ');
    const client = await rig.send(get('/', `CDN-Loop: ${passes}`, 'cdn-loop: other, hipachex, x-hipache'));
    await client.expect('ok');
    const { fields } = rig.backend.requests[0] ?? { fields: [] };
    assert.deepEqual(values(fields, 'cdn-loop'), [passes, 'other, hipachex, x-hipache', 'hipache']);
    client.send(get('/', `CDN-Loop: ${passes}`, 'CDN-Loop: hipache'));
    await client.expect('loop detected');
    assert.deepEqual(client.statuses, [200, 508]);
  });

  test('is counted although the client nominates the field', async (t) => {
    const rig = await Rig.start(t);
    rig.backend.serve(() => response('ok'));
    const client = await rig.send(get('/', 'CDN-Loop: other, hipache', 'Connection: CDN-Loop'));
    await client.expect('ok');
    assert.deepEqual(values(rig.backend.requests[0]?.fields ?? [], 'cdn-loop'), ['other, hipache', 'hipache']);
  });

  test('is not looked for with a limit of 0', async (t) => {
    const identity = { ...testSettings.identity, loop: false };
    const rig = await Rig.start(t, { settings: { identity }, responders: [hopResponder(0)] });
    rig.backend.serve(() => response('ok'));
    const client = await rig.send(get('/', `CDN-Loop: ${'hipache,'.repeat(50)}`));
    await client.expect('ok');
    assert.equal(values(rig.backend.requests[0]?.fields ?? [], 'cdn-loop').length, 1);
  });
});

describe('Max-Forwards (RFC 9110 section 7.6.2)', () => {
  test('of 0 is not passed on', async (t) => {
    const rig = await Rig.start(t);
    const client = await rig.send(
      request('OPTIONS /x HTTP/1.1', 'Max-Forwards: 0') + request('TRACE /x HTTP/1.1', 'Max-Forwards: 0'),
    );
    await client.expect('method not allowed');
    assert.deepEqual(client.statuses, [200, 405]);
    assert.equal(client.received.match(/\r\nallow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n/g)?.length, 2);
    assert.equal(rig.backend.received, '');
  });

  const passed: readonly (readonly [startLine: string, sent: string, arrived: string])[] = [
    ['OPTIONS * HTTP/1.1', '1', '0'],
    ['TRACE /x HTTP/1.1', '10', '9'],
    ['GET /x HTTP/1.1', '0', '0'],
    ['OPTIONS /x HTTP/1.1', 'many', 'many'],
    ['TRACE /x HTTP/1.1', '4294967296', '999999999'],
    ['TRACE /x HTTP/1.1', '9'.repeat(400), '999999999'],
  ];
  for (const [startLine, sent, arrived] of passed) {
    test(`of ${sent} is ${arrived} behind ${startLine}`, async (t) => {
      const rig = await Rig.start(t);
      rig.backend.serve(() => response('ok'));
      const client = await rig.send(request(startLine, `Max-Forwards: ${sent}`));
      await client.expect('ok');
      assert.deepEqual(values(rig.backend.requests[0]?.fields ?? [], 'max-forwards'), [arrived]);
    });
  }
});

test('Via is added in both directions where it has a name', async (t) => {
  const identity = { ...testSettings.identity, via: 'edge-1' };
  const rig = await Rig.start(t, { settings: { identity } });
  rig.backend.serve(() => 'HTTP/1.0 200 OK\r\nVia: 1.1 cache\r\nContent-Length: 2\r\n\r\nok');
  const client = await rig.send(get('/', 'Via: 1.0 fred'));
  await client.expect('ok');
  assert.deepEqual(values(rig.backend.requests[0]?.fields ?? [], 'via'), ['1.0 fred', '1.1 edge-1']);
  assert.match(client.received, /\r\nVia: 1\.1 cache\r\n.*\r\nVia: 1\.0 edge-1\r\n/s);
});

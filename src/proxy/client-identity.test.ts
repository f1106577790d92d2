import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { values } from '../../test/helpers/reference-parser.ts';
import { get, Rig, response } from '../../test/helpers/rig.ts';
import { trusted } from '../../test/helpers/test-proxy.ts';
import { until } from '../../test/helpers/until.ts';
import { RequestHead } from '../http1/request-head.ts';
import { clientAddress, describePeer, type IdentityFields, identityEdits } from './client-identity.ts';
import { newTraceId } from './trace-id.ts';

const proxies = trusted('10.0.0.1', '10.0.0.2', '2001:db8::1');
const identity = { mapped: false, protocol: false, forwarded: false, loop: false, via: null };
const settings = { identity, trustedProxies: proxies };

function head(...lines: readonly string[]): RequestHead {
  const read = new RequestHead();
  const bytes = Buffer.from(get('/', ...lines), 'latin1');
  read.read(bytes, 0, bytes.length, { headBytesMax: 10_000, headFieldsMax: 100, targetBytesMax: 100 });
  return read;
}

describe('the client address is', () => {
  const cases: [string, string, string[], string][] = [
    ['the peer', '192.0.2.1', [], '::ffff:192.0.2.1'],
    ['the peer, whatever an untrusted one sends', '192.0.2.1', ['X-Forwarded-For: 6.6.6.6'], '::ffff:192.0.2.1'],
    ['a trusted peer without the field', '10.0.0.1', [], '::ffff:10.0.0.1'],
    ['the one that a trusted peer names', '10.0.0.1', ['X-Forwarded-For: 6.6.6.6'], '::ffff:6.6.6.6'],
    ['the last untrusted one', '10.0.0.1', ['X-Forwarded-For: 6.6.6.6, 7.7.7.7'], '::ffff:7.7.7.7'],
    [
      'the one before other trusted ones',
      '10.0.0.1',
      ['X-Forwarded-For: 6.6.6.6, 7.7.7.7, 10.0.0.2'],
      '::ffff:7.7.7.7',
    ],
    [
      'found over several fields',
      '10.0.0.1',
      ['X-Forwarded-For: 7.7.7.7', 'x-forwarded-for: 10.0.0.2'],
      '::ffff:7.7.7.7',
    ],
    ['the first one if all are trusted', '10.0.0.1', ['X-Forwarded-For: 10.0.0.2, 10.0.0.1'], '::ffff:10.0.0.2'],
    ['of IPv6', '2001:db8::1', ['X-Forwarded-For: 2001:db8::9'], '2001:db8::9'],
    ['the mapped address', '::ffff:10.0.0.1', ['X-Forwarded-For: ::ffff:6.6.6.6'], '::ffff:6.6.6.6'],
    [
      'the one after anything that is not an address',
      '10.0.0.1',
      ['X-Forwarded-For: 6.6.6.6, unknown, 10.0.0.2'],
      '::ffff:10.0.0.2',
    ],
    ['the peer if the field has no address', '10.0.0.1', ['X-Forwarded-For: <script>'], '::ffff:10.0.0.1'],
    ['the peer if the field is empty', '10.0.0.1', ['X-Forwarded-For:'], '::ffff:10.0.0.1'],
    ['X-Real-IP of a trusted peer without X-Forwarded-For', '10.0.0.1', ['X-Real-IP: 6.6.6.6'], '::ffff:6.6.6.6'],
    ['X-Real-IP of IPv6', '10.0.0.1', ['X-Real-IP: 2001:db8::9'], '2001:db8::9'],
    ['not X-Real-IP of an untrusted peer', '192.0.2.1', ['X-Real-IP: 6.6.6.6'], '::ffff:192.0.2.1'],
    [
      'that of X-Forwarded-For where there is both',
      '10.0.0.1',
      ['X-Real-IP: 6.6.6.6', 'X-Forwarded-For: 7.7.7.7'],
      '::ffff:7.7.7.7',
    ],
    ['one with a port', '10.0.0.1', ['X-Forwarded-For: 6.6.6.6:4711'], '::ffff:6.6.6.6'],
    ['one of IPv6 with a port', '10.0.0.1', ['X-Forwarded-For: [2001:db8::9]:4711'], '2001:db8::9'],
    ['one before an empty element', '10.0.0.1', ['X-Forwarded-For: 6.6.6.6, '], '::ffff:6.6.6.6'],
    ['the peer if X-Real-IP has no address', '10.0.0.1', ['X-Real-IP: unknown'], '::ffff:10.0.0.1'],
    ['the peer if X-Real-IP has two', '10.0.0.1', ['X-Real-IP: 6.6.6.6', 'X-Real-IP: 7.7.7.7'], '::ffff:10.0.0.1'],
    ['one with a zone', '10.0.0.1', ['X-Forwarded-For: fe80::1%eth0'], 'fe80::1%eth0'],
  ];
  for (const [name, peer, lines, expected] of cases) {
    test(name, () => {
      assert.equal(clientAddress(describePeer(peer, false, settings), head(...lines), proxies), expected);
    });
  }
});

describe('the fields of a client', () => {
  function fields(address: string, secure: boolean, host: string, of: Partial<IdentityFields> = {}): string[] {
    const peer = describePeer(address, secure, { ...settings, identity: { ...identity, ...of } });
    const request = new RequestHead();
    const bytes = Buffer.from(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`, 'latin1');
    request.read(bytes, 0, bytes.length, { headBytesMax: 10_000, headFieldsMax: 100, targetBytesMax: 100 });
    const { text } = identityEdits(peer, request, peer.address, newTraceId());
    return text.split('\r\n').filter((line) => line !== '' && !/^(X-Request-Id|traceparent): /.test(line));
  }

  test('show what it used: address, protocol, host and port', () => {
    assert.deepEqual(fields('192.0.2.1', true, 'a.test'), [
      'X-Forwarded-For: 192.0.2.1',
      'X-Real-IP: 192.0.2.1',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Port: 443',
      'X-Forwarded-Host: a.test',
    ]);
  });

  test('have the port of its Host, else that of the protocol', () => {
    const cases: readonly (readonly [secure: boolean, host: string, port: string])[] = [
      [false, 'a.test', '80'],
      [false, 'a.test:8080', '8080'],
      [true, 'a.test:8443', '8443'],
      [true, 'a.test:', '443'],
      [false, '[2001:db8::80]', '80'],
      [false, '[2001:db8::1]:81', '81'],
    ];
    for (const [secure, host, port] of cases) {
      const all = fields('192.0.2.1', secure, host);
      assert.deepEqual(all.slice(-2).toSorted(), [`X-Forwarded-Host: ${host}`, `X-Forwarded-Port: ${port}`]);
    }
  });

  test('have its address as it is, or in the form of Hipache 0.4', () => {
    const cases: readonly (readonly [address: string, plain: string, mapped: string])[] = [
      ['192.0.2.1', '192.0.2.1', '::ffff:192.0.2.1'],
      ['::ffff:192.0.2.1', '192.0.2.1', '::ffff:192.0.2.1'],
      ['2001:db8::9', '2001:db8::9', '2001:db8::9'],
      ['::ffff:1:2', '::ffff:1:2', '::ffff:1:2'],
    ];
    for (const [address, plain, mapped] of cases) {
      assert.equal(fields(address, false, 'a.test')[0], `X-Forwarded-For: ${plain}`);
      assert.equal(fields(address, false, 'a.test', { mapped: true })[1], `X-Real-IP: ${mapped}`);
    }
  });

  test('have X-Forwarded-Protocol and Forwarded where they are wanted', () => {
    assert.ok(fields('192.0.2.1', true, 'a', { protocol: true }).includes('X-Forwarded-Protocol: https'));
    const forwarded = (address: string, host: string) => fields(address, true, host, { forwarded: true }).at(-2);
    assert.equal(forwarded('192.0.2.1', 'a.test'), 'Forwarded: for=192.0.2.1;host=a.test;proto=https');
    assert.equal(forwarded('2001:db8::9', 'a:81'), 'Forwarded: for="[2001:db8::9]";host="a:81";proto=https');
  });
});

describe('to the backend of a trusted peer', () => {
  test('its X-Forwarded-For is extended, and its other fields are kept', async (t) => {
    const rig = await Rig.start(t, { settings: { trustedProxies: trusted('127.0.0.1') } });
    rig.backend.serve(() => response('ok'));
    const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const kept: [string, string][] = [
      ['X-Real-IP', '6.6.6.6'],
      ['X-Forwarded-Proto', 'https'],
      ['X-Forwarded-Host', 'outer.test'],
      ['Forwarded', 'for=6.6.6.6'],
      ['X-Request-Id', 'given'],
      ['traceparent', trace],
      ['tracestate', 'a=b'],
    ];
    const client = await rig.send(
      get(
        '/',
        'X-Forwarded-For: 5.5.5.5',
        'X-Forwarded-For: 6.6.6.6',
        ...kept.map(([name, value]) => `${name}: ${value}`),
      ),
    );
    await client.expect('ok');
    const fields = rig.backend.requests[0]?.fields ?? [];
    for (const [name, value] of kept) assert.deepEqual(values(fields, name.toLowerCase()), [value]);
    assert.deepEqual(values(fields, 'x-forwarded-for'), ['5.5.5.5, 6.6.6.6, 127.0.0.1']);
    assert.deepEqual(values(fields, 'x-forwarded-protocol'), []);
    assert.deepEqual(values(fields, 'x-forwarded-port'), ['443']);
  });

  for (const [sent, proto, port] of [
    ['X-Forwarded-Protocol: ssl', 'https', '443'],
    ['X-Forwarded-Protocol: https', 'https', '443'],
    ['X-Forwarded-Ssl: on', 'https', '443'],
    ['X-Forwarded-Proto: HTTPS', 'HTTPS', '443'],
    ['X-Forwarded-Proto: https, http', 'https, http', '443'],
    ['X-Forwarded-Proto: http, https', 'http, https', '80'],
    ['X-Forwarded-Ssl: off', 'http', '80'],
  ] as const) {
    test(`${sent} says ${proto} and port ${port}`, async (t) => {
      const rig = await Rig.start(t, { settings: { trustedProxies: trusted('127.0.0.1') } });
      rig.backend.serve(() => response('ok'));
      const client = await rig.send(get('/', sent));
      await client.expect('ok');
      const fields = rig.backend.requests[0]?.fields ?? [];
      assert.deepEqual(values(fields, 'x-forwarded-proto'), [proto]);
      assert.deepEqual(values(fields, 'x-forwarded-port'), [port]);
    });
  }

  test('an empty X-Forwarded-For stays without an element of its own, and no host gets into Forwarded that is none', async (t) => {
    const settings = { trustedProxies: trusted('127.0.0.1'), identity: { ...identity, forwarded: true } };
    const rig = await Rig.start(t, { settings });
    rig.backend.serve(() => response('ok'));
    const client = await rig.send(get('/', 'X-Forwarded-For:', 'X-Forwarded-Host: a";for=6.6.6.6;x="'));
    await client.expect('ok');
    const fields = rig.backend.requests[0]?.fields ?? [];
    assert.deepEqual(values(fields, 'x-forwarded-for'), ['127.0.0.1']);
    assert.deepEqual(values(fields, 'forwarded'), ['for=127.0.0.1;proto=http']);
  });

  test('X-Real-IP comes from its X-Forwarded-For, not from its client', async (t) => {
    const rig = await Rig.start(t, { settings: { trustedProxies: trusted('127.0.0.1') } });
    rig.backend.serve(() => response('ok'));
    const client = await rig.send(get('/', 'X-Forwarded-For: 6.6.6.6', 'X-Real-IP: 9.9.9.9', 'Client-IP: 6.6.6.6'));
    await client.expect('ok');
    const fields = rig.backend.requests[0]?.fields ?? [];
    assert.deepEqual(values(fields, 'x-real-ip'), ['6.6.6.6']);
    assert.deepEqual(values(fields, 'client-ip'), ['6.6.6.6']);
  });

  test('the fields that it did not send are added', async (t) => {
    const rig = await Rig.start(t, { settings: { trustedProxies: trusted('127.0.0.1') } });
    rig.backend.serve(() => response('ok'));
    const client = await rig.send(get('/'));
    await client.expect('ok');
    const fields = rig.backend.requests[0]?.fields ?? [];
    assert.deepEqual(values(fields, 'x-forwarded-for'), ['127.0.0.1']);
    assert.deepEqual(values(fields, 'x-real-ip'), ['127.0.0.1']);
    assert.deepEqual(values(fields, 'x-forwarded-proto'), ['http']);
    assert.deepEqual(values(fields, 'x-forwarded-host'), ['a.test']);
    assert.deepEqual(values(fields, 'x-forwarded-port'), ['80']);
    assert.match(values(fields, 'x-request-id').join(), /^[0-9a-f]{32}$/);
    assert.match(values(fields, 'traceparent').join(), /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  });
});

test('a trusted peer gets Forwarded extended, and the port of the host that it names', async (t) => {
  const rig = await Rig.start(t, {
    settings: { trustedProxies: trusted('127.0.0.1'), identity: { ...identity, forwarded: true } },
  });
  rig.backend.serve(() => response('ok'));
  const client = await rig.send(get('/', 'X-Forwarded-Host: outer.test:8443', 'Forwarded: for=6.6.6.6'));
  await client.expect('ok');
  const fields = rig.backend.requests[0]?.fields ?? [];
  assert.deepEqual(values(fields, 'x-forwarded-host'), ['outer.test:8443']);
  assert.deepEqual(values(fields, 'x-forwarded-port'), ['8443']);
  assert.deepEqual(values(fields, 'forwarded'), ['for=6.6.6.6', 'for=127.0.0.1;host="outer.test:8443";proto=http']);
});

test('every request gets its own id', async (t) => {
  const rig = await Rig.start(t);
  rig.backend.serve(() => response('ok'));
  const client = await rig.send(get('/').repeat(1000));
  await until('every response', () => client.statuses.length === 1000);
  const ids = rig.backend.requests.map(({ fields }) => values(fields, 'x-request-id').join());
  assert.equal(new Set(ids).size, 1000);
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { values } from '../../test/helpers/reference-parser.ts';
import { get, Rig, response } from '../../test/helpers/rig.ts';
import { trusted } from '../../test/helpers/test-proxy.ts';
import { until } from '../../test/helpers/until.ts';
import { RequestHead } from '../http1/request-head.ts';
import { clientAddress, describePeer, identityEdits } from './client-identity.ts';

const proxies = trusted('10.0.0.1', '10.0.0.2', '2001:db8::1');

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
    ['one with a zone', '10.0.0.1', ['X-Forwarded-For: fe80::1%eth0'], 'fe80::1%eth0'],
  ];
  for (const [name, peer, lines, expected] of cases) {
    test(name, () => {
      assert.equal(clientAddress(describePeer(peer, false, proxies), head(...lines), proxies), expected);
    });
  }
});

test('the fields show that the connection uses TLS', () => {
  const peer = describePeer('192.0.2.1', true, proxies);
  const edits = identityEdits(peer, head(), peer.address);
  assert.match(
    edits.text,
    /^X-Forwarded-For: .*\r\nX-Real-IP: .*\r\nX-Forwarded-Protocol: https\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\n/,
  );
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
    assert.deepEqual(values(fields, 'x-forwarded-for'), ['5.5.5.5, 6.6.6.6, ::ffff:127.0.0.1']);
    assert.deepEqual(values(fields, 'x-forwarded-protocol'), ['https']);
    assert.deepEqual(values(fields, 'x-forwarded-port'), ['443']);
  });

  test('the fields that it did not send are added', async (t) => {
    const rig = await Rig.start(t, { settings: { trustedProxies: trusted('127.0.0.1') } });
    rig.backend.serve(() => response('ok'));
    const client = await rig.send(get('/'));
    await client.expect('ok');
    const fields = rig.backend.requests[0]?.fields ?? [];
    assert.deepEqual(values(fields, 'x-forwarded-for'), ['::ffff:127.0.0.1']);
    assert.deepEqual(values(fields, 'x-real-ip'), ['::ffff:127.0.0.1']);
    assert.deepEqual(values(fields, 'x-forwarded-proto'), ['http']);
    assert.deepEqual(values(fields, 'x-forwarded-port'), ['80']);
    assert.match(values(fields, 'x-request-id').join(), /^[0-9a-f]{32}$/);
    assert.match(values(fields, 'traceparent').join(), /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  });
});

test('every request gets its own id', async (t) => {
  const rig = await Rig.start(t);
  rig.backend.serve(() => response('ok'));
  const client = await rig.send(get('/').repeat(1000));
  await until('every response', () => client.statuses.length === 1000);
  const ids = rig.backend.requests.map(({ fields }) => values(fields, 'x-request-id').join());
  assert.equal(new Set(ids).size, 1000);
});

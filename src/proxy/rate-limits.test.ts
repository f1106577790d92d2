import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { get, Rig, response } from '../../test/helpers/rig.ts';
import { trusted } from '../../test/helpers/test-proxy.ts';

/** A proxy that believes the addresses that its clients name. */
async function start(t: TestContext, options: Readonly<Record<string, string>>): Promise<Rig> {
  const rig = await Rig.start(t, { settings: { trustedProxies: trusted('127.0.0.1') } });
  rig.backend.serve(() => response('ok'));
  rig.proxy.route('a.test', [rig.backend.url]);
  rig.proxy.options('a.test', options);
  return rig;
}

async function ask(rig: Rig, ...lines: string[]): Promise<string> {
  const client = await rig.send(get('/', 'Connection: close', ...lines));
  await client.untilEnded();
  return client.received;
}

async function statuses(rig: Rig, count: number, ...lines: string[]): Promise<string[]> {
  const all: string[] = [];
  for (let i = 0; i < count; i++) all.push((await ask(rig, ...lines)).slice(9, 12));
  return all;
}

test('a client that exceeds its rate gets 429 and when to come again; others are served', async (t) => {
  const rig = await start(t, { rate: '2/h' });
  assert.deepEqual(await statuses(rig, 3, 'X-Forwarded-For: 192.0.2.1'), ['200', '429', '429']);
  const refused = await ask(rig, 'X-Forwarded-For: 192.0.2.1');
  assert.match(refused, /^HTTP\/1\.1 429 Too Many Requests\r\n/);
  assert.match(refused, /^x-hipache-error: RATE_LIMITED\r$/m);
  assert.match(refused, /^retry-after: (1[78]\d\d)\r$/m);
  assert.deepEqual(await statuses(rig, 1, 'X-Forwarded-For: 192.0.2.2'), ['200']);
  assert.equal(rig.backend.requests.length, 2);
});

test('an IPv6 client counts by its network', async (t) => {
  const rig = await start(t, { rate: '1/h', rateBurst: '2' });
  const from = (address: string) => statuses(rig, 1, `X-Forwarded-For: ${address}`);
  const all = [await from('2001:db8::1'), await from('2001:db8::2'), await from('2001:db8::3')].flat();
  assert.deepEqual([...all, ...(await from('2001:db8:0:1::1'))], ['200', '200', '429', '200']);
});

test('requests count by a header, and by their client without it', async (t) => {
  const rig = await start(t, { rate: '1/h', rateBy: 'header:X-Api-Key' });
  assert.deepEqual(await statuses(rig, 2, 'X-Api-Key: one'), ['200', '429']);
  assert.deepEqual(await statuses(rig, 2, 'x-api-key: two'), ['200', '429']);
  assert.deepEqual(await statuses(rig, 2), ['200', '429']);
});

test('all requests of a host count together, WebSockets too', async (t) => {
  const rig = await start(t, { rate: '1/h', rateBy: 'host', rateBurst: '3' });
  for (const i of [1, 2, 3]) {
    assert.deepEqual(await statuses(rig, 1, `X-Forwarded-For: 192.0.2.${i}`), ['200']);
  }
  const handshake = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
  const client = await rig.send(get('/', ...handshake, 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='));
  await client.expect('HTTP/1.1 429');
});

test('a client that is not allowed at all does not use up a rate', async (t) => {
  const rig = await start(t, { rate: '1/h', rateBy: 'host', deny: '192.0.2.0/24' });
  assert.deepEqual(await statuses(rig, 3, 'X-Forwarded-For: 192.0.2.1'), ['403', '403', '403']);
  assert.deepEqual(await statuses(rig, 2, 'X-Forwarded-For: 198.51.100.1'), ['200', '429']);
});

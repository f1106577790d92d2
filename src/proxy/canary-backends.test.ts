import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { get, Rig, response } from '../../test/helpers/rig.ts';
import { trusted } from '../../test/helpers/test-proxy.ts';
import { isInCanary } from '../routing/canary.ts';

const addresses = Array.from({ length: 200 }, (_, i) => `203.0.113.${i}`);
const isInside = (address: string): boolean => isInCanary({ pattern: 'a.test', share: 20 }, address);
const inside = addresses.find(isInside) as string;
const outside = addresses.find((address) => !isInside(address)) as string;

/** A proxy whose last backend is the canary for 20 % of the clients. It trusts their X-Forwarded-For. */
async function start(t: TestContext, backends = 2, names = ['old', 'new']): Promise<Rig> {
  const rig = await Rig.start(t, { backends, settings: { trustedProxies: trusted('127.0.0.1') } });
  for (const [i, backend] of rig.backends.entries()) backend.serve(() => response(names[i] ?? `${i}`));
  rig.proxy.route(
    'a.test',
    rig.backends.map(({ url }, i) => (i === backends - 1 ? `${url}#canary=20` : url)),
  );
  return rig;
}

/** The whole response to a request of a client, without its Date. */
async function ask(rig: Rig, address: string, ...lines: string[]): Promise<string> {
  const client = await rig.send(get('/', `X-Forwarded-For: ${address}`, 'Connection: close', ...lines));
  await client.untilEnded();
  return client.received.replace(/^Date: .*\r\n/m, '');
}

const ok = (body: string): string =>
  `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`;

test('the canary serves its clients, and only these', async (t) => {
  const rig = await start(t);
  for (const address of addresses.slice(0, 60)) {
    assert.equal(await ask(rig, address), ok(isInside(address) ? 'new' : 'old'));
  }
});

test('a canary that refuses connections costs no error, is marked, and gets nothing while the mark lasts', async (t) => {
  const rig = await start(t);
  const [, canary] = rig.backends;
  const url = canary?.url;
  await canary?.stop();
  for (let i = 0; i < 3; i++) assert.equal(await ask(rig, inside), ok('old'));
  assert.deepEqual(
    rig.proxy.ended.map(({ attempts, status }) => [attempts, status]),
    [
      [2, 200],
      [1, 200],
      [1, 200],
    ],
  );
  assert.deepEqual(
    rig.proxy.marks.map((mark) => mark.url),
    [url],
  );
});

test('a request that a canary drops is sent again, to another backend', async (t) => {
  const rig = await start(t);
  const [, canary] = rig.backends;
  canary?.onBytes((peer) => peer.socket.resetAndDestroy());
  assert.equal(await ask(rig, inside), ok('old'));
  assert.deepEqual(
    rig.proxy.ended.map(({ attempts }) => attempts),
    [2],
  );
});

test('other clients get no canary if their backends fail or are marked', async (t) => {
  const rig = await start(t, 3, ['0', '1', 'new']);
  for (const backend of rig.backends.slice(0, 2)) backend.onBytes((peer) => peer.socket.resetAndDestroy());
  for (let i = 0; i < 3; i++) assert.match(await ask(rig, outside), /^HTTP\/1\.1 502 /);
  assert.equal(rig.backends[2]?.requests.length, 0);
  assert.equal(await ask(rig, inside), ok('new'));
});

test('a sticky client stays where its cookie says, and a new one gets the cookie of its group', async (t) => {
  const rig = await start(t);
  rig.proxy.options('a.test', { sticky: 'sid' });
  const cookieOf = async (address: string): Promise<string> => {
    const [, value = ''] = /\r\nSet-Cookie: (sid=[0-9a-f]{16});/.exec(await ask(rig, address)) ?? [];
    return `Cookie: ${value}`;
  };
  const [old, fresh] = [await cookieOf(outside), await cookieOf(inside)];
  for (const address of [inside, outside]) {
    assert.equal(await ask(rig, address, old), ok('old'));
    assert.equal(await ask(rig, address, fresh), ok('new'));
  }
  await rig.backends[1]?.stop();
  assert.match(await ask(rig, inside, fresh), new RegExp(`\r\nSet-Cookie: ${old.slice('Cookie: '.length)}; [^]*old$`));
});

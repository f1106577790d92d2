import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { describe, type TestContext, test } from 'node:test';
import { TwoRandomChoices } from '../../src/routing/selector.ts';
import { ByCookie, StickyCookie } from '../../src/routing/sticky-cookie.ts';
import { acceptOf } from '../../src/websocket/handshake.ts';
import { get, Rig, type RigOptions, request, response, undated } from '../helpers/rig.ts';
import { trusted } from '../helpers/test-proxy.ts';

/** Cookies of `sticky`, by the bytes that reach clients and backends. */

const usual = 'Path=/; HttpOnly; SameSite=Lax';

interface StickyRig {
  readonly rig: Rig;
  /** The values that name the backends. */
  readonly values: readonly string[];
  /** The text of the response to this request, with the values of the backends as V0 and V1. */
  ask(text: string): Promise<string>;
}

/** Two backends, of which an unknown client gets the first one that can be used. */
async function start(t: TestContext, options: RigOptions = {}, attributes: string | null = null): Promise<StickyRig> {
  const rig = await Rig.start(t, { backends: 2, ...options });
  const cookie = new StickyCookie('route', 'secret', attributes);
  const selector = new ByCookie(cookie, new TwoRandomChoices(() => 0));
  const urls = rig.backends.map(({ url }) => url);
  rig.proxy.route('a.test', urls, 'a.test', { sticky: cookie, selector });
  for (const [i, backend] of rig.backends.entries()) backend.serve(() => response(`${i}`));
  const values = urls.map((url) => createHmac('sha256', 'secret').update(`a.test ${url}`).digest('hex').slice(0, 16));
  return {
    rig,
    values,
    async ask(text) {
      const client = await rig.send(text);
      await client.expect(/\r\n\r\n./s);
      client.close();
      return values.reduce((shown, value, i) => shown.replaceAll(value, `V${i}`), undated(client.received));
    },
  };
}

const plain = (body: string, ...lines: readonly string[]): string => response(body, '200 OK', ...lines);

test('a client without the cookie gets it, with the response that is otherwise unchanged', async (t) => {
  const { ask } = await start(t);
  assert.equal(await ask(get()), plain('0', `Set-Cookie: route=V0; ${usual}`));
});

test('a client with the cookie goes to its backend, which gets the cookie too, and no cookie is set', async (t) => {
  const { ask, rig, values } = await start(t);
  const field = `Cookie: a=b; route=${values[1]}; c=d`;
  assert.equal(await ask(get('/', field)), plain('1'));
  assert.ok(rig.backends[1]?.received.includes(`\r\n${field}\r\n`));
  assert.equal(await ask(get('/', `Cookie: route=${values[0]}`)), plain('0'));
  assert.equal(await ask(request('POST / HTTP/1.1', field, 'Content-Length: 0')), plain('1'));
});

describe('a cookie that is not one of this host is none:', () => {
  const forged: Readonly<Record<string, (value: string) => string>> = {
    'a wrong value': () => 'Cookie: route=0123456789abcdef',
    'upper case': (value) => `Cookie: route=${value.toUpperCase()}`,
    'quotation marks': (value) => `Cookie: route="${value}"`,
    'a longer value': (value) => `Cookie: route=${value}0`,
    'another name': (value) => `Cookie: Route=${value}`,
    'no name': (value) => `Cookie: ${value}`,
    'bytes that are no text': () => 'Cookie: route=\xff\x80; \xe9=1',
    'thousands of cookies': () => `Cookie: ${'route=1; '.repeat(2000)}`,
    'an object': () => 'Cookie: route=__proto__; route=constructor',
  };
  for (const [name, field] of Object.entries(forged)) {
    test(name, async (t) => {
      const { ask, values } = await start(t);
      assert.equal(await ask(get('/', field(values[1] as string))), plain('0', `Set-Cookie: route=V0; ${usual}`));
    });
  }

  test('the value of another host or key', async (t) => {
    const { ask, rig } = await start(t);
    const url = rig.backends[1]?.url;
    for (const [key, pattern] of [
      ['secret', 'b.test'],
      ['', 'a.test'],
    ] as const) {
      const value = createHmac('sha256', key).update(`${pattern} ${url}`).digest('hex').slice(0, 16);
      assert.equal(await ask(get('/', `Cookie: route=${value}`)), plain('0', `Set-Cookie: route=V0; ${usual}`));
    }
  });
});

test('a client whose backend is dead, drains or is removed gets another one, and its cookie', async (t) => {
  const { ask, rig, values } = await start(t);
  const urls = rig.backends.map(({ url }) => url) as [string, string];
  const field = `Cookie: route=${values[1]}`;
  const changed = plain('0', `Set-Cookie: route=V0; ${usual}`);
  const backend = rig.proxy.frontend('a.test').backends[1];
  assert.ok(backend);
  const { policy } = rig.proxy.frontend('a.test');
  backend.down = { untilMs: Date.now() + 60_000, sinceMs: 0, reason: 'x', instance: 'i' };
  assert.equal(await ask(get('/', field)), changed);
  backend.down = null;
  assert.equal(await ask(get('/', field)), plain('1'));
  rig.proxy.route('a.test', [urls[0], `${urls[1]}#drain=${Date.now() + 60_000}`], 'a.test', policy);
  assert.equal(await ask(get('/', field)), changed);
  rig.proxy.route('a.test', [urls[0]], 'a.test', policy);
  assert.equal(await ask(get('/', field)), changed);
  rig.proxy.route('a.test', urls, 'a.test', policy);
  assert.equal(await ask(get('/', field)), plain('1'));
});

test('a retry goes elsewhere, and the response names the backend that responded', async (t) => {
  const { ask, rig, values } = await start(t);
  await rig.backends[1]?.stop();
  assert.equal(await ask(get('/', `Cookie: route=${values[1]}`)), plain('0', `Set-Cookie: route=V0; ${usual}`));
  assert.equal(rig.proxy.ended[0]?.attempts, 2);
  assert.deepEqual(
    rig.proxy.marks.map(({ url }) => url),
    [rig.proxy.frontend('a.test').backends[1]?.url],
  );
});

test('a reply of the proxy itself sets no cookie', async (t) => {
  const { ask, rig } = await start(t);
  for (const backend of rig.backends) await backend.stop();
  const text = await ask(get());
  assert.match(text, /^HTTP\/1\.1 502 /);
  assert.doesNotMatch(text, /Set-Cookie/);
});

test('the cookie follows those of the backend, also one of the same name', async (t) => {
  const { ask, rig } = await start(t);
  rig.backend.serve(() => response('0', '200 OK', 'Set-Cookie: a=b', 'Set-Cookie: route=theirs; Path=/x', 'ETag: "1"'));
  const lines = ['Set-Cookie: a=b', 'Set-Cookie: route=theirs; Path=/x', 'ETag: "1"', `Set-Cookie: route=V0; ${usual}`];
  assert.equal(await ask(get()), plain('0', ...lines));
});

test('of an informational response and the final one, the final one sets it', async (t) => {
  const { ask, rig } = await start(t);
  rig.backend.serve(() => `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${response('0')}`);
  const text = await ask(get());
  assert.match(text, /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a>\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
  assert.equal(text.match(/Set-Cookie/g)?.length, 1);
});

test('pipelined requests each have their own cookie', async (t) => {
  const { rig, values } = await start(t);
  const client = await rig.send(
    get('/', `Cookie: route=${values[1]}`) + get() + get('/', `Cookie: route=${values[0]}`),
  );
  await client.expect(/(HTTP.*){3}\r\n\r\n0$/s);
  assert.equal(
    undated(client.received),
    plain('1') + plain('0', `Set-Cookie: route=${values[0]}; ${usual}`) + plain('0'),
  );
});

describe('the attributes', () => {
  const proto = 'X-Forwarded-Proto: https';

  test('have Secure if a trusted proxy says that the client uses https, and not otherwise', async (t) => {
    const trusting = await start(t, { settings: { trustedProxies: trusted('127.0.0.1') } });
    assert.equal(await trusting.ask(get('/', proto)), plain('0', `Set-Cookie: route=V0; ${usual}; Secure`));
    assert.equal(await trusting.ask(get()), plain('0', `Set-Cookie: route=V0; ${usual}`));
    const other = await start(t);
    assert.equal(await other.ask(get('/', proto)), plain('0', `Set-Cookie: route=V0; ${usual}`));
  });

  test('are those of the operator, if there are any', async (t) => {
    const { ask } = await start(t, {}, 'Path=/; Secure; SameSite=None; Max-Age=86400');
    const line = 'Set-Cookie: route=V0; Path=/; Secure; SameSite=None; Max-Age=86400';
    assert.equal(await ask(get()), plain('0', line));
  });
});

test('debug fields and the cookie come together', async (t) => {
  const { ask } = await start(t, { settings: { trustedProxies: trusted('127.0.0.1') } });
  const text = await ask(get('/', 'X-Debug: 1'));
  assert.match(text, /x-debug-version-hipache: test\r\n/);
  assert.match(text, /\r\nSet-Cookie: route=V0; /);
});

test('the 101 of a WebSocket handshake sets it, and a handshake with it goes to its backend', async (t) => {
  const { rig, values } = await start(t);
  const key = 'dGhlIHNhbXBsZSBub25jZQ==';
  const lines = ['Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Key: ${key}`, 'Sec-WebSocket-Version: 13'];
  const accept = `Sec-WebSocket-Accept: ${acceptOf(key)}`;
  for (const backend of rig.backends) {
    backend.serve(
      () => `HTTP/1.1 101 Switching Protocols\r\n${accept}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n`,
    );
  }
  const head = (...more: readonly string[]) =>
    ['HTTP/1.1 101 Switching Protocols', accept, ...more, 'Connection: Upgrade', 'Upgrade: websocket', '\r\n'].join(
      '\r\n',
    );
  const first = await rig.send(get('/chat', ...lines));
  await first.expect('\r\n\r\n');
  assert.equal(first.received, head(`Set-Cookie: route=${values[0]}; ${usual}`));
  const second = await rig.send(get('/chat', ...lines, `Cookie: route=${values[1]}`));
  await second.expect('\r\n\r\n');
  assert.equal(second.received, head());
  assert.equal(rig.backends[1]?.requests.length, 1);
});

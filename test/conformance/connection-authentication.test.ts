import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isConnectionScheme } from '../../src/http/message.ts';
import type { RawBackend } from '../helpers/raw-backend.ts';
import type { RawClient } from '../helpers/raw-client.ts';
import { get, Rig, response } from '../helpers/rig.ts';
import { until } from '../helpers/until.ts';

/** Authenticates connections, as NTLM does: what follows on one is served as the user of its last credentials. */
function authenticate(backend: RawBackend): void {
  const users = new Map<object, string>();
  backend.serve(({ fields }, peer) => {
    const credentials = fields.find(([name]) => name.toLowerCase() === 'authorization')?.[1];
    if (credentials !== undefined) users.set(peer, credentials);
    const user = users.get(peer);
    if (user === undefined) return response('who?', '401 Unauthorized', 'WWW-Authenticate: NTLM');
    return response(`[${user}]`);
  });
}

describe('a backend that authenticates connections', () => {
  test('never serves another client as the first one', async (t) => {
    const rig = await Rig.start(t);
    authenticate(rig.backend);
    const first = await rig.send(get('/', 'Authorization: NTLM first'));
    await first.expect('[NTLM first]');
    const second = await rig.send(get('/'));
    await second.expect('who?');
    assert.equal(rig.backend.peers.length, 2);
  });

  test('serves the later requests of the same client connection on the same connection', async (t) => {
    const rig = await Rig.start(t, { backends: 3 });
    for (const backend of rig.backends) authenticate(backend);
    const client = await rig.send(get('/', 'Authorization: Negotiate one'));
    await client.expect('[Negotiate one]');
    for (let count = 0; count < 20; count++) {
      client.received = '';
      client.send(get(`/${count}`));
      await client.expect('[Negotiate one]');
    }
    assert.equal(
      rig.backends.reduce((sum, { peers }) => sum + peers.length, 0),
      1,
    );
  });

  test('gets its handshake on one connection, from the challenge on, also where connections are not kept', async (t) => {
    for (const backendKeepAlive of [true, false]) {
      const rig = await Rig.start(t, { settings: { backendKeepAlive } });
      authenticate(rig.backend);
      const client = await rig.send(get('/'));
      await client.expect('who?');
      client.send(get('/', 'Authorization: NTLM negotiate'));
      await client.expect('[NTLM negotiate]');
      client.send(get('/', 'Authorization: NTLM authenticate'));
      await client.expect('[NTLM authenticate]');
      const connections = new Set(rig.backend.peers.filter(({ received }) => received.includes('NTLM')));
      assert.equal(connections.size, 1);
    }
  });

  test('loses its connection with the one of the client', async (t) => {
    const rig = await Rig.start(t);
    authenticate(rig.backend);
    const client = await rig.send(get('/', 'Authorization: NTLM x'));
    await client.expect('[NTLM x]');
    client.close();
    await (await rig.backend.peer()).untilClosed();
    await until('the end', () => rig.proxy.dataPlane.counters.backendConnectionsOpen === 0);
  });

  test('loses its connection when the client upgrades to a tunnel on another host', async (t) => {
    const rig = await Rig.start(t);
    authenticate(rig.backend);
    rig.proxy.route('other.test', [rig.backend.url]);
    const client = await rig.send(get('/', 'Authorization: NTLM x'));
    await client.expect('[NTLM x]');
    const [bound] = rig.backend.peers;
    const upgrade = ['Connection: Upgrade', 'Upgrade: websocket'];
    const accept = 'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=';
    rig.backend.onBytes((peer) => {
      if (peer !== bound) peer.send(`HTTP/1.1 101 Switching\r\n${[...upgrade, accept].join('\r\n')}\r\n\r\n`);
    });
    const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
    client.send(get('/', ...upgrade, 'Sec-WebSocket-Version: 13', key).replace('a.test', 'other.test'));
    await client.expect('HTTP/1.1 101');
    await bound?.untilClosed();
  });

  test('closes its connection: the client authenticates again on a new one', async (t) => {
    const rig = await Rig.start(t);
    authenticate(rig.backend);
    const client = await rig.send(get('/', 'Authorization: NTLM x'));
    await client.expect('[NTLM x]');
    (await rig.backend.peer()).socket.end();
    await until('the end', () => rig.proxy.dataPlane.counters.backendConnectionsOpen === 0);
    client.send(get('/'));
    await client.expect('who?');
    client.send(get('/', 'Authorization: NTLM again'));
    await client.expect('[NTLM again]');
  });

  test('does not lose service to idle clients: the longest idle has to authenticate again', async (t) => {
    const rig = await Rig.start(t, { settings: { backendConnectionsMax: 2 } });
    authenticate(rig.backend);
    const clients: RawClient[] = [];
    for (const name of ['a', 'b', 'c']) {
      const client = await rig.send(get('/', `Authorization: NTLM ${name}`));
      await client.expect(`[NTLM ${name}]`);
      clients.push(client);
    }
    clients[0]?.send(get('/'));
    await clients[0]?.expect('who?');
    clients[2]?.send(get('/2'));
    await until('the last client to be served as itself', () => clients[2]?.statuses.length === 2);
    assert.match(clients[2]?.received ?? '', /\[NTLM c\].*\[NTLM c\]/s);
  });
});

test('other schemes leave connections to everybody', async (t) => {
  const rig = await Rig.start(t);
  authenticate(rig.backend);
  rig.backend.serve(() => response('ok', '200 OK', 'WWW-Authenticate: Basic realm="ntlm"'));
  await (await rig.send(get('/', 'Authorization: Basic bnRsbQ=='))).expect('ok');
  await (await rig.send(get('/'))).expect('ok');
  assert.equal(rig.backend.peers.length, 1);
});

test('schemes that authenticate a connection are found in lists, in any case', () => {
  for (const value of ['NTLM', 'negotiate abc=', 'Basic realm="x", NTLM', 'Bearer,Negotiate', 'ntlm\tx']) {
    assert.ok(isConnectionScheme(value), value);
  }
  for (const value of ['Basic ntlm', 'NTLMv2', 'Bearer negotiate', 'Digest realm="ntlm"', '']) {
    assert.ok(!isConnectionScheme(value), value);
  }
});

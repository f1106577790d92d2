import assert from 'node:assert/strict';
import { createServer as createHttp1Server } from 'node:http';
import { connect, createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { freePort } from '../helpers/free-port.ts';
import { GrpcBackend } from '../helpers/grpc-backend.ts';
import { GrpcClient, statusText, succeeded } from '../helpers/grpc-client.ts';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { until } from '../helpers/until.ts';

describe('calls of gRPC that fail, and those that do not', () => {
  const home = new HipacheHome();
  const clients: GrpcClient[] = [];
  const backends: GrpcBackend[] = [];
  let proxy: HipacheProcess;

  before(async () => {
    const http = { bind: [{ address: '127.0.0.1', port: 0, h2c: true }] };
    home.configure({ http }, { workers: 1, tcpTimeout: 1 });
    proxy = await home.serve();
  });

  after(async () => {
    for (const each of clients) each.close();
    for (const each of backends) each.stop();
    await home.remove();
  });

  async function backend(options: Parameters<typeof GrpcBackend.start>[0] = {}): Promise<GrpcBackend> {
    const started = await GrpcBackend.start(options);
    backends.push(started);
    return started;
  }

  /** A host with these backends. @returns its client. */
  async function route(host: string, ...servers: readonly GrpcBackend[]): Promise<GrpcClient> {
    await home.route('set', host, ...servers.map(({ url }) => url));
    return client(host);
  }

  function client(host: string): GrpcClient {
    const made = new GrpcClient(proxy.port, host);
    clients.push(made);
    return made;
  }

  async function option(...args: readonly string[]): Promise<void> {
    const result = await home.run('option', ...args, '--wait=20');
    assert.equal(result.code, 0, result.stderr);
  }

  test('a server that leaves: calls in progress end well, and others go to another one', async () => {
    const [one, two] = [await backend(), await backend()];
    const grpc = await route('leaves.example', one, two);
    const chats = Array.from({ length: 20 }, () => grpc.chat());
    for (const [i, chat] of chats.entries()) assert.equal(await chat.echo(`${i}`), `${i}`);
    assert.ok(one.calls > 0 && two.calls > 0);
    let stops = false;
    let count = 0;
    const callers = Array.from({ length: 4 }, async () => {
      while (!stops) {
        assert.equal(await grpc.text('hello'), 'hello');
        count++;
      }
    });
    await until('calls', () => count > 100);
    const left = one.leave();
    const before = count;
    await until('further calls', () => count > before + 200);
    for (const chat of chats) {
      assert.equal(await chat.echo('still there'), 'still there');
      chat.end();
      succeeded(await chat.ended);
    }
    await left;
    stops = true;
    await Promise.all(callers);
  });

  test('a server that is killed: its streams end with UNAVAILABLE, and further calls go to another one', async () => {
    const [one, two] = [await backend(), await backend()];
    const grpc = await route('dies.example', one, two);
    const chats = Array.from({ length: 20 }, () => grpc.chat());
    for (const chat of chats) assert.equal(await chat.echo('x'), 'x');
    const lost = one.calls;
    one.stop();
    await until('the ends', () => chats.filter(({ hasEnded }) => hasEnded).length >= lost);
    const [dead, alive] = [chats.filter((chat) => chat.hasEnded), chats.filter((chat) => !chat.hasEnded)];
    assert.equal(dead.length, lost);
    for (const { ended } of dead) assert.equal(statusText(await ended), 'UNAVAILABLE: the response is incomplete');
    for (const chat of alive) assert.equal(await chat.echo('y'), 'y');
    for (let i = 0; i < 20; i++) assert.equal(await grpc.text('hello'), 'hello');
    for (const chat of alive) chat.end();
    for (const { ended } of alive) succeeded(await ended);
  });

  test('no server is there: UNAVAILABLE, until one is', async () => {
    const port = await freePort();
    await home.route('set', 'down.example', `h2c://127.0.0.1:${port}`);
    const grpc = client('down.example');
    assert.equal(statusText(await grpc.unary('x')), 'UNAVAILABLE: backend refused the connection');
    assert.equal(statusText(await grpc.chat().ended), 'UNAVAILABLE: backend refused the connection');
    await backend({ port });
    assert.equal(await grpc.text('hello'), 'hello');
  });

  test('a server that speaks no HTTP/2', async () => {
    const server = createHttp1Server((_request, response) => response.end());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await home.route('set', 'old.example', `h2c://127.0.0.1:${port}`);
    assert.match(statusText(await client('old.example').unary('x')), /^UNAVAILABLE: backend refused the connection/);
    server.close();
  });

  test('a host that nobody knows', async () => {
    assert.equal(statusText(await client('unknown.example').unary('x')), 'UNIMPLEMENTED: frontend not found');
  });

  test('the options of a host: rate, basicAuth, allow, maintenance, requestBodyMax', async () => {
    const echo = await backend();
    const end = async (host: string, body = 'x'): Promise<string> => statusText(await client(host).unary(body));
    await route('rate.example', echo);
    await option('set', 'rate.example', 'rate', '1/h');
    assert.match(await end('rate.example'), /^OK/);
    assert.equal(await end('rate.example'), 'UNAVAILABLE: too many requests');
    const grpc = await route('auth.example', echo);
    // Of "U*U", a test vector of bcrypt.
    const password = 'ann:$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW';
    await option('set', 'auth.example', 'basicAuth', password);
    assert.equal(statusText(await grpc.unary('x')), 'UNAUTHENTICATED: credentials required');
    const authorization = `Basic ${Buffer.from('ann:U*U').toString('base64')}`;
    succeeded(await grpc.unary('x', { fields: { authorization } }));
    await route('allow.example', echo);
    await option('set', 'allow.example', 'allow', '10.0.0.1');
    assert.equal(await end('allow.example'), 'PERMISSION_DENIED: access denied');
    await route('maintenance.example', echo);
    await option('set', 'maintenance.example', 'maintenance', 'on');
    assert.equal(await end('maintenance.example'), 'UNAVAILABLE: down for maintenance');
    await route('body.example', echo);
    await option('set', 'body.example', 'requestBodyMax', '1000');
    assert.equal(await end('body.example', 'x'.repeat(2000)), 'RESOURCE_EXHAUSTED: request body too large');
    // The response may have begun.
    const chat = client('body.example').chat();
    assert.equal(await chat.echo('hello'), 'hello');
    chat.send('x'.repeat(2000));
    assert.equal(statusText(await chat.ended), 'RESOURCE_EXHAUSTED: request body too large');
  });

  test('the proxy ends a call whose server ignores the deadline, also if its client does not', async () => {
    let cancelled = 0;
    const deaf = createServer().on('stream', (stream) => stream.on('close', () => cancelled++));
    await new Promise<void>((resolve) => deaf.listen(0, '127.0.0.1', resolve));
    await home.route('set', 'deaf.example', `h2c://127.0.0.1:${(deaf.address() as AddressInfo).port}`);
    const session = connect(`http://127.0.0.1:${proxy.port}`);
    const stream = session.request({
      ':method': 'POST',
      ':path': '/test.Echo/unary',
      ':authority': 'deaf.example',
      'content-type': 'application/grpc',
      'grpc-timeout': '300m',
      te: 'trailers',
    });
    stream.end(Buffer.from('\0\0\0\0\0'));
    const fields = await new Promise<Record<string, unknown>>((resolve, reject) => {
      stream.once('response', resolve).once('error', reject);
    });
    session.close();
    assert.deepEqual(
      [fields[':status'], fields['content-type'], fields['grpc-status'], fields['grpc-message']],
      [200, 'application/grpc', '4', 'deadline exceeded'],
    );
    await until('the server to notice', () => cancelled === 1);
    // Its client was in a hurry: that says nothing of the server.
    assert.doesNotMatch((await home.run('explain', 'deaf.example')).stdout, /dead until/);
    deaf.close();
  });
});

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { Authority } from '../helpers/authority.ts';
import { GrpcClient, statusText, succeeded } from '../helpers/grpc-client.ts';
import { callByPython, PythonGrpcServer } from '../helpers/grpc-python.ts';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { until } from '../helpers/until.ts';

const plain = 'plain.example';
const secure = 'secure.example';

describe('gRPC with python3-grpcio', () => {
  const authority = new Authority();
  const home = new HipacheHome();
  const clients: GrpcClient[] = [];
  const servers: PythonGrpcServer[] = [];
  let proxy: HipacheProcess;
  let tlsPort: number;

  before(async () => {
    const { certificateFile: cert, keyFile: key } = authority.issue([plain, secure]);
    home.configure(
      {
        http: { bind: [{ address: '127.0.0.1', port: 0, h2c: true }] },
        https: { bind: [{ address: '127.0.0.1', port: 0, cert, key }] },
        backendTls: { ca: authority.certificateFile, alpn: ['h2', 'http/1.1'] },
      },
      { workers: 1, deadBackendTTL: 3600, recoveryProbeSeconds: 0.2 },
    );
    const own = authority.issue(['127.0.0.1']);
    const [one, two] = await Promise.all([server(), server(0, [own.keyFile, own.certificateFile])]);
    await home.route('set', plain, `h2c://${one?.address}`);
    await home.route('set', secure, `https://${two?.address}`);
    proxy = await home.serve();
    tlsPort = await proxy.tlsPort();
  });

  after(async () => {
    for (const each of clients) each.close();
    for (const each of servers) await each.kill();
    await home.remove();
    authority.dispose();
  });

  async function server(...options: Parameters<typeof PythonGrpcServer.start>): Promise<PythonGrpcServer> {
    const started = await PythonGrpcServer.start(...options);
    servers.push(started);
    return started;
  }

  function client(host: string): GrpcClient {
    const made = new GrpcClient(proxy.port, host);
    clients.push(made);
    return made;
  }

  for (const [name, host, isTls] of [
    ['without TLS', plain, false],
    ['with TLS on both sides', secure, true],
  ] as const) {
    test(`as client and as server, ${name}`, async () => {
      const output = isTls
        ? await callByPython(tlsPort, host, authority.certificateFile)
        : await callByPython(proxy.port, host);
      assert.deepEqual(output.trim().split('\n'), [
        "unary 0123456789abc text 00ff {'x-length': '13', 'x-begin-bin': b'0123456789'}",
        'large True True',
        'gzip True',
        'collect True',
        'list [0, 1, 2, 3, 4]',
        'chat True',
        'many True',
        'status FAILED_PRECONDITION läuft nicht: 100 %',
        'cancelled CANCELLED',
      ]);
    });
  }

  test('as server of a client of @grpc/grpc-js', async () => {
    const grpc = client(plain);
    const large = randomBytes(4 * 1024 * 1024);
    const result = await grpc.unary(large, { fields: { 'x-test-bin': Buffer.from([0, 255]), 'x-test-gzip': '1' } });
    assert.ok(succeeded(result)[0]?.equals(large));
    assert.deepEqual(result.fields.get('x-test-bin'), [Buffer.from([0, 255])]);
    assert.deepEqual(result.status.metadata.get('x-begin-bin'), [large.subarray(0, 10)]);
    assert.equal(statusText(await grpc.unary('fail')), 'FAILED_PRECONDITION: läuft nicht: 100 %');
    assert.equal(succeeded(await grpc.collect(['a', '', 'b']))[0]?.toString(), 'ab');
    assert.equal(succeeded(await grpc.list('200').ended).length, 200);
    const chats = Array.from({ length: 20 }, () => grpc.chat());
    for (const word of ['one', '', 'three']) {
      assert.deepEqual(new Set(await Promise.all(chats.map((chat) => chat.echo(word)))), new Set([word]));
    }
    for (const chat of chats) chat.end();
    for (const { ended } of chats) succeeded(await ended);
  });

  test('a server leaves, one is killed, and is found again when it is back', async () => {
    const [one, two] = await Promise.all([server(), server()]);
    const host = 'changes.example';
    await home.route('set', host, `h2c://${one.address}`, `h2c://${two.address}`);
    const grpc = client(host);
    let chats = Array.from({ length: 12 }, () => grpc.chat());
    for (const chat of chats) assert.equal(await chat.echo('begun'), 'begun');
    const left = two.leave();
    // Those that come on its connection at this very moment it ends itself, with that status.
    for (let i = 0; i < 50; i++) assert.match(statusText(await grpc.unary('x')), /^(OK: |CANCELLED: CANCELLED$)/);
    for (const chat of chats) {
      assert.equal(await chat.echo('still there'), 'still there');
      chat.end();
      succeeded(await chat.ended);
    }
    await left;
    chats = Array.from({ length: 5 }, () => grpc.chat());
    for (const chat of chats) assert.equal(await chat.echo('begun'), 'begun');
    await one.kill();
    for (const { ended } of chats) assert.equal(statusText(await ended), 'UNAVAILABLE: the response is incomplete');
    assert.match(statusText(await grpc.unary('x')), /^UNAVAILABLE: /);
    assert.match((await home.run('explain', host)).stdout, /dead until .*: BACKEND_CONNECT_REFUSED/);
    await server(two.port);
    await until('its recovery', () => proxy.output.includes(`a backend has recovered host=${host} `));
    assert.equal(await grpc.text('hello'), 'hello');
  });
});

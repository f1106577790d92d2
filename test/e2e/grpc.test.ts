import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { Metadata, ServerCredentials, status } from '@grpc/grpc-js';
import { Authority } from '../helpers/authority.ts';
import { GrpcBackend } from '../helpers/grpc-backend.ts';
import { GrpcClient, statusText, succeeded } from '../helpers/grpc-client.ts';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { until } from '../helpers/until.ts';

const host = 'grpc.example';
/** The backends of the hosts, by their schemes. */
const hosts = { 'h2c://': 'plain.grpc.example', 'h2://': 'tls.grpc.example', 'https://': 'alpn.grpc.example' };

describe('gRPC with @grpc/grpc-js on both sides', () => {
  const authority = new Authority();
  const home = new HipacheHome();
  const clients: GrpcClient[] = [];
  const backends: GrpcBackend[] = [];
  let proxy: HipacheProcess;
  let tlsPort: number;
  let echo: GrpcBackend;

  before(async () => {
    const { certificateFile: cert, keyFile: key } = authority.issue([host, ...Object.values(hosts)]);
    home.configure(
      {
        http: { bind: [{ address: '127.0.0.1', port: 0, h2c: true }] },
        https: { bind: [{ address: '127.0.0.1', port: 0, cert, key }] },
        backendTls: { ca: authority.certificateFile, alpn: ['h2', 'http/1.1'] },
      },
      { workers: 1, tcpTimeout: 1 },
    );
    const own = authority.issue(['127.0.0.1']);
    const credentials = ServerCredentials.createSsl(null, [
      { cert_chain: readFileSync(own.certificateFile), private_key: readFileSync(own.keyFile) },
    ]);
    echo = await backend();
    const secure = await backend({ credentials });
    await home.route('set', host, echo.url);
    await home.route('set', hosts['h2c://'], echo.url);
    await home.route('set', hosts['h2://'], `h2://${secure.address}`);
    await home.route('set', hosts['https://'], `https://${secure.address}`);
    proxy = await home.serve();
    tlsPort = await proxy.tlsPort();
  });

  after(async () => {
    for (const each of clients) each.close();
    for (const each of backends) each.stop();
    await home.remove();
    authority.dispose();
  });

  async function backend(options: Parameters<typeof GrpcBackend.start>[0] = {}): Promise<GrpcBackend> {
    const started = await GrpcBackend.start(options);
    backends.push(started);
    return started;
  }

  /** @param name the host. @param options of the channel. */
  function client(name = host, isTls = false, options: Record<string, number> = {}): GrpcClient {
    const channel = isTls ? GrpcClient.trusting(authority.certificate) : undefined;
    const made = new GrpcClient(isTls ? tlsPort : proxy.port, name, channel, options);
    clients.push(made);
    return made;
  }

  /** A host of its own with this backend, and its client. */
  async function clientOf(name: string, options: Parameters<typeof GrpcBackend.start>[0]): Promise<GrpcClient> {
    await home.route('set', name, (await backend(options)).url);
    return client(name);
  }

  for (const isTls of [false, true]) {
    for (const [scheme, name] of Object.entries(hosts)) {
      test(`all four kinds of calls, ${isTls ? 'over TLS' : 'without TLS'}, to ${scheme}`, async () => {
        const grpc = client(name, isTls);
        assert.equal(await grpc.text('hello'), 'hello');
        assert.equal(succeeded(await grpc.collect(['a', '', 'b', 'c']))[0]?.toString(), 'abc');
        const listed = succeeded(await grpc.list('300').ended);
        assert.deepEqual(
          listed.map(({ length }) => length),
          Array.from({ length: 300 }, (_, i) => i),
        );
        const chat = grpc.chat();
        // The next message is made only once the server has replied to the one before.
        for (const word of ['one', 'two', 'three', '']) assert.equal(await chat.echo(word), word);
        chat.end();
        succeeded(await chat.ended);
      });
    }
  }

  test('messages of 0 bytes and of 4 MB, in both directions', async () => {
    const large = randomBytes(4 * 1024 * 1024);
    const grpc = client();
    assert.deepEqual(succeeded(await grpc.unary('')), [Buffer.alloc(0)]);
    assert.ok(succeeded(await grpc.unary(large))[0]?.equals(large));
    const collected = succeeded(await grpc.collect([large, '', large, 'end']))[0];
    assert.ok(collected?.equals(Buffer.concat([large, large, Buffer.from('end')])));
    const chat = grpc.chat();
    chat.send(large);
    chat.send('');
    chat.send(large);
    chat.end();
    assert.deepEqual(
      succeeded(await chat.ended).map((message) => message.equals(large)),
      [true, false, true],
    );
  });

  test('metadata both ways, in text and in binary, and behind the response', async () => {
    const fields = { 'x-test': 'some text', 'x-test-bin': Buffer.from([0, 255, 10, 13, 44, 61]) };
    const result = await client().unary('0123456789abc', { fields });
    succeeded(result);
    assert.deepEqual(result.fields.get('x-test'), ['some text']);
    assert.deepEqual(result.fields.get('x-test-bin'), [fields['x-test-bin']]);
    assert.deepEqual(result.status.metadata.get('x-length'), ['13']);
    assert.deepEqual(result.status.metadata.get('x-begin-bin'), [Buffer.from('0123456789')]);
  });

  test('the status of a server with its message in any script, alone and behind messages', async () => {
    const details = 'läuft nicht: 100 % 没有, «»\n';
    const metadata = new Metadata();
    metadata.set('x-why-bin', Buffer.from([1, 2, 3]));
    const grpc = await clientOf('fails.example', {
      unary: (_call, reply) => reply({ code: status.FAILED_PRECONDITION, details, metadata }),
      list(call) {
        call.write(Buffer.from('first'));
        call.emit('error', { code: status.DATA_LOSS, details, metadata });
      },
    });
    const alone = await grpc.unary('x');
    assert.equal(statusText(alone), `FAILED_PRECONDITION: ${details}`);
    assert.deepEqual(alone.status.metadata.get('x-why-bin'), [Buffer.from([1, 2, 3])]);
    const behind = await grpc.list('x').ended;
    assert.equal(statusText(behind), `DATA_LOSS: ${details}`);
    assert.deepEqual(behind.messages.map(String), ['first']);
    assert.deepEqual(behind.status.metadata.get('x-why-bin'), [Buffer.from([1, 2, 3])]);
    assert.match(statusText(await grpc.collect(['x'])), /^OK/);
  });

  test('a method that the server does not have', async () => {
    assert.match(statusText(await client().unary('x', { path: '/test.Echo/none' })), /^UNIMPLEMENTED: /);
  });

  test('compressed messages', async () => {
    const grpc = client(host, false, { 'grpc.default_compression_algorithm': 2 });
    const body = 'the same again and again '.repeat(20_000);
    assert.equal(await grpc.text(body), body);
    const chat = grpc.chat();
    assert.equal(await chat.echo(body), body);
    chat.end();
    succeeded(await chat.ended);
  });

  test('a server ends a call that its client has not ended, and the client learns its status', async () => {
    const grpc = await clientOf('early.example', {
      chat(call) {
        call.on('data', () => call.emit('error', { code: status.RESOURCE_EXHAUSTED, details: 'enough' }));
      },
    });
    // More often than a server forgives resets.
    for (let i = 0; i < 50; i++) {
      const chat = grpc.chat();
      chat.send('x');
      assert.equal(statusText(await chat.ended), 'RESOURCE_EXHAUSTED: enough');
    }
  });

  test('the server notices that a client cancels', async () => {
    let cancelled = 0;
    const grpc = await clientOf('cancels.example', {
      unary: (call) => call.on('cancelled', () => cancelled++),
      chat(call) {
        call.on('cancelled', () => cancelled++);
        call.on('data', (message: Buffer) => call.write(message));
      },
    });
    const chat = grpc.chat();
    assert.equal(await chat.echo('hello'), 'hello');
    chat.cancel();
    assert.match(statusText(await chat.ended), /^CANCELLED/);
    await until('the server to notice', () => cancelled === 1);
    // A deadline of the client ends a call in the same way.
    assert.match(statusText(await grpc.unary('x', { deadlineMs: 300 })), /^DEADLINE_EXCEEDED/);
    await until('the server to notice', () => cancelled === 2);
  });

  test('hundreds of calls at once on one connection', async () => {
    const grpc = client();
    const chats = Array.from({ length: 60 }, () => grpc.chat());
    const unary = Array.from({ length: 300 }, (_, i) => grpc.text(`call ${i}`));
    assert.deepEqual(
      await Promise.all(unary),
      Array.from({ length: 300 }, (_, i) => `call ${i}`),
    );
    await Promise.all(chats.map(async (chat, i) => assert.equal(await chat.echo(`chat ${i}`), `chat ${i}`)));
    for (const chat of chats) chat.end();
    for (const chat of chats) succeeded(await chat.ended);
  });

  // They wait most of their time.
  describe('and pauses', { concurrency: true }, () => {
    test('either side of a stream may be silent for longer than server.tcpTimeout', async () => {
      const grpc = client();
      const chat = grpc.chat();
      assert.equal(await chat.echo('one'), 'one');
      const lists = await clientOf('pauses.example', {
        list(call) {
          call.write(Buffer.from('first'));
          setTimeout(() => {
            call.write(Buffer.from('second'));
            call.end();
          }, 2500);
        },
      });
      assert.deepEqual(succeeded(await lists.list('x').ended).map(String), ['first', 'second']);
      assert.equal(chat.hasEnded, false);
      assert.equal(await chat.echo('two'), 'two');
      chat.end();
      succeeded(await chat.ended);
    });

    test('a response may take longer than server.tcpTimeout if the client gives it the time', async () => {
      const grpc = await clientOf('takes-its-time.example', {
        unary: (_call, reply) => void setTimeout(() => reply(null, Buffer.from('at last')), 1800),
      });
      assert.deepEqual(succeeded(await grpc.unary('x', { deadlineMs: 60_000 })).map(String), ['at last']);
      assert.equal(statusText(await grpc.unary('x')), 'UNAVAILABLE: backend did not respond in time');
    });

    test('a server may read nothing for longer than server.tcpTimeout', async () => {
      const bodies = Array.from({ length: 40 }, () => Buffer.alloc(100_000));
      const later = (call: Readable, done: (bytes: string) => void): void => {
        let bytes = 0;
        call.pause();
        call.on('data', (message: Buffer) => {
          bytes += message.length;
        });
        call.on('end', () => done(String(bytes)));
        setTimeout(() => call.resume(), 2500);
      };
      const grpc = await clientOf('reads-late.example', {
        collect: (call, reply) => later(call, (bytes) => reply(null, Buffer.from(bytes))),
        chat(call) {
          call.write(Buffer.from('begun'));
          later(call, (bytes) => {
            call.write(Buffer.from(bytes));
            call.end();
          });
        },
      });
      const collected = grpc.collect(bodies);
      const chat = grpc.chat();
      await chat.received(1);
      for (const body of bodies) chat.send(body);
      chat.end();
      assert.deepEqual(succeeded(await chat.ended).map(String), ['begun', '4000000']);
      assert.deepEqual(succeeded(await collected).map(String), ['4000000']);
    });
  });
});

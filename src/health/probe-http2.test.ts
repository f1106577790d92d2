import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { constants, createSecureServer, createServer, type ServerHttp2Stream } from 'node:http2';
import { type AddressInfo, type Server, createServer as tcpServer } from 'node:net';
import { after, describe, type TestContext, test } from 'node:test';
import { createServer as tlsServer } from 'node:tls';
import { Authority } from '../../test/helpers/authority.ts';
import { parseBackendUrl } from '../routing/backend-url.ts';
import { backendTls } from '../tls/backend-tls.ts';
import { type ProbeResult, probe } from './probe.ts';

const authority = new Authority();
after(() => authority.dispose());
const issued = authority.issue(['127.0.0.1']);
const own = { cert: readFileSync(issued.certificateFile), key: readFileSync(issued.keyFile) };
const unused = { watch: () => assert.fail('an address needs no resolver') };

/** Probes a server over `scheme`, as requests go with both protocols in `backendTls.alpn`. */
async function probed(
  t: TestContext,
  server: Server,
  scheme: string,
  options: { readonly path?: string; readonly bodyBytesMax?: number } = {},
): Promise<ProbeResult> {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const target = parseBackendUrl(`${scheme}://127.0.0.1:${port}`);
  const tls = backendTls([authority.certificateFile], true, ['h2', 'http/1.1']);
  return probe({ target, host: 'a.test', tls, resolver: unused, timeoutMs: 500, version: 'test', ...options });
}

function serving(respond: (stream: ServerHttp2Stream) => void): Server {
  return createServer().on('stream', (stream: ServerHttp2Stream) => {
    stream.on('error', () => {});
    respond(stream);
  });
}

describe('a probe over HTTP/2', () => {
  const respond = (body: string) => (stream: ServerHttp2Stream) => {
    stream.respond({ ':status': 201 });
    stream.end(body);
  };

  test('reads the status, and of the body as much as is wanted', async (t) => {
    assert.deepEqual(await probed(t, serving(respond('hello')), 'h2c'), { status: 201, problem: '' });
    for (const [bodyBytesMax, body] of [
      [3, 'hel'],
      [100, 'hello'],
    ] as const) {
      const result = await probed(t, serving(respond('hello')), 'h2c', { bodyBytesMax });
      assert.deepEqual(result, { status: 201, problem: '', body });
    }
  });

  const noResponse: readonly [string, string, Server][] = [
    ['resets the stream', 'reset with code 8', serving((stream) => stream.close(constants.NGHTTP2_CANCEL))],
    ['does not respond', 'no response in time', serving(() => {})],
    ['is silent', 'no response in time', tcpServer((socket) => socket.on('error', () => {}))],
    [
      'speaks something else',
      'Protocol error',
      tcpServer((socket) => socket.on('error', () => {}).end('220 hello\r\n')),
    ],
  ];
  for (const [name, problem, server] of noResponse) {
    test(`of a server that ${name}`, async (t) => {
      assert.deepEqual(await probed(t, server, 'h2c'), { status: 0, problem });
    });
  }

  for (const path of ['/', 'grpc:'] as const) {
    test(`of a server that closes the connection: ${path}`, async (t) => {
      const { status, problem } = await probed(
        t,
        tcpServer((socket) => socket.destroy()),
        'h2c',
        { path },
      );
      assert.equal(status, 0);
      assert.notEqual(problem, '');
    });
  }

  test('says why a gRPC server is not well, in one line of limited length', async (t) => {
    const server = serving((stream) => {
      const message = `l%C3%A4uft%0Anicht ${'x'.repeat(1000)}`;
      stream.respond({ ':status': 200, 'grpc-status': '14', 'grpc-message': message }, { endStream: true });
    });
    const { problem } = await probed(t, server, 'h2c', { path: 'grpc:' });
    assert.match(problem, /^gRPC: grpc-status 14 läuft nicht x{180,190}$/);
  });
});

describe('a probe over https:// by ALPN', () => {
  const body = 'the version is ';

  test('speaks HTTP/2 if the backend does', async (t) => {
    const server = createSecureServer(own, (request, response) => response.end(body + request.httpVersion));
    const result = await probed(t, server, 'https', { bodyBytesMax: 100 });
    assert.deepEqual(result, { status: 200, problem: '', body: `${body}2.0` });
  });

  for (const protocols of [['http/1.1'], undefined]) {
    test(`speaks HTTP/1.1 if the backend chooses ${protocols?.[0] ?? 'nothing'}`, async (t) => {
      const server = tlsServer({ ...own, ...(protocols && { ALPNProtocols: protocols }) }, (socket) => {
        socket.on('error', () => {});
        socket.once('data', (bytes) => {
          assert.match(bytes.toString(), /^GET \/ HTTP\/1\.1\r\n/);
          socket.end('HTTP/1.1 204 No Content\r\n\r\n');
        });
      });
      assert.deepEqual(await probed(t, server, 'https'), { status: 204, problem: '' });
    });
  }

  test('ends in time if there is no handshake, and says why if it fails', async (t) => {
    const silent = tcpServer((socket) => socket.on('error', () => {}));
    assert.deepEqual(await probed(t, silent, 'https'), { status: 0, problem: 'no connection in time' });
    const other = tcpServer((socket) => socket.on('error', () => {}).end('220 hello\r\n'));
    const { status, problem } = await probed(t, other, 'https');
    assert.equal(status, 0);
    assert.match(problem, /^ERR_SSL_/);
  });
});

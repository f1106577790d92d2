import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, request, type Server } from 'node:http';
import { connect } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { freePort } from '../helpers/free-port.ts';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';

/** A frame of gRPC-Web, whose trailers have the flag 128 and are in the body. */
function frame(flag: number, content: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flag);
  head.writeUInt32BE(content.length, 1);
  return Buffer.concat([head, content]);
}

const message = frame(0, Buffer.from([0, 255, 10, 13, 37]));
const reply = Buffer.concat([
  frame(0, Buffer.from([1, 2, 3])),
  frame(128, Buffer.from('grpc-status: 5\r\ngrpc-message: l%C3%A4uft nicht\r\n')),
]);

interface WebResponse {
  readonly status: number;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly body: Buffer;
}

async function whole(stream: NodeJS.ReadableStream): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

/** Posts the message with this content type over HTTP/1.1. */
async function post1(port: number, host: string, type: string): Promise<WebResponse> {
  const asked = request({
    ...{ host: '127.0.0.1', port, method: 'POST', path: '/test.Echo/unary', agent: false },
    headers: { host, 'content-type': type, 'x-grpc-web': '1', 'grpc-timeout': '10S' },
  });
  asked.end(message);
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    asked.once('response', resolve).once('error', reject);
  });
  return { status: response.statusCode ?? 0, fields: response.headers, body: await whole(response) };
}

/** The same over HTTP/2. */
async function post2(port: number, host: string, type: string): Promise<WebResponse> {
  const session = connect(`http://127.0.0.1:${port}`);
  const stream = session.request({
    ...{ ':method': 'POST', ':path': '/test.Echo/unary', ':authority': host },
    ...{ 'content-type': type, 'x-grpc-web': '1', 'grpc-timeout': '10S' },
  });
  stream.end(message);
  const fields = await new Promise<Record<string, unknown>>((resolve, reject) => {
    stream.once('response', resolve).once('error', reject);
  });
  const body = await whole(stream);
  session.close();
  return { status: Number(fields[':status']), fields, body };
}

describe('gRPC-Web', () => {
  const home = new HipacheHome();
  let backend: Server;
  let proxy: HipacheProcess;
  let seen: { readonly fields: IncomingMessage['headers']; readonly body: Buffer } | null = null;

  before(async () => {
    backend = createServer(async (asked, response) => {
      seen = { fields: asked.headers, body: await whole(asked) };
      response.writeHead(200, { 'content-type': asked.headers['content-type'] }).end(reply);
    });
    await new Promise<void>((resolve) => backend.listen(0, '127.0.0.1', resolve));
    home.configure({ http: { bind: [{ address: '127.0.0.1', port: 0, h2c: true }] } }, { workers: 1 });
    await home.route('set', 'web.example', `http://127.0.0.1:${(backend.address() as AddressInfo).port}`);
    await home.route('set', 'down.example', `http://127.0.0.1:${await freePort()}`);
    proxy = await home.serve();
  });

  after(async () => {
    await home.remove();
    backend.closeAllConnections();
    backend.close();
  });

  for (const [version, post] of [
    ['HTTP/1.1', post1],
    ['HTTP/2', post2],
  ] as const) {
    for (const type of ['application/grpc-web+proto', 'application/grpc-web']) {
      test(`${type} over ${version} passes unchanged`, async () => {
        const { body, fields, status } = await post(proxy.port, 'web.example', type);
        assert.equal(status, 200);
        assert.equal(fields['content-type'], type);
        assert.equal(fields['grpc-status'], undefined);
        assert.ok(body.equals(reply));
        assert.equal(seen?.fields['content-type'], type);
        assert.equal(seen.fields['x-grpc-web'], '1');
        assert.equal(seen.fields['grpc-timeout'], '10S');
        assert.ok(seen.body.equals(message));
      });
    }

    test(`errors of the proxy have their status of HTTP over ${version}`, async () => {
      for (const [host, wanted] of [
        ['down.example', 502],
        ['unknown.example', 400],
      ] as const) {
        const { fields, status } = await post(proxy.port, host, 'application/grpc-web+proto');
        assert.equal(status, wanted);
        assert.equal(fields['grpc-status'], undefined);
        assert.notEqual(fields['x-hipache-error'], undefined);
      }
    });
  }

  test('so have those of a call of gRPC over HTTP/1.1, which is none', async () => {
    const { fields, status } = await post1(proxy.port, 'down.example', 'application/grpc');
    assert.equal(status, 502);
    assert.equal(fields['grpc-status'], undefined);
  });
});

import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { HipacheHome } from '../helpers/hipache.ts';
import { readResponse, values } from '../helpers/reference-parser.ts';

/** More for a long run: `HIPACHE_FUZZ_REQUESTS=500000`. A seed repeats the choices, though not their timing. */
const requestsWanted = Number(process.env['HIPACHE_FUZZ_REQUESTS'] ?? 10_000);
const seed = Number(process.env['HIPACHE_FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const connections = 40;
const hosts = Array.from({ length: 20 }, (_, index) => `host${index}.example`);
const pipelinedMax = 6;

/** Random numbers from a seed (mulberry32), from 0 up to but not including 1. */
function randomFrom(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Asked {
  readonly id: string;
  readonly host: string;
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT';
  readonly body: string;
}

/** The body of a response: every byte belongs to the request. */
function expectedBody({ host, id, body }: Asked): string {
  return `${host} ${id} ${body}`.repeat(1 + (id.length % 3));
}

/** Echoes who asked what; sometimes late, in chunks, or with the end of its connection. */
async function startBackend(t: TestContext, random: () => number): Promise<string> {
  const server: Server = createServer((request, response) => {
    let body = '';
    request.setEncoding('latin1').on('data', (text: string) => {
      body += text;
    });
    request.on('error', () => {});
    response.on('error', () => {});
    request.on('end', () => {
      const id = String(request.headers['x-id']);
      const text = expectedBody({ id, host: String(request.headers.host), method: 'GET', body });
      const respond = (): void => {
        response.setHeader('x-id', id);
        if (random() < 0.1) response.setHeader('connection', 'close');
        if (random() < 0.5) response.setHeader('content-length', text.length);
        response.end(text);
      };
      if (random() < 0.1) setTimeout(respond, random() * 20);
      else respond();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as { port: number }).port}`;
}

function requestText({ id, host, method, body }: Asked, random: () => number): string {
  const head = `${method} /${id} HTTP/1.1\r\nHost: ${host}\r\nX-Id: ${id}\r\n`;
  if (method === 'GET' || method === 'HEAD') return `${head}\r\n`;
  if (random() < 0.5) return `${head}Content-Length: ${body.length}\r\n\r\n${body}`;
  const chunk = body === '' ? '' : `${body.length.toString(16)}\r\n${body}\r\n`;
  return `${head}Transfer-Encoding: chunked\r\n\r\n${chunk}0\r\n\r\n`;
}

/** Sends pipelined requests, and checks that each response is the one to its request. @returns how many it checked. */
function exchange(socket: Socket, asked: readonly Asked[], leavesAfter: number, random: () => number): Promise<number> {
  return new Promise((resolve, reject) => {
    let received = '';
    let checked = 0;
    const done = (error: Error | null): void => {
      socket.removeAllListeners();
      socket.on('error', () => {});
      if (error === null) resolve(checked);
      else reject(error);
    };
    socket.on('data', (bytes: Buffer) => {
      received += bytes.toString('latin1');
      while (checked < asked.length) {
        const wanted = asked[checked] as Asked;
        const message = readResponse(received, wanted.method === 'HEAD');
        if (message.kind === 'more') return;
        if (message.kind === 'bad') return done(new Error(`seed ${seed}: no response: ${received.slice(0, 300)}`));
        received = received.slice(message.length);
        const [id] = values(message.fields, 'x-id');
        const isWhole = wanted.method === 'HEAD' || message.body === expectedBody(wanted);
        if (!message.startLine.startsWith('HTTP/1.1 200') || id !== wanted.id || !isWhole) {
          return done(
            new Error(`seed ${seed}: ${wanted.id} got ${message.startLine} of ${id}: ${message.body.slice(0, 200)}`),
          );
        }
        checked++;
        if (checked === leavesAfter) {
          socket.resetAndDestroy();
          return done(null);
        }
      }
      done(
        received === '' ? null : new Error(`seed ${seed}: bytes after the last response: ${received.slice(0, 300)}`),
      );
    });
    socket.on('error', (error) => done(new Error(`seed ${seed}: ${error.message}`)));
    socket.on('close', () => done(new Error(`seed ${seed}: closed after ${checked} of ${asked.length} responses`)));
    socket.write(asked.map((one) => requestText(one, random)).join(''), 'latin1');
  });
}

test('no client ever gets the response to the request of another', { timeout: 900_000 }, async (t) => {
  t.diagnostic(`seed ${seed}`);
  const home = new HipacheHome();
  t.after(() => home.remove());
  home.configure({}, { workers: 2, maxSockets: 20, drainSeconds: 1 });
  const random = randomFrom(seed);
  const backends = await Promise.all(Array.from({ length: 3 }, () => startBackend(t, random)));
  for (const [index, host] of hosts.entries()) {
    await home.route('set', host, backends[index % 3] as string, backends[(index + 1) % 3] as string);
  }
  const proxy = await home.serve();
  let begun = 0;
  let checked = 0;
  const ask = (own: () => number): Asked => {
    const method = (['GET', 'GET', 'HEAD', 'POST', 'PUT'] as const)[Math.floor(own() * 5)] as Asked['method'];
    const id = (begun++).toString(36);
    const body = method === 'POST' || method === 'PUT' ? `${id}.`.repeat(Math.floor(own() ** 4 * 5000)) : '';
    return { id, host: hosts[Math.floor(own() * hosts.length)] as string, method, body };
  };
  const run = async (own: () => number): Promise<void> => {
    let socket: Socket | null = null;
    while (begun < requestsWanted) {
      socket ??= connect({ host: '127.0.0.1', port: proxy.port, noDelay: true });
      const asked = Array.from({ length: 1 + Math.floor(own() * pipelinedMax) }, () => ask(own));
      const leavesAfter = own() < 0.05 ? Math.floor(own() * asked.length) : -1;
      const count = await exchange(socket, asked, leavesAfter, own);
      checked += count;
      if (leavesAfter >= 0 || own() < 0.02) {
        socket.destroy();
        socket = null;
      }
    }
    socket?.destroy();
  };
  await Promise.all(Array.from({ length: connections }, (_, index) => run(randomFrom(seed + index))));
  t.diagnostic(`${checked} responses checked`);
  assert.ok(checked > requestsWanted * 0.9);
  assert.doesNotMatch(proxy.output, /internal error/);
});

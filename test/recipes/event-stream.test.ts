import assert from 'node:assert/strict';
import { createServer, get as getHttp, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { get as getHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { until } from '../helpers/until.ts';
import { Recipe, type Scheme, schemes } from './recipe.ts';

/** A response as far as it has come. */
interface Stream {
  readonly response: IncomingMessage;
  text: string;
  hasEnded: boolean;
}

describe('Event streams and long polling', () => {
  const recipe = new Recipe('Event streams and long polling');
  let server: Server;
  const open = new Set<ServerResponse>();
  /** Requests of which nothing has been sent yet. */
  const held: ServerResponse[] = [];

  before(async () => {
    // The code of the page, with a shorter interval.
    const code = recipe.block('server.js').replace('15_000', '100');
    const stream = new Function('response', code);
    server = createServer((request, response) => {
      open.add(response);
      response.on('close', () => open.delete(response));
      if (request.url === '/stream') stream(response);
      else if (request.url === '/silent') response.writeHead(200).flushHeaders();
      else held.push(response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const limits = { responseIdleSeconds: 2, queueTimeoutSeconds: 0.1 };
    await recipe.serve({ 'app.example': [port] }, { server: { tcpTimeout: 1, workers: 1, maxSockets: 3 }, limits });
  });

  after(async () => {
    await recipe.stop();
    server.close();
  });

  async function request(scheme: Scheme, path: string): Promise<Stream> {
    const { host, port } = new URL(recipe.url(scheme));
    const options = { host: '127.0.0.1', port, path, headers: { host }, agent: false as const };
    const tls = { ca: recipe.authority.certificate, servername: 'app.example' };
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const asked = scheme === 'http' ? getHttp(options, resolve) : getHttps({ ...options, ...tls }, resolve);
      asked.once('error', reject);
    });
    const stream: Stream = { response, text: '', hasEnded: false };
    response.setEncoding('utf8').on('data', (text: string) => {
      stream.text += text;
    });
    response
      .on('error', () => {})
      .once('close', () => {
        stream.hasEnded = true;
      });
    return stream;
  }

  for (const scheme of schemes) {
    it(`forwards events over ${scheme} as they come`, async () => {
      const stream = await request(scheme, '/stream');
      for (const event of ['one', 'two']) {
        for (const response of open) response.write(`data: ${event}\n\n`);
        await until(`the event ${event}`, () => stream.text.includes(`data: ${event}\n\n`));
      }
      stream.response.destroy();
      await until('the end at the server', () => open.size === 0);
    });

    it(`keeps a stream with comments open over ${scheme}, and ends a silent one`, async () => {
      const [stream, silent] = await Promise.all([request(scheme, '/stream'), request(scheme, '/silent')]);
      await until('the end of the silent one', () => silent.hasEnded);
      assert.equal(silent.response.complete, false);
      const comments = () => stream.text.split(':\n\n').length - 1;
      const before = comments();
      await until('more comments', () => comments() > before + 10);
      assert.equal(stream.hasEnded, false);
      stream.response.destroy();
      await until('the end at the server', () => open.size === 0);
    });

    it(`responds with 504 over ${scheme} to a poll that is held too long`, async () => {
      const poll = await request(scheme, '/poll');
      assert.equal(poll.response.statusCode, 504);
      held.length = 0;
    });

    it(`waits longer over ${scheme} for a poll whose head has come`, async () => {
      const asked = request(scheme, '/poll');
      await until('the poll', () => held.length === 1);
      const [response] = held.splice(0);
      response?.writeHead(200).flushHeaders();
      const poll = await asked;
      const since = Date.now();
      await until('more than tcpTimeout', () => Date.now() - since > 1500);
      response?.end('news');
      await until('the end', () => poll.hasEnded);
      assert.equal(poll.text, 'news');
    });
  }

  it('refuses a stream beyond maxSockets', async () => {
    const streams = await Promise.all([1, 2, 3].map(() => request('http', '/stream')));
    assert.equal((await request('http', '/stream')).response.statusCode, 503);
    for (const { response } of streams) response.destroy();
    await until('the end at the server', () => open.size === 0);
  });
});

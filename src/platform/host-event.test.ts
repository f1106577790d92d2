import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { describe, type TestContext, test } from 'node:test';
import { freePort } from '../../test/helpers/free-port.ts';
import { HttpBackend, type Responder } from '../../test/helpers/http-backend.ts';
import { until } from '../../test/helpers/until.ts';
import { type HostEvent, webhookSender } from './host-event.ts';

const event: HostEvent = { event: 'idle', host: 'ä.test', instance: 'one', at: '2026-01-02T03:04:05.000Z' };
const send = (url: string, key = '') => webhookSender('1.2.3')({ kind: 'webhook', url, key }, event);

/** @returns a server that the test ends. */
async function platform(t: TestContext, respond: Responder): Promise<HttpBackend> {
  const server = await HttpBackend.start('platform', respond);
  t.after(() => server.stop());
  return server;
}

describe('a webhook', () => {
  for (const [key, says] of [
    ['', 'without a signature if there is no key'],
    ['a key', 'with the signature of the body'],
  ] as const) {
    test(`gets the event as JSON, ${says}`, async (t) => {
      let head: unknown[] = [];
      let signature: unknown;
      let body = Buffer.alloc(0);
      const server = await platform(t, async (request, response) => {
        const { headers, method, url } = request;
        head = [method, url, headers['content-type'], headers['user-agent']];
        signature = headers['x-hipache-signature'];
        body = Buffer.concat(await request.toArray());
        response.writeHead(204).end();
      });
      await send(`${server.url}/hook?x=1`, key);
      assert.deepEqual(head, ['POST', '/hook?x=1', 'application/json', 'hipache/1.2.3']);
      assert.deepEqual(JSON.parse(body.toString()), event);
      const digest = createHmac('sha256', key).update(body).digest('hex');
      assert.equal(signature, key === '' ? undefined : `sha256=${digest}`);
      assert.equal(server.requests, 1);
    });
  }

  for (const status of [302, 307, 308, 404, 500]) {
    test(`that responds with ${status} has not taken the event, and no target of a redirect is asked`, async (t) => {
      const target = await platform(t, (_request, response) => response.end());
      for (const location of [`${target.url}/login`, '/login']) {
        const paths: (string | undefined)[] = [];
        const server = await platform(t, (request, response) => {
          paths.push(request.url);
          response.writeHead(request.url === '/hook' ? status : 200, { location }).end('moved');
        });
        await assert.rejects(send(`${server.url}/hook`), { message: `status ${status}` });
        assert.deepEqual(paths, ['/hook']);
      }
      assert.equal(target.requests, 0);
    });
  }

  test('that never responds is given up after 5 s, and its connection is closed', async (t) => {
    const timeout = AbortSignal.timeout.bind(AbortSignal);
    const times: number[] = [];
    t.mock.method(AbortSignal, 'timeout', (ms: number) => {
      times.push(ms);
      return timeout(ms / 50);
    });
    let isClosed = false;
    const server = await platform(t, (request) => {
      request.socket.on('close', () => {
        isClosed = true;
      });
    });
    await assert.rejects(send(server.url), { message: 'no response within 5000 ms' });
    assert.deepEqual([times, server.requests], [[5000], 1]);
    await until('the end of the connection', () => isClosed);
  });

  test('that cannot be reached, or ends the connection, has not taken the event', async (t) => {
    await assert.rejects(send(`http://127.0.0.1:${await freePort()}/`), { message: 'ECONNREFUSED' });
    const server = await platform(t, (request) => request.socket.destroy());
    await assert.rejects(send(server.url));
    assert.equal(server.requests, 1);
  });
});

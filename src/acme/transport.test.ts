import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { Authority } from '../../test/helpers/authority.ts';
import type { AcmeError } from './acme-error.ts';
import { type AcmeTransport, acmeTransport } from './transport.ts';

describe('requests to an authority', () => {
  const authority = new Authority();
  let server: Server;
  let at: string;
  let respond: (response: ServerResponse) => void;

  before(async () => {
    const { certificate: cert, key } = authority.issue(['127.0.0.1']);
    server = createServer({ cert, key }, (_request, response) => respond(response));
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    at = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => {
    server.closeAllConnections();
    server.close();
    authority.dispose();
  });

  function transport(timeoutMs = 20_000, ca: string | null = authority.certificate): AcmeTransport {
    return acmeTransport({ ca, userAgent: 'hipache/test', timeoutMs });
  }

  async function failure(send: AcmeTransport, url = at): Promise<string> {
    const error: AcmeError = await send({ method: 'GET', url }).then(
      () => assert.fail('it has succeeded'),
      (thrown) => thrown,
    );
    assert.equal(error.type, 'unreachable');
    assert.ok(error.message.startsWith(`${url}: `));
    return error.message.slice(url.length + 2);
  }

  test('bring status, fields and body', async () => {
    respond = (response) => {
      response.writeHead(429, { link: ['<a>;rel="alternate"', '<b>;rel="up"'], 'retry-after': '3' });
      response.end('später');
    };
    const { body, field, status } = await transport()({ method: 'POST', url: at, body: '{"ä":1}' });
    assert.deepEqual({ body, status }, { body: 'später', status: 429 });
    assert.deepEqual(['link', 'retry-after', 'location'].map(field), ['<a>;rel="alternate", <b>;rel="up"', '3', null]);
  });

  test('trust the configured authorities only', async () => {
    assert.match(await failure(transport(20_000, null)), /^(UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED)/);
  });

  test('end in time, also within a body', async () => {
    respond = () => {};
    assert.equal(await failure(transport(300)), 'no whole response within 0.3 s');
    respond = (response) => void response.writeHead(200).write('begin');
    assert.equal(await failure(transport(300)), 'no whole response within 0.3 s');
  });

  test('take no endless body', async () => {
    respond = (response) => void response.writeHead(200).end(Buffer.alloc(1024 * 1024 + 1));
    assert.equal(await failure(transport()), 'a response of more than 1048576 bytes');
  });

  test('are sent again on a new connection if the kept one was closed', async () => {
    const send = transport();
    respond = (response) => void response.writeHead(200).end('first');
    assert.equal((await send({ method: 'GET', url: at })).body, 'first');
    let closed = 0;
    respond = (response) => {
      if (closed++ === 0) response.socket?.destroy();
      else response.writeHead(200).end('second');
    };
    assert.equal((await send({ method: 'POST', url: at, body: '{}' })).body, 'second');
    assert.equal(closed, 2);
  });

  test('fail where nobody listens, and without https', async () => {
    assert.equal(await failure(transport(), 'https://127.0.0.1:1/'), 'ECONNREFUSED');
    assert.equal(await failure(transport(), 'http://127.0.0.1:1/'), 'not an https URL');
    assert.equal(await failure(transport(), 'nonsense'), 'not an https URL');
  });
});

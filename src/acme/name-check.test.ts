import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttp, type RequestListener, type Server } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { type AddressInfo, createServer as createTcp, type Server as TcpServer } from 'node:net';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { createSecureContext, createServer as createTls, type Server as TlsServer } from 'node:tls';
import { Authority } from '../../test/helpers/authority.ts';
import { freePort } from '../../test/helpers/free-port.ts';
import { MemoryNotes } from '../../test/helpers/memory-notes.ts';
import { AcmeError } from './acme-error.ts';
import type { ChallengeKind } from './complete-order.ts';
import { HttpChallenges } from './http-challenges.ts';
import { NameCheck, type ProvableName } from './name-check.ts';
import { isPrivateAddress } from './private-addresses.ts';
import { FleetProver } from './proving.ts';
import { QuestionLimit } from './question-limit.ts';
import type { StandingRecord } from './standing-records.ts';
import { TlsChallenges } from './tls-challenges.ts';

const name = 'shop.example';

describe('the check of a name', () => {
  let authority: Authority;
  let notes: MemoryNotes;
  let servers: (Server | TcpServer | TlsServer)[];
  let addresses: Map<string, string[]>;
  let unusedPort: number;
  let standing: StandingRecord;

  before(async () => {
    authority = new Authority();
    unusedPort = await freePort();
  });
  after(() => authority.dispose());
  beforeEach(() => {
    standing = { authorities: [], missing: 'no record' };
    notes = new MemoryNotes();
    servers = [];
    addresses = new Map([[name, ['127.0.0.1']]]);
  });
  afterEach(() => {
    for (const server of servers) server.close();
  });

  const limit = new QuestionLimit(() => 0);
  /** As a worker responds. */
  const ours: RequestListener = async (request, response) => {
    const proof = await new HttpChallenges(notes, limit).find(request.url ?? '', '192.0.2.1');
    response.statusCode = proof === null ? 404 : 200;
    response.end(proof ?? 'not found');
  };

  async function listen(server: Server | TcpServer | TlsServer): Promise<number> {
    servers.push(server);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    return (server.address() as AddressInfo).port;
  }

  /** A listener as a worker has it. */
  function tlsServer(): TlsServer {
    const challenges = new TlsChallenges(notes, limit, Date.now);
    const { certificate, key } = authority.issue(['other.example']);
    return createTls({
      ...{ cert: certificate, key, ALPNProtocols: ['http/1.1', 'acme-tls/1'] },
      SNICallback: (serverName, done) => {
        void challenges
          .find(serverName, '192.0.2.1')
          .then((context) => done(null, context ?? createSecureContext({ cert: certificate, key })));
      },
    });
  }

  async function check(
    kinds: readonly ChallengeKind[],
    { httpPort = unusedPort, tlsPort = unusedPort, timeoutMs = 10_000 } = {},
  ): Promise<readonly string[]> {
    return (await found(kinds, { httpPort, tlsPort, timeoutMs })).kinds;
  }

  function found(
    kinds: readonly ChallengeKind[],
    { httpPort = unusedPort, tlsPort = unusedPort, timeoutMs = 10_000 } = {},
  ): Promise<ProvableName> {
    const find = async (asked: string): Promise<string[]> => {
      const found = addresses.get(asked);
      if (found === undefined) throw new AcmeError(`${asked} has no address`, { type: 'checkFailed' });
      return found;
    };
    const prover = new FleetProver(kinds, notes, null);
    const ports = { httpPort, tlsPort, timeoutMs, checkMs: 10_000 };
    return new NameCheck({ prover, addresses: find, standing: async () => standing, ...ports }).find(name, false);
  }

  test('finds the proof over http, and leaves nothing behind', async () => {
    const httpPort = await listen(createHttp(ours));
    assert.deepEqual(await check(['http-01', 'tls-alpn-01'], { httpPort }), ['http-01']);
    assert.equal(notes.texts.size, 0);
  });

  test('finds the proof in a handshake, where http does not lead here', async () => {
    const tlsPort = await listen(tlsServer());
    assert.deepEqual(await check(['http-01', 'tls-alpn-01'], { tlsPort }), ['tls-alpn-01']);
    assert.equal(notes.texts.size, 0);
  });

  test('follows redirects to the ports of authorities, whatever the certificate is', async () => {
    const { certificate: cert, key } = authority.issue(['other.example']);
    const tlsPort = await listen(createHttps({ cert, key }, ours));
    const httpPort = await listen(
      createHttp((request, response) => {
        response.writeHead(301, { location: `https://www.${name}:${tlsPort}${request.url}` }).end();
      }),
    );
    await assert.rejects(
      check(['http-01'], { httpPort, tlsPort }),
      /a redirect to www\.shop\.example, which has no address/,
    );
    addresses.set(`www.${name}`, ['127.0.0.1']);
    assert.deepEqual(await check(['http-01'], { httpPort, tlsPort }), ['http-01']);
    await assert.rejects(check(['http-01'], { httpPort }), /a redirect to https:\/\/www\.shop\.example:\d+$/);
  });

  test('does not go round in circles', async () => {
    let asked = 0;
    const httpPort = await listen(
      createHttp((request, response) => {
        asked++;
        response.writeHead(302, { location: request.url }).end();
      }),
    );
    await assert.rejects(check(['http-01'], { httpPort }), /more than 5 redirects/);
    assert.equal(asked, 6);
  });

  test('says who responds in our place', async () => {
    const other: RequestListener = (_request, response) =>
      response.writeHead(404, { server: 'nginx' }).end('not found');
    const httpPort = await listen(createHttp(other));
    const tlsPort = await listen(createTls(authority.issue([name]), (socket) => socket.end()));
    await assert.rejects(check(['http-01', 'tls-alpn-01'], { httpPort, tlsPort }), (error: AcmeError) => {
      assert.equal(error.type, 'checkFailed');
      assert.match(
        error.message,
        /^shop\.example cannot be proved: http-01: http:\/\/shop\.example:\d+\/\S+ at 127\.0\.0\.1:\d+: status 404 of the server "nginx", without the proof; tls-alpn-01: handshake with shop\.example at 127\.0\.0\.1:\d+: /,
      );
      return true;
    });
    const wrong: RequestListener = (_request, response) => response.end('x'.repeat(100_000));
    await assert.rejects(
      check(['http-01'], { httpPort: await listen(createHttp(wrong)) }),
      /status 200, without the proof/,
    );
  });

  test('tries another address only if there is no connection to the first one', async () => {
    const httpPort = await listen(createHttp(ours));
    addresses.set(name, ['::1', '127.0.0.1']);
    assert.deepEqual(await check(['http-01'], { httpPort }), ['http-01']);
    addresses.set(name, ['127.0.0.1', '127.0.0.2']);
    const other = await listen(createHttp((_request, response) => response.end('other')));
    await assert.rejects(check(['http-01'], { httpPort: other }), /127\.0\.0\.1:\d+: status 200/);
    await assert.rejects(check(['http-01']), /at 127\.0\.0\.2:\d+: ECONNREFUSED$/);
  });

  test('does not wait for a server that says nothing', async () => {
    const httpPort = await listen(createHttp(() => {}));
    await assert.rejects(check(['http-01'], { httpPort, timeoutMs: 50 }), /no response within 0\.05 s/);
    (servers.pop() as Server).closeAllConnections();
  });

  test('needs an address', async () => {
    addresses.clear();
    await assert.rejects(check(['http-01']), /shop\.example has no address/);
  });

  test('finds every way in which a name can be proved: the authority may not offer the first one', async () => {
    const httpPort = await listen(createHttp(ours));
    const tlsPort = await listen(tlsServer());
    assert.deepEqual(await check(['tls-alpn-01', 'http-01', 'dns-01'], { httpPort, tlsPort }), [
      'tls-alpn-01',
      'http-01',
      'dns-01',
    ]);
    standing = { authorities: ['https://two.example/'], missing: 'a record for the first one' };
    assert.deepEqual(await found(['dns-persist-01', 'http-01'], { httpPort }), {
      kinds: ['dns-persist-01', 'http-01'],
      authorities: ['https://two.example/'],
    });
    assert.deepEqual(await found(['http-01', 'dns-persist-01'], { httpPort }), {
      kinds: ['http-01', 'dns-persist-01'],
      authorities: null,
    });
    standing = { authorities: [], missing: 'it needs the TXT record' };
    await assert.rejects(
      check(['dns-persist-01']),
      /^AcmeError: shop\.example cannot be proved: it needs the TXT record$/,
    );
  });

  test('tries no other address after one that accepts, and then fails', async () => {
    const httpPort = await listen(createTcp((socket) => socket.destroy()));
    const second = createHttp(ours);
    servers.push(second);
    await once(second.listen(httpPort, '127.0.0.2'), 'listening');
    addresses.set(name, ['127.0.0.1', '127.0.0.2']);
    await assert.rejects(check(['http-01'], { httpPort }), /at 127\.0\.0\.1:\d+: ECONNRESET/);
    addresses.set(name, ['127.0.0.2', '127.0.0.1']);
    assert.deepEqual(await check(['http-01'], { httpPort }), ['http-01']);
  });

  test('does not say what another host has responded', async () => {
    addresses.set('other.example', ['127.0.0.1']);
    const httpPort = await listen(
      createHttp((request, response) => {
        if (request.headers.host?.startsWith('other') === true) response.writeHead(418, { server: 'secret' }).end();
        else response.writeHead(302, { location: `http://other.example:${httpPort}/internal` }).end();
      }),
    );
    await assert.rejects(check(['http-01'], { httpPort }), ({ message }: Error) => {
      assert.match(message, /redirected to http:\/\/other\.example:\d+, where the proof is not$/);
      assert.doesNotMatch(message, /418|secret/);
      return true;
    });
  });
});

test('addresses that are not public', () => {
  for (const address of [
    '127.0.0.1',
    '10.1.2.3',
    '169.254.169.254',
    '192.168.0.1',
    '100.64.0.1',
    '::1',
    '::',
    'fe80::1',
    'fd00::1',
    '::ffff:10.0.0.1',
  ]) {
    assert.equal(isPrivateAddress(address), true, address);
  }
  for (const address of ['192.0.2.1', '8.8.8.8', '172.32.0.1', '2001:db8::1', '::ffff:8.8.8.8']) {
    assert.equal(isPrivateAddress(address), false, address);
  }
});

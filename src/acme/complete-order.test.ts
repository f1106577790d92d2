import assert from 'node:assert/strict';
import { generateKeyPairSync, hash, X509Certificate } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { after, afterEach, before, describe, test } from 'node:test';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls';
import { Pebble } from '../../test/helpers/pebble.ts';
import { until } from '../../test/helpers/until.ts';
import { AcmeClient } from './acme-client.ts';
import { AcmeError } from './acme-error.ts';
import { certificateIdentifier, challengeCertificate } from './certificates.ts';
import { type ChallengeKind, completeOrder, type OrderMeans, type Proof, type Prover } from './complete-order.ts';
import { AccountKey } from './jws.ts';

/** Shows proofs on the ports of Pebble, and on its DNS server. */
class TestProver implements Prover {
  readonly shown: Proof[] = [];
  readonly withdrawn: Proof[] = [];
  /** Shown in place of the right key authorization. */
  forged: string | null = null;
  private readonly pebble: Pebble;
  private readonly kinds: readonly ChallengeKind[];
  private readonly servers: (Server | TlsServer)[] = [];

  constructor(pebble: Pebble, kinds: readonly ChallengeKind[]) {
    this.pebble = pebble;
    this.kinds = kinds;
  }

  kindsFor(): readonly ChallengeKind[] {
    return this.kinds;
  }

  async show(proof: Proof): Promise<void> {
    this.shown.push(proof);
    const keyAuthorization = this.forged ?? proof.keyAuthorization;
    if (proof.kind === 'http-01') {
      const server = createServer((request, response) => {
        response.statusCode = request.url === `/.well-known/acme-challenge/${proof.token}` ? 200 : 404;
        response.end(keyAuthorization);
      });
      await this.listen(server, this.pebble.httpPort);
    } else if (proof.kind === 'tls-alpn-01') {
      const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const cert = challengeCertificate(privateKey, proof.name, keyAuthorization, Date.now());
      const key = privateKey.export({ type: 'pkcs8', format: 'pem' });
      const server = createTlsServer({ cert, key, ALPNProtocols: ['acme-tls/1'] });
      server.on('tlsClientError', () => {});
      await this.listen(server, this.pebble.tlsPort);
    } else {
      const value = hash('sha256', keyAuthorization, 'base64url');
      await this.pebble.tellDns('set-txt', { host: `_acme-challenge.${proof.name}.`, value });
    }
  }

  async withdraw(proof: Proof): Promise<void> {
    this.withdrawn.push(proof);
    await this.close();
  }

  async close(): Promise<void> {
    await Promise.all(
      this.servers.splice(0).map((server) => new Promise<void>((resolve) => void server.close(() => resolve()))),
    );
  }

  private async listen(server: Server | TlsServer, port: number): Promise<void> {
    this.servers.push(server);
    await new Promise<void>((resolve) => void server.listen(port, '127.0.0.1', resolve));
  }
}

describe('an order at Pebble', () => {
  let pebble: Pebble;
  let client: AcmeClient;
  let prover: TestProver;

  before(async () => {
    // Many nonces are bad: every function meets one.
    pebble = await Pebble.start({ badNonces: 30, env: { PEBBLE_AUTHZREUSE: '0', PEBBLE_ALTERNATE_ROOTS: '2' } });
    client = new AcmeClient({
      directoryUrl: pebble.directoryUrl,
      key: await AccountKey.generate(),
      transport: pebble.transport,
    });
    await client.register({ contact: ['mailto:admin@hipache.example'], externalAccount: null });
  });
  afterEach(() => prover?.close());
  after(() => pebble?.remove());

  function meansWith(kinds: readonly ChallengeKind[], more: Partial<OrderMeans> = {}): OrderMeans {
    prover = new TestProver(pebble, kinds);
    const { privateKey: key } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const pause = (ms: number) => new Promise<void>((resolve) => void setTimeout(resolve, Math.min(ms, 50)));
    return { prover, key, preferredChain: null, pause, stepMsMax: 60_000, ...more };
  }

  async function issue(names: readonly string[], means: OrderMeans): Promise<string> {
    return await completeOrder(client, await client.newOrder({ names, profile: null, replaces: null }), means);
  }

  for (const [kind, names] of [
    ['http-01', ['shop.example', 'www.shop.example']],
    ['tls-alpn-01', ['alpn.example']],
    ['dns-01', ['*.wild.example', 'wild.example']],
  ] as const) {
    test(`is proved by ${kind}, for ${names.join(' and ')}`, async () => {
      const means = meansWith([kind]);
      const pem = await issue(names, means);
      const leaf = new X509Certificate(pem);
      assert.deepEqual(leaf.subjectAltName?.split(', ').sort(), names.map((name) => `DNS:${name}`).sort());
      assert.ok(leaf.checkPrivateKey(means.key));
      const [, intermediate = ''] = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
      assert.ok(leaf.checkIssued(new X509Certificate(intermediate)));
      assert.deepEqual(prover.withdrawn, prover.shown);
      assert.equal(prover.shown.length, names.length);
    });
  }

  test('goes on where another process has left it', async () => {
    const means = meansWith(['http-01']);
    const order = await client.newOrder({ names: ['left.example'], profile: null, replaces: null });
    // The first process ends while the authority decides; the proof stays.
    prover.withdraw = () => Promise.reject(new Error('the process ends'));
    await assert.rejects(completeOrder(client, order, means), /the process ends/);
    await until('the authority has decided', async () => (await client.order(order.url)).of.status !== 'pending');
    const { of: ready } = await client.order(order.url);
    assert.equal(ready.status, 'ready');
    const shown = prover.shown.length;
    const pem = await completeOrder(client, ready, means);
    // A third one finds the certificate.
    const { of: valid } = await client.order(order.url);
    assert.equal(valid.status, 'valid');
    assert.equal(await completeOrder(client, valid, means), pem);
    assert.equal(prover.shown.length, shown);
  });

  test('gives back what it cannot prove', async () => {
    const means = meansWith(['http-01']);
    const order = await client.newOrder({ names: ['given.example'], profile: null, replaces: null });
    prover.show = () => Promise.reject(new Error('the store is away'));
    await assert.rejects(completeOrder(client, order, means), /the store is away/);
    const [url = ''] = order.authorizations;
    assert.equal((await client.authorization(url)).of.status, 'deactivated');
    await assert.rejects(completeOrder(client, order, means), /the authorization of given\.example is deactivated/);
  });

  test('fails with what the authority says of its challenge', async () => {
    const means = meansWith(['http-01']);
    prover.forged = 'something else';
    await assert.rejects(issue(['forged.example'], means), (error: AcmeError) => {
      assert.equal(error.type, 'authorizationFailed');
      assert.match(error.message, /^the authorization of forged\.example is invalid: http-01: unauthorized: /);
      return true;
    });
    assert.deepEqual(prover.withdrawn, prover.shown);
  });

  test('fails without an attempt if no challenge can be met', async () => {
    await assert.rejects(issue(['none.example'], meansWith([])), (error: AcmeError) => {
      assert.equal(error.type, 'noChallenge');
      assert.match(error.message, /the authority offers .*http-01.*; possible here: none$/);
      return true;
    });
    await assert.rejects(
      issue(['*.none.example'], meansWith(['http-01'])),
      /no challenge for \*\.none\.example can be met/,
    );
  });

  test('gets the chain that is preferred, or the first one if there is none such', async () => {
    const issuers = await Promise.all([0, 1, 2].map(async (i) => new X509Certificate(await pebble.root(i)).subject));
    const [first = '', second = ''] = issuers.map((subject) => /^CN=(.+)$/m.exec(subject)?.[1] ?? '');
    assert.notEqual(first, second);
    const topOf = (pem: string): string => {
      const last = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g)?.at(-1) ?? '';
      return /^CN=(.+)$/m.exec(new X509Certificate(last).issuer)?.[1] ?? '';
    };
    for (const [preferredChain, expected] of [
      [second, second],
      ['No such authority', first],
    ] as const) {
      assert.equal(topOf(await issue(['chain.example'], meansWith(['http-01'], { preferredChain }))), expected);
    }
  });

  test('a certificate is revoked once', async () => {
    const pem = await issue(['revoked.example'], meansWith(['http-01']));
    const { raw } = new X509Certificate(pem);
    await client.revoke(raw, 1);
    await assert.rejects(client.revoke(raw, 1), (error: AcmeError) => error.type === 'alreadyRevoked');
    assert.match(certificateIdentifier(pem) ?? '', /^[\w-]+\.[\w-]+$/);
    // This Pebble has no renewal information.
    assert.equal(await client.renewalInfo('any'), null);
  });

  test('says why an authority refuses a name', async () => {
    const names = ['fine.example', 'under_score.example'];
    await assert.rejects(client.newOrder({ names, profile: null, replaces: null }), (error: AcmeError) => {
      assert.match(error.message, /illegal character: '_'/);
      return error.type === 'malformed' && error.status === 400;
    });
  });

  test('the key finds its account again', async () => {
    const contact: string[] = [];
    const again = new AcmeClient({ directoryUrl: pebble.directoryUrl, key: client.key, transport: pebble.transport });
    const { status, url } = await again.register({ contact, externalAccount: null });
    assert.equal(status, 'valid');
    assert.equal((await client.register({ contact, externalAccount: null })).url, url);
  });
});

describe('an authority for customers only', () => {
  const hmacKey = 'zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W';
  let pebble: Pebble;

  before(async () => {
    pebble = await Pebble.start({ externalAccounts: { 'customer-1': hmacKey } });
  });
  after(() => pebble?.remove());

  async function register(externalAccount: { keyId: string; hmacKey: string } | null): Promise<string> {
    const key = await AccountKey.generate();
    const client = new AcmeClient({ directoryUrl: pebble.directoryUrl, key, transport: pebble.transport });
    return (await client.register({ contact: [], externalAccount })).status;
  }

  test('takes an account with its key', async () => {
    assert.equal(await register({ keyId: 'customer-1', hmacKey }), 'valid');
  });

  test('is not asked without one, and refuses a wrong one', async () => {
    await assert.rejects(register(null), (error: AcmeError) => error.type === 'externalAccountRequired');
    const wrong = Buffer.from('another key').toString('base64url');
    await assert.rejects(register({ keyId: 'customer-1', hmacKey: wrong }), AcmeError);
  });
});

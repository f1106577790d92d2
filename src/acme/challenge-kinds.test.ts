import assert from 'node:assert/strict';
import { generateKeyPairSync, hash, X509Certificate } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, afterEach, before, describe, test } from 'node:test';
import { createSecureContext, createServer as createTlsServer, type Server as TlsServer } from 'node:tls';
import { StrictAuthority } from '../../test/helpers/strict-authority.ts';
import { AcmeClient } from './acme-client.ts';
import type { AcmeError } from './acme-error.ts';
import { challengeCertificate } from './certificates.ts';
import { type ChallengeKind, completeOrder, type Proof, type Prover } from './complete-order.ts';
import { isPersistentRecord, persistentRecord } from './dns-records.ts';
import { AccountKey } from './jws.ts';

/** Proofs in places that the test has given the authority. */
class Places {
  readonly shown = new Map<string, Proof>();
  readonly records = new Map<string, readonly string[]>();
  /** Shown in place of the right key authorization. */
  forged: string | null = null;
  readonly web: Server;
  readonly tls: TlsServer;

  constructor() {
    this.web = createServer((request, response) => {
      const proof = [...this.shown.values()].find(({ token }) => request.url?.endsWith(`/${token}`));
      response.statusCode = proof?.name === request.headers.host ? 200 : 404;
      response.end(this.forged ?? proof?.keyAuthorization);
    });
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' });
    this.tls = createTlsServer({
      ALPNProtocols: ['acme-tls/1'],
      SNICallback: (name, done) => {
        const shown = this.forged ?? this.shown.get(name)?.keyAuthorization ?? '';
        const cert = challengeCertificate(privateKey, name, shown, Date.now());
        done(null, createSecureContext({ key, cert }));
      },
    });
    this.tls.on('tlsClientError', () => {});
  }

  async start(): Promise<Parameters<typeof StrictAuthority.start>[0]> {
    const [httpPort, tlsPort] = await Promise.all(
      [this.web, this.tls].map(async (server) => {
        await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
        return (server.address() as AddressInfo).port;
      }),
    );
    const resolveTxt = async (name: string) => (this.records.get(name) ?? []).map((record) => [record]);
    return { places: { httpPort: httpPort ?? 0, tlsPort: tlsPort ?? 0, resolveTxt } };
  }

  prover(kind: ChallengeKind): Prover {
    return {
      kindsFor: () => [kind],
      show: async (proof) => {
        this.shown.set(proof.name, proof);
        const value = hash('sha256', this.forged ?? proof.keyAuthorization, 'base64url');
        // Records of a wildcard and of its name stand beside each other.
        const name = `_acme-challenge.${proof.name}`;
        if (kind === 'dns-01') this.records.set(name, [...(this.records.get(name) ?? []), value]);
      },
      withdraw: async ({ name }) => void this.shown.delete(name),
    };
  }
}

describe('a strict authority gets proofs', () => {
  let places: Places;
  let authority: StrictAuthority;
  let client: AcmeClient;

  before(async () => {
    places = new Places();
    authority = await StrictAuthority.start(await places.start());
    const options = { directoryUrl: authority.directoryUrl, transport: authority.transport() };
    client = new AcmeClient({ ...options, key: await AccountKey.generate() });
    await client.register({ contact: [], externalAccount: null });
  });
  afterEach(() => {
    places.forged = null;
    places.records.clear();
    assert.equal(places.shown.size, 0);
    assert.deepEqual(authority.violations, []);
  });
  after(async () => {
    places?.web.close();
    places?.tls.close();
    await authority?.remove();
  });

  async function issue(kind: ChallengeKind, names: readonly string[]): Promise<string> {
    const { privateKey: key } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const order = await client.newOrder({ names, profile: null, replaces: null });
    const means = { key, preferredChain: null, stepMsMax: 300_000, pause: async () => {} };
    return await completeOrder(client, order, { ...means, prover: places.prover(kind) });
  }

  /** For the check before an order. */
  async function wanted(name: string): Promise<Parameters<typeof isPersistentRecord>[1]> {
    return { issuers: await client.issuers(), account: client.account ?? '', isWildcard: name.startsWith('*.') };
  }

  const persistent = (more = ''): string => `strict.example; accounturi=${client.account}${more}`;
  const all: readonly (readonly [ChallengeKind, readonly string[]])[] = [
    ['http-01', ['one.example', 'two.example']],
    ['tls-alpn-01', ['one.example', 'two.example']],
    ['dns-01', ['*.one.example', 'one.example']],
  ];
  for (const [kind, names] of all) {
    test(`of ${kind}, for ${names.join(' and ')}`, async () => {
      const leaf = new X509Certificate(await issue(kind, names));
      assert.deepEqual(leaf.subjectAltName?.split(', ').sort(), names.map((name) => `DNS:${name}`).sort());
    });

    test(`of ${kind} that are wrong, and says so`, async () => {
      places.forged = 'something else';
      await assert.rejects(issue(kind, names), (error: AcmeError) => {
        assert.equal(error.type, 'authorizationFailed');
        assert.ok(error.message.includes(` is invalid: ${kind}: unauthorized: `), error.message);
        return true;
      });
    });
  }

  for (const [what, name, more] of [
    ['a name', 'one.example', ''],
    ['a name, until some day', 'one.example', '; persistUntil=9999999999'],
    ['a wildcard', '*.one.example', '; policy=wildcard'],
  ] as const) {
    test(`of dns-persist-01 that stay, for ${what}`, async () => {
      places.records.set('_validation-persist.one.example', ['other.example; accounturi=x', persistent(more)]);
      assert.ok(isPersistentRecord(persistent(more), await wanted(name), Date.now()));
      for (let i = 0; i < 2; i++) assert.match(await issue('dns-persist-01', [name]), /BEGIN CERTIFICATE/);
    });
  }

  test('of dns-persist-01 as operators are to write them', async () => {
    const [issuer = ''] = await client.issuers();
    const record = persistentRecord('one.example', issuer, client.account ?? '');
    places.records.set(record.name, [record.value]);
    assert.match(await issue('dns-persist-01', ['*.one.example', 'one.example']), /BEGIN CERTIFICATE/);
  });

  for (const [what, name, record] of [
    ['of another authority', 'one.example', () => 'other.example; accounturi=https://other.example/1'],
    ['of another account', 'one.example', () => `${persistent()}0`],
    ['that has ended', 'one.example', () => persistent('; persistUntil=1')],
    ['that says something twice', 'one.example', () => persistent(`; accounturi=${client.account}`)],
    ['that has something else in it', 'one.example', () => persistent('; policy')],
    ['that is for no wildcard', '*.one.example', () => persistent()],
  ] as const) {
    test(`of dns-persist-01 ${what}, and refuses them`, async () => {
      places.records.set('_validation-persist.one.example', [record()]);
      assert.ok(!isPersistentRecord(record(), await wanted(name), Date.now()));
      await assert.rejects(
        issue('dns-persist-01', [name]),
        /is invalid: dns-persist-01: unauthorized: no record of _val/,
      );
    });
  }

  test('of the kind that both have', async () => {
    authority.settings.challengeKinds = ['dns-01'];
    await assert.rejects(issue('http-01', ['one.example']), /authority offers dns-01; possible here: http-01/);
    authority.settings.challengeKinds = ['http-01', 'tls-alpn-01', 'dns-01', 'dns-persist-01'];
    await assert.rejects(
      issue('http-01', ['*.one.example']),
      /authority offers dns-01, dns-persist-01; possible here: http-01/,
    );
  });
});

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { AcmeClient } from '../../src/acme/acme-client.ts';
import { certificateRequest } from '../../src/acme/certificates.ts';
import { AccountKey } from '../../src/acme/jws.ts';
import type { Order } from '../../src/acme/messages.ts';
import type { AcmeResponse, AcmeTransport } from '../../src/acme/transport.ts';
import { StrictAuthority } from './strict-authority.ts';

/** An authority that is said to be strict has to be. */
describe('a strict authority', () => {
  let authority: StrictAuthority;
  let transport: AcmeTransport;
  let key: AccountKey;
  let client: AcmeClient;
  let order: Order;

  before(async () => {
    authority = await StrictAuthority.start();
    transport = authority.transport();
    key = await AccountKey.generate();
    client = new AcmeClient({ directoryUrl: authority.directoryUrl, key, transport });
    await client.register({ contact: [], externalAccount: null });
    order = await client.newOrder({ names: ['a.example', 'b.example'], profile: null, replaces: null });
  });
  after(() => authority?.remove());

  async function newNonce(): Promise<string> {
    const { newNonce: url } = await client.directory();
    return (await transport({ method: 'HEAD', url })).field('replay-nonce') ?? '';
  }

  /** @param header in place of the right fields. */
  async function post(header: object, payload = '', change: object = {}): Promise<AcmeResponse> {
    const right = { kid: client.account, nonce: await newNonce(), url: order.url };
    const jws = key.sign({ ...right, ...header }, payload);
    return await transport({ method: 'POST', url: order.url, body: JSON.stringify({ ...jws, ...change }) });
  }

  /** Asserts that it is refused, and written down. */
  async function refused(response: AcmeResponse, type: string, what: RegExp): Promise<void> {
    assert.ok(response.status >= 400, response.body);
    assert.equal(JSON.parse(response.body).type, `urn:ietf:params:acme:error:${type}`);
    assert.match(authority.violations.at(-1) ?? '', what);
    assert.equal(authority.violations.splice(0).length, 1);
  }

  test('takes what is right', async () => {
    assert.equal((await post({})).status, 200);
    assert.deepEqual(authority.violations, []);
  });

  test('refuses messages that are not signed as they have to be', async () => {
    const { jwk } = key;
    await refused(await post({ alg: 'RS256' }), 'badSignatureAlgorithm', /RS256/);
    await refused(await post({ url: authority.directoryUrl }), 'unauthorized', /the header has/);
    await refused(await post({ jwk }), 'malformed', /either/);
    await refused(await post({ kid: undefined, jwk }), 'malformed', /not its account/);
    await refused(await post({ kid: `${client.account}0` }), 'accountDoesNotExist', /there is no account/);
    await refused(await post({ kid: undefined, jwk: { ...jwk, d: 'AA' } }), 'malformed', /"d"/);
    await refused(await post({ b64: false }), 'malformed', /b64/);
    await refused(await post({}, '', { header: {} }), 'malformed', /"header"/);
    await refused(await post({}, '', { signature: 'A'.repeat(86) }), 'unauthorized', /the signature is wrong/);
    await refused(await post({}, '{}'), 'malformed', /payload that is not empty/);
    await refused(await transport({ method: 'GET', url: order.url }), 'malformed', /GET is not allowed/);
    await refused(await transport({ method: 'POST', url: order.url }), 'malformed', /content type/);
  });

  test('refuses nonces that are not its own, or were used by another message', async () => {
    await refused(await post({ nonce: 'mine' }), 'badNonce', /not known/);
    const nonce = await newNonce();
    assert.equal((await post({ nonce })).status, 200);
    await refused(await post({ nonce }), 'badNonce', /used before/);
  });

  test('refuses to finalize an order that is not ready, and requests for anything else', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const finalize = async (names: readonly string[], change = (request: Buffer) => request): Promise<void> => {
      await assert.rejects(client.finalize(order, change(certificateRequest(privateKey, names))));
    };
    await finalize(['a.example', 'b.example']);
    assert.match(authority.violations.splice(0).join(), /orderNotReady/);
    const [made] = authority.orders;
    assert.ok(made);
    for (const one of made.authorizations) one.status = 'valid';
    await finalize(['a.example']);
    await finalize(['a.example', 'b.example', 'c.example']);
    await finalize(['b.example', 'a.example'], (request) => {
      const other = Buffer.from(request);
      const last = other.length - 1;
      other.writeUInt8(other.readUInt8(last) ^ 1, last);
      return other;
    });
    await finalize([], () => Buffer.from('nothing'));
    const found = authority.violations.splice(0);
    assert.equal(found.length, 4);
    for (const [i, what] of [
      /it is for a\.example, and/,
      /c\.example, and/,
      /signature is wrong/,
      /not parse/,
    ].entries()) {
      assert.match(found[i] ?? '', what);
    }
    await client.finalize(order, certificateRequest(privateKey, ['b.example', 'a.example']));
    // The same key for another order.
    const next = await client.newOrder({ names: ['c.example'], profile: null, replaces: null });
    const [, other] = authority.orders;
    for (const one of other?.authorizations ?? []) one.status = 'valid';
    await assert.rejects(client.finalize(next, certificateRequest(privateKey, ['c.example'])), /that of another order/);
    assert.equal(authority.violations.splice(0).length, 1);
  });

  test('refuses orders that are not as they have to be', async () => {
    const wanted = { profile: null, replaces: null };
    await assert.rejects(client.newOrder({ ...wanted, names: [] }));
    await assert.rejects(client.newOrder({ ...wanted, names: ['A.example'] }));
    await assert.rejects(client.newOrder({ ...wanted, names: ['a.example', 'a.example'] }), /twice/);
    await assert.rejects(
      client.newOrder({ ...wanted, names: ['a.example'], replaces: 'aa.bb' }),
      /no certificate aa\.bb/,
    );
    await assert.rejects(client.renewalInfo('aa.bb'), /no certificate aa\.bb/);
    assert.equal(authority.violations.splice(0).length, 5);
  });
});

import assert from 'node:assert/strict';
import { createPublicKey, verify } from 'node:crypto';
import { describe, test } from 'node:test';
import { AcmeClient } from './acme-client.ts';
import type { AcmeError } from './acme-error.ts';
import { AccountKey } from './jws.ts';
import type { AcmeRequest, AcmeResponse } from './transport.ts';

const at = 'https://authority.example';
const directory = {
  newNonce: `${at}/nonce`,
  newAccount: `${at}/account`,
  newOrder: `${at}/order`,
  renewalInfo: `${at}/renewal/`,
};
const order = {
  status: 'pending',
  identifiers: [{ type: 'dns', value: 'a.example' }],
  authorizations: [`${at}/authorization/1`],
  finalize: `${at}/finalize/1`,
};
const wanted = { names: ['a.example'], profile: null, replaces: null };

interface Reply {
  readonly status?: number;
  readonly body?: unknown;
  readonly fields?: Readonly<Record<string, string>>;
}

/** An authority that gives these replies to one path after the other; the last one again and again. */
class FakeAuthority {
  readonly requests: AcmeRequest[] = [];
  private readonly replies: Readonly<Record<string, readonly Reply[]>>;
  private nonces = 0;

  constructor(replies: Readonly<Record<string, readonly Reply[]>>) {
    this.replies = { '/directory': [{ body: directory }], '/nonce': [{}], ...replies };
  }

  readonly transport = async (request: AcmeRequest): Promise<AcmeResponse> => {
    const path = request.url.slice(at.length);
    const all = this.replies[path] ?? [{ status: 404, body: {} }];
    const before = this.requests.filter(({ url }) => url === request.url).length;
    this.requests.push(request);
    const { body = '', fields = {}, status = 200 } = all[Math.min(before, all.length - 1)] ?? {};
    const named: Readonly<Record<string, string>> = { 'replay-nonce': `nonce-${++this.nonces}`, ...fields };
    return {
      status,
      field: (name) => named[name] ?? null,
      body: typeof body === 'string' ? body : JSON.stringify(body),
    };
  };

  /** The header and the payload of what was posted to a path; its signature is right. */
  posted(path: string, key: AccountKey): { header: Record<string, unknown>; payload: string }[] {
    return this.requests
      .filter(({ method, url }) => method === 'POST' && url === at + path)
      .map(({ body = '' }) => {
        const jws: Readonly<Record<'protected' | 'payload' | 'signature', string>> = JSON.parse(body);
        const input = Buffer.from(`${jws.protected}.${jws.payload}`);
        const publicKey = createPublicKey({ key: { ...key.jwk }, format: 'jwk' });
        const signature = Buffer.from(jws.signature, 'base64url');
        assert.ok(verify('sha256', input, { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature));
        const [header = '', payload = ''] = [jws.protected, jws.payload].map((part) =>
          Buffer.from(part, 'base64url').toString(),
        );
        return { header: JSON.parse(header), payload };
      });
  }
}

interface Fixture {
  readonly authority: FakeAuthority;
  readonly client: AcmeClient;
  readonly key: AccountKey;
}

async function clientOf(replies: Readonly<Record<string, readonly Reply[]>>, now = Date.now): Promise<Fixture> {
  const authority = new FakeAuthority(replies);
  const key = await AccountKey.generate();
  const options = { directoryUrl: `${at}/directory`, key, transport: authority.transport, now };
  const client = new AcmeClient(options);
  client.useAccount(`${at}/account/7`);
  return { authority, client, key };
}

async function failure(promise: Promise<unknown>): Promise<AcmeError> {
  return await promise.then(
    () => assert.fail('it has succeeded'),
    (error: AcmeError) => error,
  );
}

describe('an ACME client', () => {
  test('signs for the account, the URL and a new nonce each', async () => {
    const { authority, client, key } = await clientOf({
      '/order': [{ status: 201, body: order, fields: { location: '/order/1' } }],
    });
    const made = await client.newOrder({ names: ['a.example'], profile: 'shortlived', replaces: 'aa.bb' });
    assert.equal(made.url, `${at}/order/1`);
    await client.newOrder(wanted);
    const posted = authority.posted('/order', key);
    assert.deepEqual(
      posted.map(({ header }) => header),
      [2, 3].map((i) => ({ alg: 'ES256', kid: `${at}/account/7`, nonce: `nonce-${i}`, url: `${at}/order` })),
    );
    const identifiers = [{ type: 'dns', value: 'a.example' }];
    assert.deepEqual(
      posted.map(({ payload }) => JSON.parse(payload)),
      [{ identifiers, profile: 'shortlived', replaces: 'aa.bb' }, { identifiers }],
    );
  });

  test('sends again with the nonce of the refusal, and not without end', async () => {
    const bad: Reply = { status: 400, body: { type: 'urn:ietf:params:acme:error:badNonce', detail: 'no' } };
    const good: Reply = { status: 201, body: order, fields: { location: `${at}/order/1` } };
    const { client } = await clientOf({ '/order': [bad, bad, good] });
    assert.equal((await client.newOrder(wanted)).status, 'pending');
    const { authority, client: other, key } = await clientOf({ '/order': [bad] });
    assert.equal((await failure(other.newOrder(wanted))).type, 'badNonce');
    assert.equal(authority.posted('/order', key).length, 10);
  });

  for (const [text, expected] of [
    ['604800', 604_800_000],
    ['0', 0],
    [new Date(1_000_000 + 90_000).toUTCString(), 90_000],
    [new Date(0).toUTCString(), 0],
    ['99999999999', null],
    ['9999999999', 30 * 24 * 3600 * 1000],
    ['soon', null],
  ] as const) {
    test(`understands that it is to wait: ${text}`, async () => {
      const problem = { type: 'urn:ietf:params:acme:error:rateLimited', detail: 'too many' };
      const reply = { status: 429, body: problem, fields: { 'retry-after': text } };
      const { client } = await clientOf({ '/order': [reply] }, () => 1_000_000);
      const { message, retryAfterMs, status, type } = await failure(client.newOrder(wanted));
      assert.deepEqual({ message, status, type }, { message: 'too many', status: 429, type: 'rateLimited' });
      assert.equal(retryAfterMs, expected);
    });
  }

  test('names what an authority says of each name', async () => {
    const part = { type: 'urn:ietf:params:acme:error:caa', detail: 'not\nme', identifier: { value: 'b.example' } };
    const body = { type: 'urn:ietf:params:acme:error:compound', detail: 'some', subproblems: [part, 'what', null] };
    const { client } = await clientOf({ '/order': [{ status: 403, body }] });
    assert.deepEqual((await failure(client.newOrder(wanted))).parts, [
      { name: 'b.example', type: 'caa', detail: 'not\\nme' },
      { name: null, type: 'unknown', detail: '' },
      { name: null, type: 'unknown', detail: '' },
    ]);
  });

  const lies: readonly (readonly [string, Readonly<Record<string, readonly Reply[]>>, RegExp])[] = [
    ['a directory that is a page', { '/directory': [{ body: '<html>' }] }, /^the directory is not as RFC 8555 has it/],
    [
      'a directory without https',
      { '/directory': [{ body: { ...directory, newOrder: 'http://authority.example/order' } }] },
      /^the directory is not as RFC 8555 has it at "newOrder"/,
    ],
    ['a directory that is away', { '/directory': [{ status: 503, body: 'later' }] }, /^status 503 without a problem/],
    ['no nonce', { '/nonce': [{ fields: { 'replay-nonce': 'a nonce\r\nx: y' } }] }, /no usable Replay-Nonce/],
    ['an order without a place', { '/order': [{ status: 201, body: order }] }, /no usable Location$/],
    [
      'an order that is valid without a certificate',
      { '/order': [{ status: 201, body: { ...order, status: 'valid' }, fields: { location: `${at}/order/1` } }] },
      /^an order that is valid has no "certificate"$/,
    ],
    [
      'an order of a foreign state',
      { '/order': [{ status: 201, body: { ...order, status: 'fine' }, fields: { location: `${at}/order/1` } }] },
      /^the order is not as RFC 8555 has it at "status"/,
    ],
    [
      'a redirect',
      { '/order': [{ status: 301, fields: { location: at } }] },
      /^status 301 without a problem document$/,
    ],
    ['a problem that is a number', { '/order': [{ status: 500, body: '7' }] }, /^status 500 without an explanation$/],
  ];
  for (const [what, replies, message] of lies) {
    test(`says what is wrong with ${what}`, async () => {
      const { client } = await clientOf(replies);
      assert.match((await failure(client.newOrder(wanted))).message, message);
    });
  }

  test('asks a directory again after a failure', async () => {
    const { client } = await clientOf({ '/directory': [{ status: 500 }, { body: directory }] });
    await failure(client.directory());
    assert.equal((await client.directory()).newOrder, `${at}/order`);
  });

  test('reads when to renew, and refuses a window that does not end after it begins', async () => {
    const [start, end] = ['2026-12-01T00:00:00Z', '2026-12-02T00:00:00+02:00'];
    const { client } = await clientOf({
      '/renewal/aa.bb': [
        { body: { suggestedWindow: { start, end }, explanationURL: `${at}/why` }, fields: { 'retry-after': '21600' } },
      ],
      '/renewal/cc.dd': [
        { body: { suggestedWindow: { start: end, end: start } } },
        { body: { suggestedWindow: { start, end: start } } },
      ],
    });
    assert.deepEqual(await client.renewalInfo('aa.bb'), {
      of: { startMs: Date.parse(start), endMs: Date.parse(end), explanationUrl: `${at}/why` },
      retryAfterMs: 21_600_000,
    });
    for (let i = 0; i < 2; i++) {
      assert.match((await failure(client.renewalInfo('cc.dd'))).message, /does not end after it begins$/);
    }
  });
});

test('an account key survives its file, with and without a passphrase', async () => {
  const key = await AccountKey.generate();
  assert.equal(AccountKey.fromPem(key.toPem()).thumbprint, key.thumbprint);
  const encrypted = key.toPem('secret');
  assert.match(encrypted, /^-----BEGIN ENCRYPTED PRIVATE KEY-----/);
  assert.equal(AccountKey.fromPem(encrypted, 'secret').thumbprint, key.thumbprint);
  assert.throws(() => AccountKey.fromPem(encrypted, 'wrong'));
});

test('a key authorization is the token and the thumbprint', async () => {
  const key = await AccountKey.generate();
  assert.match(key.keyAuthorization('token'), /^token\.[\w-]{43}$/);
});

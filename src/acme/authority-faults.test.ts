import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { OrderingRig } from '../../test/helpers/ordering-rig.ts';
import { refusal } from '../../test/helpers/strict-authority.ts';
import { AcmeClient } from './acme-client.ts';
import { AcmeError } from './acme-error.ts';
import { AccountKey } from './jws.ts';
import type { NameOrders } from './name-orders.ts';
import type { OrderOutcome } from './order-means.ts';
import type { AcmeTransport } from './transport.ts';

const [minute, hour, day] = [60_000, 3600_000, 24 * 3600_000];
const name = 'shop.example';
/** Steps after the order was made, in which it must not be lost. */
const steps = ['authorization', 'challenge', 'finalize', 'order', 'certificate'] as const;

describe('an order at an authority that', () => {
  let rig: OrderingRig;
  let orders: NameOrders;

  beforeEach(async () => {
    rig = await OrderingRig.start();
    orders = rig.instance();
  });
  afterEach(async () => {
    const { violations } = rig.authority;
    await rig.remove();
    assert.deepEqual(violations, []);
  });

  /** Asserts that it failed, and that nobody asks the authority before the time that was set. */
  async function failed(outcome: OrderOutcome, why: RegExp): Promise<Extract<OrderOutcome, { kind: 'failed' }>> {
    assert.ok(outcome.kind === 'failed', JSON.stringify(outcome));
    assert.match(outcome.why, why);
    assert.ok(outcome.untilMs >= rig.nowMs + 0.8 * minute);
    const { total } = rig.authority;
    for (const other of [orders, rig.instance()]) {
      assert.deepEqual(await other.look(name), { ...outcome, kind: 'waits' });
    }
    assert.equal(rig.authority.total, total);
    return outcome;
  }

  async function issues(before: OrderOutcome): Promise<void> {
    assert.equal((await rig.lookAgain(rig.instance(), name, before)).kind, 'issued');
    const stored = await rig.certificate(name);
    assert.equal(stored?.certificate, rig.authority.issued.at(-1)?.chain);
  }

  /** A short patience for requests that are never answered, and a long one for others. */
  function impatientWith(path: string): AcmeTransport {
    const [short, long] = [rig.authority.transport(100), rig.authority.transport()];
    return (request) => (request.url.includes(path) ? short : long)(request);
  }

  for (const [what, how, why] of [
    ['has a failure', { status: 503, body: 'later' }, /^status 503 without a problem document$/],
    ['says why it fails', refusal(500, 'serverInternal'), /^the authority says serverInternal$/],
    ['has a failure before it, which speaks JSON', { status: 502, body: { message: 'no' } }, /^status 502 without/],
    ['limits requests', refusal(429, 'rateLimited'), /^the authority says rateLimited$/],
    ['has a limit before it, which writes a page', { status: 429, body: '<html>' }, /^status 429 without/],
    ['ends connections', 'reset', /ECONNRESET$/],
  ] as const) {
    for (const step of steps) {
      test(`${what} goes on with the same order afterwards: ${step}`, async () => {
        const { authority } = rig;
        authority.fail(step, how);
        const first = await failed(await orders.look(name), why);
        const { order } = await rig.state(name);
        assert.ok(order);
        const second = await failed(await rig.lookAgain(orders, name, first), why);
        assert.ok(second.untilMs - rig.nowMs > first.untilMs - (rig.nowMs - minute));
        authority.mend();
        await issues(second);
        assert.equal(authority.orders.length, 1);
        assert.equal((await rig.certificate(name))?.key, order.key);
        // Once for each look; twice where a kept connection has ended.
        assert.ok(authority.count(step) <= (how === 'reset' ? 4 : 2) + 4, String(authority.count(step)));
      });
    }
  }

  for (const kind of ['directory', 'newNonce', 'newAccount', 'newOrder', ...steps] as const) {
    test(`never answers is left after a while: ${kind}`, async () => {
      const { authority } = rig;
      authority.fail(kind, 'hang');
      const impatient = rig.instance({ authorities: [rig.configured({ transport: impatientWith(`/${kind}`) })] });
      const outcome = await failed(await impatient.look(name), /: no whole response within 0\.1 s$/);
      assert.equal(authority.count(kind), 1);
      assert.equal((await rig.state(name)).failure?.type, 'unreachable');
      authority.mend();
      await issues(outcome);
      assert.equal(authority.orders.length, 1);
    });

    // The one response whose body does not matter.
    if (kind === 'newNonce') continue;
    test(`answers with a page is not understood, and not asked again at once: ${kind}`, async () => {
      const { authority } = rig;
      authority.fail(kind, { status: 200, body: '<html>' });
      const why = /is not as RFC 8555 has it|no usable|cannot be used: the certificate has no/;
      const outcome = await failed(await orders.look(name), why);
      assert.equal(authority.count(kind), 1);
      assert.equal((await rig.state(name)).failure?.type, 'malformed');
      authority.mend();
      await issues(outcome);
    });
  }

  for (const step of ['newAccount', 'newOrder', 'challenge', 'finalize'] as const) {
    test(`does what is asked, but ends the connection: ${step}`, async () => {
      const { authority } = rig;
      authority.fail(step, 'reset', { isDone: true, times: 1 });
      const outcome = await orders.look(name);
      // It is sent again on another connection if it was sent on one that was kept.
      if (outcome.kind !== 'issued') await issues(await failed(outcome, /ECONNRESET$/));
      assert.equal(authority.issued.length, 1);
    });

    test(`does what is asked, but does not say so: ${step}`, async () => {
      const { authority } = rig;
      authority.fail(step, { status: 504, body: 'lost' }, { isDone: true, times: 1 });
      await issues(await failed(await orders.look(name), /^status 504/));
      assert.equal(authority.issued.length, 1);
    });
  }

  test('has finalized an order already is asked what has become of it', async () => {
    const { authority } = rig;
    // A request that was sent again on another connection meets its own nonce.
    authority.fail('finalize', refusal(400, 'badNonce'), { isDone: true, times: 1 });
    assert.equal((await orders.look(name)).kind, 'issued');
    assert.equal(authority.count('finalize'), 2);
    assert.equal(authority.orders.length, 1);
  });

  for (const [kind, asked] of [
    ['newAccount', 1],
    ['newOrder', 1],
    ['all', 1],
  ] as const) {
    for (const isDate of [false, true]) {
      test(`wants to be asked later is: ${kind}, ${isDate ? 'a date' : 'seconds'}`, async () => {
        const { authority } = rig;
        const after = isDate ? new Date(Date.now() + 7 * hour).toUTCString() : String(6.5 * 3600);
        authority.fail(kind, refusal(429, 'rateLimited', { 'retry-after': after }));
        const { untilMs } = await failed(await orders.look(name), /^the authority says rateLimited$/);
        assert.ok(untilMs > rig.nowMs + 6 * hour && untilMs <= rig.nowMs + 7 * hour);
        assert.equal(authority.count(kind === 'all' ? 'directory' : kind), asked);
        authority.mend();
        rig.nowMs = untilMs - 1;
        assert.equal((await orders.look(name)).kind, 'waits');
        await issues({ kind: 'failed', why: '', untilMs });
      });
    }
  }

  test('fails for days is asked less and less', async () => {
    const { authority } = rig;
    authority.fail('newOrder', { status: 500, body: '' });
    const beganMs = rig.nowMs;
    let outcome = await orders.look(name);
    for (; rig.nowMs < beganMs + 7 * day; outcome = await rig.lookAgain(orders, name, outcome)) {
      assert.equal(outcome.kind, 'failed');
    }
    assert.ok(authority.count('newOrder') < 30, String(authority.count('newOrder')));
    assert.equal(authority.count('newAccount'), 1);
    authority.mend();
    await issues(outcome);
  });

  test('refuses good nonces is sent the same with others, and not without end', async () => {
    const { authority } = rig;
    authority.fail('all', 'badNonce', { times: 9 });
    assert.equal((await orders.look(name)).kind, 'issued');
    assert.equal(authority.orders.length, 1);
    authority.fail('newOrder', 'badNonce');
    const before = authority.count('newOrder');
    await failed(await orders.look('other.example'), /a nonce is refused although it is good/).catch(() => {});
    assert.equal(authority.count('newOrder') - before, 10);
  });

  test('has forgotten all nonces gets new ones', async () => {
    const { authority } = rig;
    assert.equal((await orders.look(name)).kind, 'issued');
    authority.forgetNonces();
    assert.equal((await orders.look('other.example')).kind, 'issued');
    assert.equal(authority.orders.length, 2);
  });

  for (const [misissue, why] of [
    ['otherKey', /^the certificate that the authority has issued cannot be used: the key does not belong to/],
    ['lacksName', /^the certificate that the authority has issued lacks shop\.example$/],
  ] as const) {
    test(`issues what was not asked for gets another order and another key: ${misissue}`, async () => {
      const { authority } = rig;
      authority.settings.misissue = misissue;
      const outcome = await failed(await orders.look(name), why);
      assert.equal(await rig.certificate(name), null);
      const { issued, order } = await rig.state(name);
      assert.deepEqual([issued, order], [null, null]);
      authority.settings.misissue = null;
      // The authority would tell of a key that it knows.
      await issues(outcome);
      assert.equal(authority.orders.length, 2);
      const stored = await rig.certificate(name);
      assert.equal(new X509Certificate(stored?.certificate ?? '').checkHost(name), name);
    });
  }

  test('does not decide about an order is looked at as it wants, and is left for a while', async () => {
    const { authority, pauses } = rig;
    Object.assign(authority.settings, { outcome: 'processing', retryAfter: '20' });
    const outcome = await failed(await orders.look(name), /^the order stays processing for more than 300 s$/);
    assert.deepEqual([...new Set(pauses)], [20_000]);
    assert.ok(authority.count('order') <= 20, String(authority.count('order')));
    const { order } = await rig.state(name);
    authority.settings.outcome = 'valid';
    await issues(outcome);
    assert.equal(authority.count('finalize'), 1);
    assert.equal((await rig.certificate(name))?.key, order?.key);
  });

  test('makes an order invalid is asked for another one, with another key, after a pause', async () => {
    const { authority } = rig;
    authority.settings.outcome = 'invalid';
    const outcome = await failed(await orders.look(name), /^the order has become invalid: caa: a record forbids it$/);
    assert.equal((await rig.state(name)).order, null);
    authority.settings.outcome = 'valid';
    await issues(outcome);
    assert.equal(authority.orders.length, 2);
  });

  test('does not know the account any more gets another one', async () => {
    const { authority } = rig;
    await orders.look(name);
    authority.endAccounts('forgotten');
    assert.equal((await orders.look('other.example')).kind, 'issued');
    assert.equal(authority.count('newAccount'), 2);
    assert.notEqual(authority.orders[0]?.account, authority.orders[1]?.account);
  });

  // RFC 8555 section 7.3.6.
  test('has deactivated the account gets another one, and not one after the other', async () => {
    const { authority } = rig;
    await orders.look('other.example');
    authority.endAccounts('deactivated');
    assert.equal((await orders.look(name)).kind, 'issued');
    assert.equal(authority.count('newAccount'), 2);
    authority.endAccounts('deactivated');
    const before = authority.total;
    for (let i = 0; i < 3; i++) {
      const outcome = await orders.look(`other-${i}.example`);
      assert.ok(outcome.kind === 'failed');
      assert.equal(outcome.why, 'the account is deactivated');
    }
    assert.equal(authority.count('newAccount'), 2);
    assert.ok(authority.total <= before + 3 * 3, String(authority.total - before));
  });

  test('limits new accounts is asked once for all names', async () => {
    const { authority } = rig;
    authority.fail('newAccount', refusal(429, 'rateLimited', { 'retry-after': '7200' }));
    for (let i = 0; i < 10; i++) {
      const outcome = await rig.instance().look(`shop-${i}.example`);
      assert.ok(outcome.kind === (i === 0 ? 'failed' : 'waits') && outcome.untilMs >= rig.nowMs + 2 * hour);
    }
    assert.equal(authority.count('newAccount'), 1);
  });

  test('has another day, on which its certificate has ended here, is asked once in an hour', async () => {
    const { authority } = rig;
    authority.settings.validity = (nowMs) => ({ notBeforeMs: nowMs - 7 * day, notAfterMs: nowMs - day });
    assert.equal((await orders.look(name)).kind, 'issued');
    assert.ok(rig.lines.some((line) => line.includes('is its clock right?')));
    const untilMs = rig.nowMs + hour;
    for (; rig.nowMs < untilMs; rig.nowMs += 10 * minute) {
      const outcome = await orders.look(name);
      assert.ok(outcome.kind === 'waits' && outcome.untilMs === untilMs, JSON.stringify(outcome));
      assert.match(outcome.why, /is due already: is the clock right\?$/);
    }
    assert.equal(authority.orders.length, 1);
    assert.equal((await orders.look(name)).kind, 'issued');
  });

  test('has another day, which the clock here has not reached yet, is asked once', async () => {
    const { authority } = rig;
    authority.settings.validity = (nowMs) => ({ notBeforeMs: nowMs + day, notAfterMs: nowMs + 91 * day });
    assert.equal((await orders.look(name)).kind, 'issued');
    assert.ok(rig.lines.some((line) => line.includes('is its clock right?')));
    for (; rig.nowMs < Date.now() + day; rig.nowMs += hour) assert.equal((await orders.look(name)).kind, 'kept');
    assert.equal(authority.orders.length, 1);
  });
});

describe('an ACME client says', () => {
  let rig: OrderingRig;
  let client: AcmeClient;

  beforeEach(async () => {
    rig = await OrderingRig.start();
    const options = { directoryUrl: rig.authority.directoryUrl, transport: rig.authority.transport() };
    client = new AcmeClient({ ...options, key: await AccountKey.generate() });
    await client.register({ contact: [], externalAccount: null });
  });
  afterEach(() => rig.remove());

  async function errorOf(promise: Promise<unknown>): Promise<AcmeError> {
    const error = await promise.then(
      () => null,
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof AcmeError);
    return error;
  }

  test('what an authority says of an account', async () => {
    const wanted = { names: [name], profile: null, replaces: null };
    for (const [status, type, http] of [
      ['deactivated', 'unauthorized', 401],
      ['forgotten', 'accountDoesNotExist', 400],
    ] as const) {
      rig.authority.endAccounts(status);
      const error = await errorOf(client.newOrder(wanted));
      assert.deepEqual([error.type, error.status], [type, http]);
    }
    // The key is as good as new.
    await client.register({ contact: [], externalAccount: null });
    assert.equal((await client.newOrder(wanted)).status, 'pending');
  });

  test('when it may ask again', async () => {
    for (const kind of ['newOrder', 'newAccount'] as const) {
      rig.authority.fail(kind, refusal(429, 'rateLimited', { 'retry-after': '90' }));
    }
    const order = await errorOf(client.newOrder({ names: [name], profile: null, replaces: null }));
    const account = await errorOf(client.register({ contact: [], externalAccount: null }));
    for (const { retryAfterMs, status, type } of [order, account]) {
      assert.deepEqual([retryAfterMs, status, type], [90_000, 429, 'rateLimited']);
    }
  });
});

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { OrderingRig } from '../../test/helpers/ordering-rig.ts';
import { refusal } from '../../test/helpers/strict-authority.ts';
import { certificateIdentifier } from './certificates.ts';
import type { NameOrders } from './name-orders.ts';

const [hour, day] = [3600_000, 24 * 3600_000];
const name = 'shop.example';

/* RFC 9773, at an authority that notes what is against it. */
describe('the renewal of a certificate', () => {
  let rig: OrderingRig;
  let orders: NameOrders;

  beforeEach(async () => {
    rig = await OrderingRig.start();
    orders = rig.instance();
    assert.equal((await orders.look(name)).kind, 'issued');
  });
  afterEach(async () => {
    const { violations } = rig.authority;
    await rig.remove();
    assert.deepEqual(violations, []);
  });

  function setWindow(startMs: number, endMs: number): void {
    rig.authority.settings.window = () => ({ startMs, endMs });
  }

  async function look(atMs = rig.nowMs): Promise<Awaited<ReturnType<NameOrders['look']>>> {
    rig.nowMs = atMs;
    return await orders.look(name);
  }

  test('is when the authority wants it', async () => {
    const { authority, nowMs } = rig;
    setWindow(nowMs + 10 * day, nowMs + 12 * day);
    const atMs = nowMs + 11 * day;
    assert.deepEqual(await look(), { kind: 'kept', untilMs: atMs });
    assert.equal((await look(atMs - 1)).kind, 'kept');
    assert.equal(authority.orders.length, 1);
    assert.equal((await look(atMs)).kind, 'issued');
    const [first, second] = authority.issued;
    assert.equal(authority.orders[1]?.replaces, first?.identifier);
    assert.equal(first?.identifier, certificateIdentifier(first?.chain ?? ''));
    assert.equal((await rig.certificate(name))?.certificate, second?.chain);
    assert.notEqual(
      new X509Certificate(first?.chain ?? '').publicKey,
      new X509Certificate(second?.chain ?? '').publicKey,
    );
    // The new one has a window of its own.
    setWindow(rig.nowMs + 20 * day, rig.nowMs + 20 * day + 2000);
    assert.deepEqual(await look(), { kind: 'kept', untilMs: rig.nowMs + 20 * day + 1000 });
  });

  for (const [what, askAgain, afterMs] of [
    ['as it wants', 7200, 2 * hour],
    ['a minute later, if it wants it earlier', 1, 60_000],
    ['a day later, if it wants it later', 7 * 24 * 3600, day],
    ['six hours later, if it does not say', null, 6 * hour],
  ] as const) {
    test(`is asked for again ${what}`, async () => {
      const { authority, nowMs } = rig;
      authority.settings.askAgain = askAgain;
      const first = await look();
      assert.equal(authority.count('renewalInfo'), 1);
      assert.deepEqual(await look(nowMs + afterMs - 1), first);
      assert.equal(authority.count('renewalInfo'), 1);
      await look(nowMs + afterMs);
      assert.equal(authority.count('renewalInfo'), 2);
    });
  }

  test('keeps its time as long as the window is the same, and gets one for each other window', async () => {
    const { nowMs } = rig;
    setWindow(nowMs + 10 * day, nowMs + 12 * day);
    const untilMs = nowMs + 11 * day;
    for (let i = 0; i < 4; i++) assert.deepEqual(await look(nowMs + i * 6 * hour), { kind: 'kept', untilMs });
    setWindow(nowMs + 4 * day, nowMs + 6 * day);
    assert.deepEqual(await look(nowMs + day), { kind: 'kept', untilMs: nowMs + 5 * day });
  });

  test('is at once if the certificate is revoked', async () => {
    const { authority } = rig;
    assert.equal((await look()).kind, 'kept');
    assert.ok(authority.issued[0]);
    authority.issued[0].isRevoked = true;
    assert.equal((await look(rig.nowMs + 6 * hour - 1)).kind, 'kept');
    assert.equal((await look(rig.nowMs + 1)).kind, 'issued');
    assert.equal(authority.orders[1]?.replaces, authority.issued[0].identifier);
  });

  for (const [what, how] of [
    ['fails', { status: 503, body: 'later' }],
    ['knows nothing', refusal(404, 'malformed')],
    ['says nonsense', { status: 200, body: '<html>' }],
    ['ends connections', 'reset'],
  ] as const) {
    test(`is after two thirds of its life while the authority ${what}, which is asked every six hours`, async () => {
      const { authority, nowMs } = rig;
      authority.fail('renewalInfo', how);
      const { issued } = await rig.state(name);
      assert.ok(issued);
      const untilMs = issued.notBeforeMs + (issued.notAfterMs - issued.notBeforeMs) * (2 / 3 - 0.025);
      for (let i = 0; i < 3; i++) {
        const outcome = await look(nowMs + i * 6 * hour);
        assert.ok(outcome.kind === 'kept' && Math.abs(outcome.untilMs - untilMs) <= 1);
        await look(rig.nowMs + 6 * hour - 1);
      }
      const asked = authority.count('renewalInfo');
      // A request is sent again if its kept connection has ended.
      assert.ok(how === 'reset' ? asked <= 6 : asked === 3, String(asked));
      assert.match(
        rig.lines.at(-1) ?? '',
        /^shop\.example: the authority does not say when to renew its certificate: /,
      );
      authority.mend();
      setWindow(nowMs + 10 * day, nowMs + 12 * day);
      assert.deepEqual(await look(nowMs + day), { kind: 'kept', untilMs: nowMs + 11 * day });
    });
  }

  test('is asked for later if the authority limits the questions', async () => {
    const { authority, nowMs } = rig;
    authority.fail('renewalInfo', refusal(429, 'rateLimited', { 'retry-after': String(20 * 3600) }));
    const first = await look();
    for (let hours = 1; hours < 20; hours++) assert.deepEqual(await look(nowMs + hours * hour), first);
    assert.equal(authority.count('renewalInfo'), 1);
    authority.mend();
    setWindow(nowMs + 10 * day, nowMs + 12 * day);
    assert.deepEqual(await look(nowMs + 20 * hour), { kind: 'kept', untilMs: nowMs + 11 * day });
  });

  test('is made without "replaces" if another order has replaced the certificate', async () => {
    const { authority, nowMs } = rig;
    setWindow(nowMs + 10 * day, nowMs + 12 * day);
    await look();
    // The authority has made the order, and the response is lost.
    authority.fail('newOrder', { status: 502, body: 'lost' }, { times: 1, isDone: true });
    const lost = await look(nowMs + 11 * day);
    assert.equal((await rig.state(name)).order, null);
    assert.equal((await rig.lookAgain(orders, name, lost)).kind, 'issued');
    const [first] = authority.issued;
    assert.deepEqual(
      authority.orders.map(({ replaces }) => replaces),
      [null, first?.identifier, null],
    );
    assert.equal(authority.count('newOrder'), 4);
  });

  test('is not asked for after the end of the certificate', async () => {
    const { authority } = rig;
    await look();
    assert.equal((await look(rig.nowMs + 91 * day)).kind, 'issued');
    assert.equal(authority.count('renewalInfo'), 1);
    assert.equal(authority.orders[1]?.replaces, authority.issued[0]?.identifier);
  });

  test('says nothing of the former certificate to an authority without renewal information', async () => {
    const { authority } = rig;
    authority.settings.hasRenewalInfo = false;
    // Another process, which reads the directory anew.
    orders = rig.instance();
    assert.equal((await look()).kind, 'kept');
    assert.equal((await look(rig.nowMs + 80 * day)).kind, 'issued');
    assert.equal(authority.count('renewalInfo'), 0);
    assert.equal(authority.orders[1]?.replaces, null);
  });

  for (const status of ['forgotten', 'deactivated'] as const) {
    test(`is made with another account if the one of the certificate is ${status}`, async () => {
      const { authority } = rig;
      await look();
      authority.endAccounts(status);
      const outcome = await look(rig.nowMs + 80 * day);
      assert.equal(outcome.kind === 'failed' ? outcome.why : outcome.kind, 'issued');
      const [first, second] = authority.orders;
      assert.notEqual(second?.account, first?.account);
      assert.equal(second?.replaces, null);
      assert.equal(authority.count('newAccount'), 2);
    });
  }

  test('replaces a certificate that an order without success has replaced', async () => {
    const { authority, nowMs } = rig;
    setWindow(nowMs + 10 * day, nowMs + 12 * day);
    await look();
    authority.settings.outcome = 'invalid';
    const failed = await look(nowMs + 11 * day);
    authority.settings.outcome = 'valid';
    assert.equal((await rig.lookAgain(orders, name, failed)).kind, 'issued');
    const [first] = authority.issued;
    assert.deepEqual(
      authority.orders.map(({ replaces }) => replaces),
      [null, first?.identifier, first?.identifier],
    );
  });
});

describe('a profile', () => {
  let rig: OrderingRig;

  beforeEach(async () => {
    rig = await OrderingRig.start();
  });
  afterEach(() => rig.remove());

  test('is that of each renewal, too, and its certificates may live for days only', async () => {
    const { authority } = rig;
    authority.settings.validity = (nowMs) => ({ notBeforeMs: nowMs, notAfterMs: nowMs + 6 * day });
    authority.settings.window = ({ notBeforeMs }) => ({ startMs: notBeforeMs + 3 * day, endMs: notBeforeMs + 4 * day });
    const orders = rig.instance({ authorities: [rig.configured({ profile: 'shortlived' })] });
    for (let i = 0; i < 3; i++) {
      assert.equal((await orders.look(name)).kind, 'issued');
      const kept = await orders.look(name);
      assert.deepEqual(kept, { kind: 'kept', untilMs: rig.nowMs + 3.5 * day });
      rig.nowMs += 3.5 * day;
    }
    const { issued, orders: made } = authority;
    assert.deepEqual(
      made.map(({ profile, replaces }) => [profile, replaces]),
      [undefined, ...issued].slice(0, 3).map((before) => ['shortlived', before?.identifier ?? null]),
    );
    assert.deepEqual(authority.violations, []);
  });

  test('that the authority has no more is named, and the certificate stays', async () => {
    const { authority } = rig;
    const orders = rig.instance({ authorities: [rig.configured({ profile: 'classic' })] });
    await orders.look(name);
    const before = await rig.certificate(name);
    authority.settings.profiles = { shortlived: 'six days' };
    rig.nowMs += 80 * day;
    let outcome = await orders.look(name);
    for (let attempt = 1; attempt <= 3; attempt++) {
      assert.ok(outcome.kind === 'failed');
      assert.equal(outcome.why, 'there is no profile "classic"');
      assert.equal(authority.count('newOrder'), 1 + attempt);
      assert.equal((await orders.look(name)).kind, 'waits');
      outcome = await rig.lookAgain(orders, name, outcome);
    }
    assert.equal((await rig.state(name)).failure?.type, 'invalidProfile');
    assert.equal((await rig.certificate(name))?.certificate, before?.certificate);
    authority.settings.profiles = { classic: 'back' };
    assert.equal((await rig.lookAgain(orders, name, outcome)).kind, 'issued');
  });
});

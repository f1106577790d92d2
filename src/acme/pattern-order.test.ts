import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { Authority } from '../../test/helpers/authority.ts';
import { OrderingRig } from '../../test/helpers/ordering-rig.ts';
import { AcmeError } from './acme-error.ts';
import { AuthorityLimits } from './authority-limits.ts';
import type { Proof } from './complete-order.ts';
import type { OrderMeansOfFleet } from './order-means.ts';
import { enlistOrder, orderNoteName, requestOrder } from './order-state.ts';
import { FleetProver } from './proving.ts';

const minute = 60_000;
const day = 24 * 60 * minute;
const never = Number.MAX_SAFE_INTEGER;

describe('a look at a name', () => {
  let rig: OrderingRig;

  beforeEach(async () => {
    rig = await OrderingRig.start();
  });
  afterEach(() => rig.remove());

  async function dueNames(atMs: number): Promise<string[]> {
    return (await rig.store.notes.due(atMs, 100)).map(({ name }) => name);
  }

  /** Shows proofs as `show` wants it. */
  function proverThat(show: (proof: Proof, usual: () => Promise<void>) => Promise<void>): FleetProver {
    const prover = new FleetProver(['http-01'], rig.store.notes, null);
    const usual = prover.show.bind(prover);
    prover.show = (proof) => show(proof, () => usual(proof));
    return prover;
  }

  test('that a client has made up is forgotten, and taken again only if a client or an operator asks', async () => {
    const made = rig.instance({ wishOf: async () => 'inherited', prover: proverThat(async () => {}) });
    const outcome = await made.look('made-up.example');
    assert.ok(outcome.kind === 'failed');
    assert.deepEqual(await dueNames(never), []);
    assert.deepEqual(await made.look('made-up.example'), { kind: 'waits', why: outcome.why, untilMs: outcome.untilMs });
    assert.deepEqual(await dueNames(never), []);
    assert.deepEqual([(await rig.state('made-up.example')).failure?.count, rig.counters.begun], [1, 1]);
    await requestOrder(rig.store.notes, 'made-up.example', rig.nowMs);
    assert.deepEqual(await dueNames(rig.nowMs), [orderNoteName('made-up.example')]);
    assert.equal((await rig.instance({ wishOf: async () => 'inherited' }).look('made-up.example')).kind, 'issued');
    // Once it has a certificate, that is looked after.
    assert.deepEqual(await dueNames(never), [orderNoteName('made-up.example')]);
  });

  test('for which a client has asked before goes on by itself once its route is written', async () => {
    const { notes } = rig.store;
    const made = rig.instance({ wishOf: async () => 'inherited', prover: proverThat(async () => {}) });
    await made.look('asked-before.example');
    assert.deepEqual(await dueNames(never), []);
    await enlistOrder(notes, 'asked-before.example', rig.nowMs);
    const { failure } = await rig.state('asked-before.example');
    assert.deepEqual(await dueNames((failure?.untilMs ?? 0) - 1), []);
    assert.deepEqual(await dueNames(failure?.untilMs ?? 0), [orderNoteName('asked-before.example')]);
  });

  test('waits as long as every authority limits it, also if an operator asks', async () => {
    const { notes } = rig.store;
    const limits = new AuthorityLimits(notes, () => rig.nowMs);
    const limit = new AcmeError('too many certificates', { type: 'rateLimited', status: 429, retryAfterMs: 7 * day });
    await limits.refused(rig.authority.directoryUrl, 'www.limited.example', limit);
    await enlistOrder(notes, 'limited.example', rig.nowMs);
    const outcome = await rig.instance().look('limited.example');
    assert.ok(outcome.kind === 'waits');
    assert.match(outcome.why, /wants no such requests until 20.*: too many certificates/);
    assert.equal(outcome.untilMs, rig.nowMs + 7 * day);
    await requestOrder(notes, 'limited.example', rig.nowMs);
    assert.equal((await rig.instance().look('limited.example')).kind, 'waits');
    // It stays wanted, and nobody looks at it before.
    assert.equal((await rig.state('limited.example')).isForced, true);
    assert.deepEqual(await dueNames(rig.nowMs + 6 * day), []);
    assert.equal(rig.counters.begun, 0);
    rig.nowMs += 7 * day;
    assert.equal((await rig.instance().look('limited.example')).kind, 'issued');
  });

  test('renews although its domain is limited, and believes no failure of the future', async () => {
    const { notes } = rig.store;
    await rig.instance().look('renewed.example');
    const limits = new AuthorityLimits(notes, () => rig.nowMs);
    const limit = new AcmeError('too many', { type: 'rateLimited', status: 429, retryAfterMs: 4000 * day });
    await limits.refused(rig.authority.directoryUrl, 'www.renewed.example', limit);
    const { issued } = await rig.state('renewed.example');
    rig.nowMs = (issued?.notAfterMs ?? 0) - day;
    const text = await notes.read(orderNoteName('renewed.example'));
    const laterMs = rig.nowMs + 300 * day;
    const failure = { count: 1, atMs: laterMs, untilMs: laterMs, type: 'unreachable', detail: '', authority: null };
    await notes.write(orderNoteName('renewed.example'), JSON.stringify({ ...JSON.parse(text ?? ''), failure }));
    assert.equal((await rig.instance().look('renewed.example')).kind, 'issued');
    assert.equal((await rig.instance().look('new.renewed.example')).kind, 'waits');
  });

  test('begins no order for a name that cannot be proved, but renews nevertheless in the end', async () => {
    let problem: string | null = 'checked.example does not lead here';
    let checks = 0;
    const check: OrderMeansOfFleet['check'] = {
      find: async () => {
        checks++;
        if (problem !== null) throw new AcmeError(problem, { type: 'checkFailed' });
        return { kinds: ['http-01'], authorities: null };
      },
    };
    const orders = rig.instance({ check });
    const pauses: number[] = [];
    for (let i = 0; i < 9; i++) {
      const outcome = await orders.look('checked.example');
      assert.deepEqual([outcome.kind, 'why' in outcome && outcome.why], ['failed', problem]);
      assert.equal((await orders.look('checked.example')).kind, 'waits');
      const { failure } = await rig.state('checked.example');
      pauses.push(((failure?.untilMs ?? 0) - (failure?.atMs ?? 0)) / minute);
      rig.nowMs = failure?.untilMs ?? 0;
    }
    assert.deepEqual(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    assert.deepEqual([checks, rig.counters.begun, rig.counters.failed, rig.counters.checkFailed], [9, 0, 0, 9]);
    problem = null;
    assert.equal((await orders.look('checked.example')).kind, 'issued');
    problem = 'no way out of here';
    rig.nowMs = ((await rig.state('checked.example')).issued?.notAfterMs ?? 0) - day;
    for (const expected of ['failed', 'failed', 'failed', 'issued']) {
      assert.equal((await orders.look('checked.example')).kind, expected);
      rig.nowMs = Math.max(rig.nowMs, (await rig.state('checked.example')).failure?.untilMs ?? 0);
    }
  });

  test('asks only the authorities that find the standing record', async () => {
    const elsewhere = 'https://127.0.0.1:1/directory';
    const check: OrderMeansOfFleet['check'] = {
      find: async () => ({ kinds: ['http-01'], authorities: [rig.authority.directoryUrl] }),
    };
    const authorities = [rig.configured({ directory: elsewhere }), rig.configured()];
    assert.equal((await rig.instance({ authorities, check }).look('standing.example')).kind, 'issued');
    assert.doesNotMatch(rig.lines.join('\n'), /127\.0\.0\.1:1\//);
  });

  test('leaves a certificate alone that somebody puts there during an order', async () => {
    const issuer = new Authority();
    try {
      const byHand = issuer.issue(['by-hand.example'], { days: 90 });
      const interrupted = proverThat(async () => {
        throw new AcmeError('away', { type: 'unreachable' });
      });
      const outcome = await rig.instance({ prover: interrupted }).look('by-hand.example');
      assert.equal(outcome.kind, 'failed');
      assert.ok((await rig.state('by-hand.example')).order);
      await rig.store.certificates.write('by-hand.example', byHand);
      assert.equal((await rig.lookAgain(rig.instance(), 'by-hand.example', outcome)).kind, 'kept');
      assert.equal((await rig.certificate('by-hand.example'))?.certificate, byHand.certificate);
      assert.equal((await rig.state('by-hand.example')).order, null);
      // In the middle of a look.
      const meanwhile = proverThat(async (_proof, usual) => {
        await rig.store.certificates.write('meanwhile.example', byHand);
        await usual();
      });
      await assert.rejects(rig.instance({ prover: meanwhile }).look('meanwhile.example'), /that one is kept/);
      assert.equal((await rig.certificate('meanwhile.example'))?.certificate, byHand.certificate);
    } finally {
      issuer.dispose();
    }
  });

  test('satisfies an operator whose request comes during an order', async () => {
    const prover = proverThat(async (_proof, usual) => {
      await requestOrder(rig.store.notes, 'asked-meanwhile.example', rig.nowMs);
      await usual();
    });
    assert.equal((await rig.instance({ prover }).look('asked-meanwhile.example')).kind, 'issued');
    const { isForced, issued } = await rig.state('asked-meanwhile.example');
    assert.deepEqual([isForced, issued !== null], [false, true]);
  });

  test('has the wildcard looked at by which a host is covered', async () => {
    await rig.instance().look('covered.shop.example');
    const covered = rig.instance({ wishOf: async () => 'covered' });
    assert.equal((await covered.look('covered.shop.example')).kind, 'kept');
    assert.ok((await dueNames(rig.nowMs)).includes(orderNoteName('*.shop.example')));
    // Its own certificate is removed at its end, without the grace of hosts that may come back.
    rig.nowMs = (await rig.state('covered.shop.example')).issued?.notAfterMs ?? 0;
    assert.equal((await covered.look('covered.shop.example')).kind, 'removed');
    assert.equal(await rig.certificate('covered.shop.example'), null);
  });
});

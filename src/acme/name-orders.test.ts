import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { Authority } from '../../test/helpers/authority.ts';
import { Pebble } from '../../test/helpers/pebble.ts';
import type { Store } from '../stores/contract.ts';
import { openSqlite } from '../stores/sqlite/sqlite-store.ts';
import { Accounts, type CertificateAuthority } from './accounts.ts';
import { AuthorityLimits } from './authority-limits.ts';
import { NameOrders } from './name-orders.ts';
import type { OrderCounters, OrderMeansOfFleet } from './order-means.ts';
import { enlistOrder, keyOf, orderNoteName, readOrderState, requestOrder } from './order-state.ts';
import { httpProof } from './proof-notes.ts';
import { FleetProver } from './proving.ts';
import { acmeTransport } from './transport.ts';

const day = 24 * 3600_000;

describe('the orders of a fleet', () => {
  let pebble: Pebble;
  let web: Server;
  let folder: string;
  let stores: Store[];
  /** Added to the time of all instances, in ms. */
  let laterMs = 0;
  let unwanted: Set<string>;
  let counters: OrderCounters;
  let lines: string[];
  /** Shown to the authority in place of a proof. */
  let forged: string | null;

  before(async () => {
    pebble = await Pebble.start({ badNonces: 10, env: { PEBBLE_AUTHZREUSE: '0' } });
    web = createServer((request, response) => {
      const token = request.url?.slice('/.well-known/acme-challenge/'.length) ?? '';
      void httpProof((stores[2] as Store).notes, token).then((proof) => response.end(forged ?? proof ?? ''));
    });
    await new Promise<void>((resolve) => void web.listen(pebble.httpPort, '127.0.0.1', resolve));
  });
  after(async () => {
    web?.close();
    await pebble?.remove();
  });

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hipache-acme-'));
    stores = await Promise.all([0, 1, 2].map(() => openSqlite(join(folder, 'routes.db'))));
    [laterMs, forged] = [0, null];
    [unwanted, lines] = [new Set(), []];
    counters = { begun: 0, issued: 0, failed: 0, checkFailed: 0 };
  });
  afterEach(async () => {
    await Promise.all(stores.map((store) => store.close()));
    rmSync(folder, { recursive: true, force: true });
  });

  function authorityAt(directory = pebble.directoryUrl): CertificateAuthority {
    const nothing = { contact: [], externalAccount: null, profile: null, preferredChain: null };
    return { directory, transport: pebble.transport, ...nothing };
  }

  interface Particular extends Partial<OrderMeansOfFleet> {
    readonly canServe?: boolean;
  }

  function instance(index: number, { canServe = true, ...more }: Particular = {}): NameOrders {
    const store = stores[index] as Store;
    const passphrase = more.passphrase ?? null;
    const write = (what: string): void => void lines.push(what);
    return new NameOrders({
      store,
      instance: `instance-${index}`,
      authorities: [authorityAt()],
      accounts: new Accounts({ notes: store.notes, instance: `instance-${index}`, passphrase }),
      limits: new AuthorityLimits(store.notes, () => Date.now() + laterMs),
      prover: new FleetProver(canServe ? ['http-01'] : [], store.notes, null),
      check: null,
      passphrase,
      wishOf: async (pattern) => (unwanted.has(pattern) ? 'none' : 'own'),
      whyNot: async () => null,
      graceMs: 10 * day,
      counters,
      log: { info: write, warn: write },
      clock: { epochMs: () => Date.now() + laterMs },
      random: Math.random,
      pause: (ms) => new Promise((resolve) => void setTimeout(resolve, Math.min(ms, 50))),
      ...more,
    });
  }

  async function certificateOf(pattern: string): Promise<{ certificate: string; key: string }> {
    const [found] = await (stores[0] as Store).certificates.read([pattern]);
    assert.ok(found, `${pattern} has no certificate`);
    return found;
  }

  async function stateOf(pattern: string): Promise<ReturnType<typeof readOrderState>> {
    return readOrderState(await (stores[1] as Store).notes.read(orderNoteName(pattern)));
  }

  async function dueNames(atMs: number): Promise<string[]> {
    return (await (stores[1] as Store).notes.due(atMs, 100)).map(({ name }) => name);
  }

  test('order once, whichever instance looks', async () => {
    const instances = [0, 1, 2].map((index) => instance(index));
    const names = Array.from({ length: 12 }, (_, i) => `fleet-${i}.example`);
    const kinds = await Promise.all(names.flatMap((name) => instances.map(async (one) => (await one.look(name)).kind)));
    // An instance that comes when another one has just finished finds the certificate.
    assert.ok(
      kinds.every((kind) => ['issued', 'busy', 'kept'].includes(kind)),
      kinds.join(),
    );
    assert.equal(kinds.filter((kind) => kind === 'issued').length, names.length);
    assert.deepEqual(counters, { begun: names.length, issued: names.length, failed: 0, checkFailed: 0 });
    for (const name of names) {
      const { certificate, key } = await certificateOf(name);
      const leaf = new X509Certificate(certificate);
      assert.equal(leaf.checkHost(name), name);
      assert.ok(leaf.checkPrivateKey(createPrivateKey(key)));
      assert.equal((await stateOf(name)).orders, 1);
    }
    assert.equal((await instances[1]?.look(names[0] as string))?.kind, 'kept');
  });

  test('go on with an order whose holder has ended, with the same key', async () => {
    // A process that is killed withdraws nothing.
    const prover = new FleetProver(['http-01'], (stores[0] as Store).notes, null);
    prover.withdraw = () => Promise.reject(new Error('the process ends'));
    const dying = instance(0, { prover });
    await assert.rejects(dying.look('left.example'), /the process ends/);
    const { order } = await stateOf('left.example');
    assert.ok(order);
    assert.deepEqual(await dueNames(Date.now()), []);
    assert.deepEqual(await dueNames(Date.now() + 31_000), [orderNoteName('left.example')]);
    assert.equal((await instance(1).look('left.example')).kind, 'issued');
    assert.deepEqual(counters, { begun: 1, issued: 1, failed: 0, checkFailed: 0 });
    assert.equal((await certificateOf('left.example')).key, order.key);
  });

  test('renew when the time has come, and not before', async () => {
    await instance(0).look('renewed.example');
    const first = await certificateOf('renewed.example');
    // The authority has no renewal information, which the second look finds out.
    const kept = await instance(1).look('renewed.example');
    const { issued, renewal } = await stateOf('renewed.example');
    assert.ok(issued && renewal);
    assert.deepEqual(kept, { kind: 'kept', untilMs: renewal.atMs });
    const lifeMs = issued.notAfterMs - issued.notBeforeMs;
    const part = (renewal.atMs - issued.notBeforeMs) / lifeMs;
    assert.ok(part > 0.61 && part < 0.67, String(part));
    assert.deepEqual(await dueNames(renewal.atMs - 1), []);
    assert.deepEqual(await dueNames(renewal.atMs), [orderNoteName('renewed.example')]);
    laterMs = renewal.atMs - Date.now() - 3600_000;
    assert.equal((await instance(2).look('renewed.example')).kind, 'kept');
    laterMs += 2 * 3600_000;
    assert.equal((await instance(2).look('renewed.example')).kind, 'issued');
    const second = await certificateOf('renewed.example');
    assert.notEqual(second.certificate, first.certificate);
    assert.notEqual(second.key, first.key);
    assert.deepEqual(counters, { begun: 2, issued: 2, failed: 0, checkFailed: 0 });
  });

  test('leave a certificate of somebody else alone until its end', async () => {
    const authority = new Authority();
    const { certificate, key } = authority.issue(['foreign.example'], { days: 20 });
    authority.dispose();
    await (stores[0] as Store).certificates.write('foreign.example', { certificate, key });
    const end = Date.parse(new X509Certificate(certificate).validTo);
    assert.deepEqual(await instance(0).look('foreign.example'), { kind: 'kept', untilMs: end });
    assert.deepEqual(await dueNames(end), [orderNoteName('foreign.example')]);
    laterMs = 21 * day;
    assert.equal((await instance(0).look('foreign.example')).kind, 'issued');
  });

  test('are made at once if somebody wants it', async () => {
    await instance(0).look('forced.example');
    const first = await certificateOf('forced.example');
    assert.ok(await requestOrder((stores[1] as Store).notes, 'forced.example', Date.now()));
    assert.deepEqual(await dueNames(Date.now()), [orderNoteName('forced.example')]);
    assert.equal((await instance(0).look('forced.example')).kind, 'issued');
    assert.equal((await stateOf('forced.example')).isForced, false);
    assert.notEqual((await certificateOf('forced.example')).certificate, first.certificate);
  });

  test('end with the host: its certificate is kept until it has ended, and then removed', async () => {
    await instance(0).look('gone.example');
    const { issued } = await stateOf('gone.example');
    assert.ok(issued);
    unwanted.add('gone.example');
    const untilMs = issued.notAfterMs + 10 * day;
    assert.deepEqual(await instance(1).look('gone.example'), { kind: 'kept', untilMs });
    await certificateOf('gone.example');
    laterMs = untilMs - Date.now() + 1000;
    assert.deepEqual(await instance(1).look('gone.example'), { kind: 'removed' });
    assert.deepEqual(await (stores[0] as Store).certificates.read(['gone.example']), [null]);
    assert.equal(await (stores[0] as Store).notes.read(orderNoteName('gone.example')), null);
    assert.deepEqual(await dueNames(1e14), []);
    // Wanted again, it is renewed as if nothing had been.
    laterMs = 0;
    unwanted.delete('again.example');
    await instance(0).look('again.example');
    const { issued: first } = await stateOf('again.example');
    unwanted.add('again.example');
    await instance(0).look('again.example');
    unwanted.delete('again.example');
    const again = await instance(1).look('again.example');
    assert.ok(first && again.kind === 'kept' && again.untilMs < first.notAfterMs);
    assert.deepEqual(await dueNames(again.untilMs), [orderNoteName('again.example')]);
    counters.begun--;
    // A host that was never wanted leaves nothing.
    unwanted.add('never.example');
    assert.deepEqual(await instance(1).look('never.example'), { kind: 'removed' });
    assert.equal(counters.begun, 1);
  });

  test('that fail wait longer each time, on every instance', async () => {
    forged = 'something else';
    const first = await instance(0, { random: () => 0.5 }).look('failing.example');
    assert.ok(first.kind === 'failed');
    assert.match(first.why, /^the authorization of failing\.example is invalid: http-01: unauthorized/);
    assert.ok(Math.abs(first.untilMs - Date.now() - 60_000) < 10_000);
    const second = await instance(1).look('failing.example');
    assert.deepEqual(second, { kind: 'waits', why: first.why, untilMs: first.untilMs });
    laterMs = 61_000;
    const third = await instance(2, { random: () => 0.5 }).look('failing.example');
    assert.ok(third.kind === 'failed');
    assert.ok(Math.abs(third.untilMs - Date.now() - laterMs - 120_000) < 10_000);
    const { failure, order } = await stateOf('failing.example');
    assert.deepEqual([failure?.count, failure?.type, order], [2, 'authorizationFailed', null]);
    assert.deepEqual(await dueNames(third.untilMs), [orderNoteName('failing.example')]);
    forged = null;
    laterMs = 0;
    assert.ok(await requestOrder((stores[1] as Store).notes, 'failing.example', Date.now()));
    assert.equal((await instance(0).look('failing.example')).kind, 'issued');
    assert.equal((await stateOf('failing.example')).failure, null);
    assert.ok(lines.some((line) => line.includes('the next attempt for its certificate is at 20')));
  });

  test('that fail beside a good certificate are due with that again', async () => {
    await instance(0).look('good.example');
    const kept = await instance(0).look('good.example');
    forged = 'something else';
    await requestOrder((stores[0] as Store).notes, 'good.example', Date.now());
    const failed = await instance(0).look('good.example');
    assert.ok(kept.kind === 'kept' && failed.kind === 'failed');
    laterMs = failed.untilMs - Date.now() + 1000;
    assert.deepEqual(await instance(1).look('good.example'), kept);
    assert.deepEqual(await dueNames(kept.untilMs - 1), []);
    assert.deepEqual(await dueNames(kept.untilMs), [orderNoteName('good.example')]);
  });

  test('that are due again at once wait for an hour', async () => {
    await instance(0).look('short.example');
    const state = await stateOf('short.example');
    const past = { atMs: 1, askAtMs: null, window: null };
    const { notes } = stores[0] as Store;
    await notes.write(orderNoteName('short.example'), JSON.stringify({ ...state, renewal: past }));
    const outcome = await instance(1).look('short.example');
    assert.ok(outcome.kind === 'waits');
    assert.match(outcome.why, /is due already: is the clock right/);
    assert.equal(counters.begun, 1);
    laterMs = 3600_000 + 5000;
    assert.equal((await instance(1).look('short.example')).kind, 'issued');
  });

  test('that are under way wait as well, after an authority could not be reached', async () => {
    const prover = new FleetProver(['http-01'], (stores[0] as Store).notes, null);
    prover.withdraw = () => Promise.reject(new Error('the process ends'));
    const dying = instance(0, { prover });
    await assert.rejects(dying.look('half.example'), /the process ends/);
    const away = { ...authorityAt(), transport: acmeTransport({ ca: null, userAgent: 'test', timeoutMs: 2000 }) };
    const first = await instance(1, { authorities: [away] }).look('half.example');
    assert.ok(first.kind === 'failed');
    const { failure, order } = await stateOf('half.example');
    assert.ok(order);
    assert.equal(failure?.count, 1);
    assert.equal((await instance(1, { authorities: [away] }).look('half.example')).kind, 'waits');
    assert.equal((await stateOf('half.example')).failure?.count, 1);
    laterMs = 120_000;
    assert.equal((await instance(2).look('half.example')).kind, 'issued');
    assert.equal(counters.begun, 1);
  });

  test('that may not be made now wait, and that is no failure', async () => {
    const untilMs = Date.now() + 7000;
    const whyNot = async () => ({ why: 'the budget of this hour is used up', untilMs });
    // Nobody looks at a name by itself that a client may have made up.
    const made = instance(0, { whyNot, wishOf: async () => 'inherited' });
    assert.equal((await made.look('made-up.example')).kind, 'waits');
    assert.deepEqual(await dueNames(Number.MAX_SAFE_INTEGER), []);
    await enlistOrder((stores[0] as Store).notes, 'waiting.example', Date.now());
    assert.deepEqual(await dueNames(Date.now()), [orderNoteName('waiting.example')]);
    const expected = { kind: 'waits', why: 'the budget of this hour is used up', untilMs };
    assert.deepEqual(await instance(0, { whyNot }).look('waiting.example'), expected);
    assert.deepEqual(await instance(1).look('waiting.example'), expected);
    assert.deepEqual(await dueNames(untilMs), [orderNoteName('waiting.example')]);
    assert.deepEqual(counters, { begun: 0, issued: 0, failed: 0, checkFailed: 0 });
    laterMs = 8000;
    assert.equal((await instance(1).look('waiting.example')).kind, 'issued');
  });

  test('go to the next authority if one cannot be reached', async () => {
    const authorities = [authorityAt('https://127.0.0.1:1/dir'), authorityAt()];
    assert.equal((await instance(0, { authorities }).look('second.example')).kind, 'issued');
    assert.equal((await stateOf('second.example')).issued?.authority, pebble.directoryUrl);
    assert.match(lines[0] ?? '', /no certificate from https:\/\/127\.0\.0\.1:1\/dir: .*ECONNREFUSED$/);
    const none = await instance(0, { authorities: authorities.slice(0, 1) }).look('third.example');
    assert.ok(none.kind === 'failed');
    assert.match(none.why, /ECONNREFUSED/);
  });

  test('keep keys encrypted, if there is a secret', async () => {
    assert.equal((await instance(0, { passphrase: 'of the fleet' }).look('secret.example')).kind, 'issued');
    const { certificate, key } = await certificateOf('secret.example');
    assert.match(key, /^-----BEGIN ENCRYPTED PRIVATE KEY-----/);
    const opened = createPrivateKey({ key, passphrase: 'of the fleet' });
    assert.ok(new X509Certificate(certificate).checkPrivateKey(opened));
    assert.equal((await instance(1, { passphrase: 'of the fleet' }).look('other.example')).kind, 'issued');
    // A key that was written before there was a passphrase is used as it is.
    assert.equal(
      keyOf(
        createPrivateKey(opened.export({ type: 'pkcs8', format: 'pem' }))
          .export({ type: 'pkcs8', format: 'pem' })
          .toString(),
        'later',
      ).type,
      'private',
    );
    const failed = await instance(2, { passphrase: 'another one' }).look('third.example');
    assert.ok(failed.kind === 'failed');
    assert.match(failed.why, /cannot be decrypted: all instances need the same/);
  });

  test('of an instance without an address for proofs ask no authority', async () => {
    const outcome = await instance(0, { canServe: false }).look('unserved.example');
    assert.ok(outcome.kind === 'failed');
    assert.match(outcome.why, /no challenge can be met here: see acme\.challenges/);
    assert.equal(counters.begun, 0);
  });

  test('survive an authority that has forgotten everything', async () => {
    const forgetful = await Pebble.start();
    try {
      const authorities = [{ ...authorityAt(forgetful.directoryUrl), transport: forgetful.transport }];
      assert.equal((await instance(0, { authorities }).look('forgotten.example')).kind, 'failed');
      laterMs = 3600_000;
      // As a process leaves it that ends in the middle.
      const { notes } = stores[0] as Store;
      const [name, text] = [orderNoteName('forgotten.example'), await notes.read(orderNoteName('forgotten.example'))];
      const order = {
        authority: forgetful.directoryUrl,
        url: new URL('/my-order/unknown', forgetful.directoryUrl).href,
        key: '-----BEGIN PRIVATE KEY-----',
        begunMs: 0,
      };
      await notes.write(name, JSON.stringify({ ...JSON.parse(text ?? ''), order }));
      await forgetful.stop();
      await forgetful.start();
      const outcome = await instance(0, { authorities }).look('forgotten.example');
      // It was asked for another order with another account; nobody shows the proof to this authority.
      assert.ok(outcome.kind === 'failed');
      assert.match(outcome.why, /the authorization of forgotten\.example is invalid/);
      assert.equal(counters.begun, 2);
    } finally {
      await forgetful.remove();
    }
  });
});

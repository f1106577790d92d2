import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { after, before, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { SecureContext } from 'node:tls';
import { Authority, type Issued } from '../../test/helpers/authority.ts';
import { FakeTime } from '../../test/helpers/fake-time.ts';
import { until } from '../../test/helpers/until.ts';
import { ServerCertificates } from './server-certificates.ts';
import { certificateContextBytes } from './server-context.ts';
import { type CertificateRecords, StoreCertificates } from './store-certificates.ts';

const MiB = 1024 * 1024;
let authority: Authority;
let issued: Issued;

before(() => {
  authority = new Authority();
  issued = authority.issue(['a.test']);
});

after(() => authority.dispose());

/** A store in which names have a certificate as `has` says. */
class Records implements CertificateRecords {
  readonly asked: string[] = [];
  has: (pattern: string) => boolean;

  constructor(has: (pattern: string) => boolean) {
    this.has = has;
  }

  async read(patterns: readonly string[]) {
    this.asked.push(patterns[0] as string);
    return patterns.map((pattern) => (this.has(pattern) ? { ...issued } : null));
  }
}

function setUp(
  has: (pattern: string) => boolean,
  limits: { bytesMax?: number; entriesMax?: number; onEnding?: (pattern: string) => void } = {},
) {
  const time = new FakeTime();
  const records = new Records(has);
  const certificates = new ServerCertificates({
    sources: [new StoreCertificates(records)],
    bytesMax: 64 * MiB,
    ...limits,
    clock: time.clock,
    setTimer: time.setTimer,
    onProblem: (message) => assert.fail(message),
  });
  certificates.restored();
  /** As a handshake does. */
  const shake = async (name: string): Promise<SecureContext | null> => {
    const known = certificates.cached(name);
    return known === undefined ? await certificates.load(name) : known;
  };
  return { time, records, certificates, shake };
}

/** A certificate from a store is a text of its own each time. */
const exists = (pattern: string): boolean => !pattern.startsWith('*');

test('a flood of names that have certificates throws out none that are in use', async () => {
  const { time, records, certificates, shake } = setUp(exists, { entriesMax: 64 });
  const hot = Array.from({ length: 40 }, (_, i) => `hot${i}.test`);
  const contexts: (SecureContext | null)[] = [];
  for (const name of hot) contexts.push(await shake(name));
  for (const [i, name] of hot.entries()) assert.equal(await shake(name), contexts[i]);
  const before = records.asked.length;
  for (let i = 0; i < 200; i++) {
    assert.notEqual(await shake(`flood${i}.test`), null);
    await time.pass(1);
  }
  assert.equal(records.asked.length, before + 200);
  for (const [i, name] of hot.entries()) assert.equal(certificates.cached(name), contexts[i], name);
  assert.equal(certificates.size, 64);
});

test('a flood of names below a wildcard neither throws out those in use, nor makes them be looked up again', async () => {
  const { time, records, certificates, shake } = setUp((pattern) => pattern === '*.shop.test');
  const hot = Array.from({ length: 50 }, (_, i) => `hot${i}.shop.test`);
  for (let round = 0; round < 2; round++) for (const name of hot) assert.notEqual(await shake(name), null);
  for (let i = 0; i < 12_000; i++) {
    if (i % 200 === 0) await time.pass(200);
    assert.notEqual(await shake(`flood${i}.shop.test`), null);
  }
  const before = records.asked.length;
  for (const name of hot) assert.notEqual(certificates.cached(name), null, name);
  for (const name of hot) assert.notEqual(certificates.cached(name), undefined, name);
  assert.equal(records.asked.length, before);
  assert.deepEqual([certificates.size, certificates.contextCount], [1, 1]);
});

test('a flood reaches the store a thousand times a second; what is known does not wait for it', async () => {
  for (const below of ['', '.shop.test']) {
    const { time, records, certificates, shake } = setUp(
      (pattern) => pattern === 'known.test' || pattern === '*.shop.test',
    );
    await shake('known.test');
    const seconds = 2;
    let answered = 0;
    for (let ms = 0; ms < seconds * 1000; ms += 100) {
      for (let i = 0; i < 200; i++) shake(`flood${ms}-${i}${below}`).then(() => answered++);
      await time.pass(100);
      // Names without a certificate go on one by one.
      for (let turns = 0; turns < 250; turns++) await turn();
    }
    assert.ok(records.asked.length <= (seconds + 1) * 1000 + 1, `${records.asked.length}`);
    // Below a wildcard, nobody waits.
    if (below === '') assert.ok(records.asked.length >= seconds * 1000, `${records.asked.length}`);
    else assert.equal(answered, seconds * 2000);
    certificates.changed('certificates', ['known.test']);
    assert.equal(certificates.cached('known.test'), undefined);
    const asked = records.asked.length;
    const context = await certificates.load('known.test');
    assert.notEqual(context, null);
    assert.equal(records.asked[asked], 'known.test', 'its lookup precedes those that wait');
    await time.pass(2000);
    await until('all handshakes go on', () => answered === seconds * 2000);
    assert.equal(certificates.rejected > 0, below !== '');
  }
});

test('the memory is bounded: texts of all, contexts of those that are used most, which are made again for others', async () => {
  const { certificates, shake } = setUp(exists, { bytesMax: 4 * MiB });
  const names = Array.from({ length: 200 }, (_, i) => `n${i}.test`);
  const first = await shake('n0.test');
  for (const name of names) await shake(name);
  const ready = Math.floor((3 * MiB) / certificateContextBytes(issued));
  assert.deepEqual([certificates.size, certificates.contextCount], [200, ready]);
  assert.ok(certificates.bytes <= 4 * MiB);
  assert.equal(certificates.cached('n0.test'), first);
  const loads = certificates.loads;
  const again = certificates.cached('n1.test');
  assert.ok(again !== null && again !== undefined);
  assert.equal(certificates.loads, loads);
});

test('a record that is read again and has not changed keeps its context', async () => {
  const { certificates, records, shake } = setUp(exists);
  const first = await shake('a.test');
  certificates.lost();
  certificates.restored();
  assert.equal(certificates.cached('a.test'), undefined);
  assert.equal(await shake('a.test'), first);
  assert.equal(certificates.cached('a.test'), first);
  assert.deepEqual([records.asked.length, certificates.loads], [2, 1]);
  certificates.changed('certificates', ['a.test']);
  records.has = () => false;
  assert.equal(await shake('a.test'), null);
  assert.deepEqual([certificates.size, certificates.contextCount, certificates.bytes], [0, 0, 0]);
});

test('a certificate in use that ends within a week is looked after, once in an hour', async () => {
  const ending: string[] = [];
  const { time, certificates, shake } = setUp(exists, { onEnding: (pattern) => void ending.push(pattern) });
  const endMs = Date.parse(new X509Certificate(issued.certificate).validTo);
  assert.equal(certificates.soonestEndMs, Number.POSITIVE_INFINITY);
  time.nowMs = endMs - 8 * 24 * 3600_000;
  await shake('a.test');
  await shake('a.test');
  assert.equal(certificates.soonestEndMs, endMs);
  assert.deepEqual(ending, []);
  time.nowMs += 2 * 24 * 3600_000;
  for (let i = 0; i < 3; i++) await shake('a.test');
  assert.deepEqual(ending, ['a.test']);
  await time.pass(3600_000);
  await shake('a.test');
  await shake('b.test');
  assert.deepEqual(ending, ['a.test', 'a.test', 'b.test']);
});

test('a certificate that has expired gives way to a valid one of the wildcard', async () => {
  const time = new FakeTime();
  const old = authority.issue(['a.shop.test'], { days: 5 });
  const wildcard = authority.issue(['*.shop.test'], { days: 30 });
  const records = new Map([
    ['a.shop.test', old],
    ['*.shop.test', wildcard],
  ]);
  const read = async (patterns: readonly string[]) => patterns.map((pattern) => records.get(pattern) ?? null);
  const ending: string[] = [];
  const certificates = new ServerCertificates({
    ...{ sources: [new StoreCertificates({ read })], bytesMax: 64 * MiB, clock: time.clock, setTimer: time.setTimer },
    onProblem: (message) => assert.fail(message),
    onEnding: (name) => void ending.push(name),
  });
  certificates.restored();
  time.nowMs = Date.now();
  const own = await certificates.load('a.shop.test');
  assert.equal(certificates.cached('a.shop.test'), own);
  const other = await certificates.load('b.shop.test');
  assert.notEqual(other, own);
  time.nowMs += 6 * 24 * 3600_000;
  assert.equal(certificates.cached('a.shop.test'), other);
  // With none that is valid, the more specific one is served.
  time.nowMs += 30 * 24 * 3600_000;
  assert.equal(certificates.cached('a.shop.test'), own);
  assert.ok(ending.includes('a.shop.test') && !ending.includes('*.shop.test'), ending.join());
});

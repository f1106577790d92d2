import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { askedBy } from '../../test/helpers/asked.ts';
import { seeded } from '../../test/helpers/seeded-random.ts';
import type { Backend } from './backend.ts';
import { ByHash } from './by-hash.ts';
import { hasRemaining } from './choice.ts';
import type { Frontend } from './frontend.ts';
import { AtRandom, LeastRequests, RoundRobin } from './plain-selectors.ts';
import { buildFrontend } from './record.ts';
import { type Selector, TwoRandomChoices } from './selector.ts';

const frontendOf = (...urls: string[]): Frontend =>
  buildFrontend('a.com', { frontend: ['id', ...urls], down: new Map() });
const mark = (untilMs: number, sinceMs: number) => ({ untilMs, sinceMs, reason: 'x', instance: 'i' });

/** Those that share out by weight. */
const weighing: Readonly<Record<string, (random: () => number, slowStartMs?: number) => Selector>> = {
  'two random choices': (random, slowStartMs) => new TwoRandomChoices(random, slowStartMs),
  'at random': (random, slowStartMs) => new AtRandom(random, slowStartMs),
  'round-robin': (random, slowStartMs) => new RoundRobin(random, slowStartMs),
  'least requests': (random, slowStartMs) => new LeastRequests(random, slowStartMs),
};
const all: typeof weighing = { ...weighing, hash: () => new ByHash({ kind: 'client' }) };

/** The share of each backend, of requests by as many clients, none of which is in flight at the next one. */
function shares(selector: Selector, frontend: Frontend, rounds: number, nowMs = 0): number[] {
  const counts = new Map<Backend, number>();
  for (let i = 0; i < rounds; i++) {
    const backend = selector.choose(frontend, askedBy(`::ffff:10.1.${i >> 8}.${i & 255}`), null, nowMs);
    assert.ok(backend);
    counts.set(backend, (counts.get(backend) ?? 0) + 1);
  }
  return frontend.backends.map((backend) => (counts.get(backend) ?? 0) / rounds);
}

function near(actual: readonly number[], expected: readonly number[], within = 0.02): void {
  for (const [i, wanted] of expected.entries()) {
    const share = actual[i] ?? 0;
    assert.ok(Math.abs(share - wanted) < within, `shares ${actual}, expected ${expected}`);
  }
}

for (const [name, make] of Object.entries(weighing)) {
  describe(name, () => {
    test('idle backends get their shares by weight', () => {
      near(shares(make(seeded(1)), frontendOf('http://1:1', 'http://2:1', 'http://3:1'), 10_000), [
        1 / 3,
        1 / 3,
        1 / 3,
      ]);
      const weights = frontendOf('http://1:1#weight=5', 'http://2:1#weight=3', 'http://3:1#weight=2');
      near(shares(make(seeded(2)), weights, 10_000), [0.5, 0.3, 0.2]);
    });

    test('a backend that starts gets a share that grows from a tenth of its weight', () => {
      const before = frontendOf('http://1:1');
      const source = { frontend: ['id', 'http://1:1', 'http://2:1'], down: new Map() };
      const frontend = buildFrontend('a.com', source, before, 0, 1000);
      const slow = make(seeded(3), 1000);
      near(shares(slow, frontend, 10_000, 1000), [1 / 1.1, 0.1 / 1.1]);
      near(shares(slow, frontend, 10_000, 1500), [1 / 1.55, 0.55 / 1.55]);
      near(shares(slow, frontend, 10_000, 2000), [0.5, 0.5]);
      near(shares(make(seeded(4)), frontend, 10_000, 1000), [0.5, 0.5]);
    });
  });
}

for (const [name, make] of Object.entries(all)) {
  test(`${name}: a choice is always the best remaining one`, () => {
    const backend = fc.record({
      weight: fc.integer({ min: 1, max: 5 }),
      down: fc.boolean(),
      tried: fc.boolean(),
      backup: fc.boolean(),
      draining: fc.boolean(),
      inFlight: fc.nat(9),
    });
    fc.assert(
      fc.property(
        fc.array(backend, { maxLength: 8 }),
        fc.integer(),
        fc.ipV4(),
        fc.nat(100),
        (specs, seed, ip, slow) => {
          const backup = (is: boolean): string => (is ? '&backup' : '');
          const urls = specs.map((each, i) => `http://h${i}:1#weight=${each.weight}${backup(each.backup)}`);
          const frontend = frontendOf(...urls);
          const tried = frontend.backends.filter((_, i) => specs[i]?.tried);
          frontend.backends.forEach((each, i) => {
            if (specs[i]?.down) each.down = mark(100, i);
            // Since the request has begun.
            if (specs[i]?.draining) each.drainUntilMs = 1;
            each.inFlight = specs[i]?.inFlight ?? 0;
          });
          const left = frontend.backends.filter((each) => !tried.includes(each) && each.drainUntilMs === null);
          const free = left.filter((each) => !each.isDown(50));
          const first = free.filter((each) => !each.isBackup);
          const usable = first.length > 0 ? first : free;
          const selector = make(seeded(seed), slow);
          const chosen = selector.choose(frontend, askedBy(ip), tried.length === 0 ? null : tried, 50);
          if (usable.length > 0) assert.ok(chosen !== null && usable.includes(chosen));
          else assert.equal(chosen, left[0] ?? null);
          assert.equal(hasRemaining(frontend, tried), chosen !== null);
        },
      ),
      { numRuns: 300 },
    );
  });

  test(`${name}: backups serve while no other backend can, and share by weight`, () => {
    const urls = ['http://1:1', 'http://2:1', 'http://3:1#backup&weight=3', 'http://4:1#backup'];
    const frontend = frontendOf(...urls);
    const [first, second, third] = frontend.backends as [Backend, Backend, Backend, Backend];
    const selector = make(seeded(5));
    near(shares(selector, frontend, 10_000), [0.5, 0.5, 0, 0], 0.08);
    first.down = mark(100, 1);
    near(shares(selector, frontend, 100, 50), [0, 1, 0, 0]);
    second.down = mark(100, 2);
    near(shares(selector, frontend, 10_000, 50), [0, 0, 0.75, 0.25], 0.08);
    third.down = mark(100, 3);
    near(shares(selector, frontend, 100, 50), [0, 0, 0, 1]);
    // The mark of the first has ended.
    first.down = mark(40, 1);
    near(shares(selector, frontend, 100, 50), [1, 0, 0, 0]);
  });
}

test('round-robin takes each in turn, and the heavy one not all at once', () => {
  const inTurn = (frontend: Frontend, rounds: number): string => {
    const selector = new RoundRobin(() => 0);
    const chosen = Array.from({ length: rounds }, () => selector.choose(frontend, askedBy('::1'), null, 0));
    return chosen.map((each) => each?.index).join('');
  };
  assert.equal(inTurn(frontendOf('http://1:1', 'http://2:1', 'http://3:1'), 7), '0120120');
  assert.equal(inTurn(frontendOf('http://1:1#weight=5', 'http://2:1', 'http://3:1'), 7), '0010200');
});

test('round-robin goes on where it was when a record is read again with the same backends', () => {
  const source = { frontend: ['id', 'http://1:1', 'http://2:1'], down: new Map() };
  const selector = new RoundRobin(() => 0);
  const before = buildFrontend('a.com', source);
  assert.equal(selector.choose(before, askedBy('::1'), null, 0)?.index, 0);
  const same = buildFrontend('a.com', source, before);
  assert.equal(same.balancing, before.balancing);
  assert.equal(selector.choose(same, askedBy('::1'), null, 0)?.index, 1);
  for (const urls of [['http://1:1#weight=2', 'http://2:1'], ['http://1:1'], ['http://2:1', 'http://1:1'], []]) {
    const other = buildFrontend(
      'a.com',
      { frontend: ['id', ...urls], down: new Map() },
      buildFrontend('a.com', source),
    );
    assert.equal(other.balancing, null);
  }
});

test('least requests chooses by the requests in flight per weight', () => {
  const frontend = frontendOf('http://1:1#weight=4', 'http://2:1', 'http://3:1');
  const [heavy, second, third] = frontend.backends as [Backend, Backend, Backend];
  const selector = new LeastRequests(seeded(6));
  [heavy.inFlight, second.inFlight, third.inFlight] = [3, 1, 2];
  near(shares(selector, frontend, 100), [1, 0, 0]);
  heavy.inFlight = 5;
  near(shares(selector, frontend, 100), [0, 1, 0]);
  [heavy.inFlight, second.inFlight, third.inFlight] = [8, 2, 2];
  near(shares(selector, frontend, 10_000), [4 / 6, 1 / 6, 1 / 6]);
});

test('requests that stay are spread exactly by least requests', () => {
  const frontend = frontendOf(...Array.from({ length: 10 }, (_, i) => `http://h${i}:1`));
  const selector = new LeastRequests(seeded(7));
  for (let i = 0; i < 1000; i++) {
    const backend = selector.choose(frontend, askedBy('::1'), null, 0);
    if (backend) backend.inFlight++;
  }
  assert.deepEqual(new Set(frontend.backends.map(({ inFlight }) => inFlight)), new Set([100]));
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { seeded } from '../../test/helpers/seeded-random.ts';
import type { Backend, DownMark } from './backend.ts';
import { chooseBackend } from './choice.ts';
import type { Frontend } from './frontend.ts';
import { buildFrontend } from './record.ts';

const frontendOf = (...urls: string[]): Frontend =>
  buildFrontend('a.com', { frontend: ['id', ...urls], down: new Map() });
const plain = { random: Math.random, slowStartMs: 0 };
const mark = (untilMs: number, sinceMs: number): DownMark => ({ untilMs, sinceMs, reason: 'x', instance: 'i' });

function shares(frontend: Frontend, rounds: number, nowMs = 0): number[] {
  const random = seeded(42);
  const counts = new Map<Backend, number>();
  for (let i = 0; i < rounds; i++) {
    const backend = chooseBackend(frontend, nowMs, { random, slowStartMs: 0 }, null);
    assert.ok(backend);
    counts.set(backend, (counts.get(backend) ?? 0) + 1);
  }
  return frontend.backends.map((backend) => (counts.get(backend) ?? 0) / rounds);
}

function near(actual: readonly number[], expected: readonly number[]): void {
  for (let i = 0; i < expected.length; i++) {
    const [share = 0, wanted = 0] = [actual[i], expected[i]];
    assert.ok(Math.abs(share - wanted) < 0.02, `shares ${actual}, expected ${expected}`);
  }
}

test('idle backends get equal shares', () => {
  near(shares(frontendOf('http://1:1', 'http://2:1', 'http://3:1', 'http://4:1'), 20_000), [0.25, 0.25, 0.25, 0.25]);
});

test('idle backends get shares by weight, even if the weight is a repetition of the URL', () => {
  near(shares(frontendOf('http://1:1#weight=3', 'http://2:1'), 20_000), [0.75, 0.25]);
  near(shares(frontendOf('http://1:1', 'http://2:1', 'http://1:1'), 20_000), [2 / 3, 1 / 3]);
  near(
    shares(frontendOf('http://1:1#weight=5', 'http://2:1#weight=3', 'http://3:1#weight=2'), 20_000),
    [0.5, 0.3, 0.2],
  );
});

test('of two backends, the one with fewer requests in flight per weight is chosen', () => {
  const frontend = frontendOf('http://1:1#weight=2', 'http://2:1');
  const [heavy, light] = frontend.backends as [Backend, Backend];
  heavy.inFlight = 3;
  light.inFlight = 1;
  assert.deepEqual(shares(frontend, 100), [0, 1]);
  light.inFlight = 2;
  assert.deepEqual(shares(frontend, 100), [1, 0]);
});

test('pending requests are spread evenly', () => {
  const frontend = frontendOf(...Array.from({ length: 10 }, (_, i) => `http://h${i}:1`));
  const random = seeded(7);
  for (let i = 0; i < 1000; i++) {
    const backend = chooseBackend(frontend, 0, { random, slowStartMs: 0 }, null);
    if (backend) backend.inFlight++;
  }
  const loads = frontend.backends.map((backend) => backend.inFlight);
  assert.ok(Math.max(...loads) - Math.min(...loads) <= 12, `loads ${loads}`);
});

test('marked backends are skipped until their marks expire', () => {
  const frontend = frontendOf('http://1:1', 'http://2:1', 'http://3:1');
  const [first, second] = frontend.backends as [Backend, Backend];
  first.down = mark(100, 0);
  near(shares(frontend, 20_000, 50), [0, 0.5, 0.5]);
  second.down = mark(100, 0);
  assert.deepEqual(shares(frontend, 100, 50), [0, 0, 1]);
  near(shares(frontend, 20_000, 100), [1 / 3, 1 / 3, 1 / 3]);
});

test('if all remaining backends are marked, the one marked longest ago is tried', () => {
  const frontend = frontendOf('http://1:1', 'http://2:1', 'http://3:1');
  const [first, second, third] = frontend.backends as [Backend, Backend, Backend];
  first.down = mark(100, 30);
  second.down = mark(100, 10);
  third.down = mark(100, 20);
  assert.equal(chooseBackend(frontend, 50, plain, null), second);
  assert.equal(chooseBackend(frontend, 50, plain, [second]), third);
  assert.equal(chooseBackend(frontend, 50, plain, [second, third]), first);
  assert.equal(chooseBackend(frontend, 50, plain, [first, second, third]), null);
});

test('a single backend is chosen even if marked, but not twice; no backends give none', () => {
  const frontend = frontendOf('http://1:1');
  const [only] = frontend.backends as [Backend];
  only.down = mark(100, 0);
  assert.equal(chooseBackend(frontend, 0, plain, null), only);
  assert.equal(chooseBackend(frontend, 0, plain, [only]), null);
  assert.equal(chooseBackend(frontendOf(), 0, plain, null), null);
});

test('a choice is always the best remaining one', () => {
  const backend = fc.record({ weight: fc.integer({ min: 1, max: 5 }), down: fc.boolean(), tried: fc.boolean() });
  fc.assert(
    fc.property(
      fc.array(backend, { maxLength: 8 }),
      fc.infiniteStream(fc.double({ min: 0, max: 0.999999, noNaN: true })),
      (specs, stream) => {
        const frontend = frontendOf(...specs.map(({ weight }, i) => `http://h${i}:1#weight=${weight}`));
        const tried = frontend.backends.filter((_, i) => specs[i]?.tried);
        frontend.backends.forEach((each, i) => {
          if (specs[i]?.down) each.down = mark(100, i);
        });
        const left = frontend.backends.filter((each) => !tried.includes(each));
        const free = left.filter((each) => !each.isDown(50));
        const random = (): number => stream.next().value ?? 0;
        const chosen = chooseBackend(frontend, 50, { random, slowStartMs: 0 }, tried.length === 0 ? null : tried);
        if (free.length > 0) assert.ok(chosen !== null && free.includes(chosen));
        else assert.equal(chosen, left[0] ?? null);
      },
    ),
  );
});

test('a request that knows the frontend from before does not take a backend that drains now', () => {
  const before = frontendOf('http://a:1', 'http://b:1');
  const [draining, other] = before.backends;
  buildFrontend('a.com', { frontend: ['id', 'http://a:1#drain=5', 'http://b:1'], down: new Map() }, before);
  assert.deepEqual(shares(before, 50), [0, 1]);
  assert.equal(chooseBackend(before, 0, plain, [other as Backend]), null);
  const only = frontendOf('http://a:1');
  (only.backends[0] as Backend).drainUntilMs = draining?.drainUntilMs ?? null;
  assert.equal(chooseBackend(only, 0, plain, null), null);
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { askedBy } from '../../test/helpers/asked.ts';
import type { Backend } from './backend.ts';
import { ByHash, type HashSource } from './by-hash.ts';
import type { Frontend } from './frontend.ts';
import { buildFrontend } from './record.ts';

const byClient = new ByHash({ kind: 'client' });
const frontendOf = (urls: readonly string[]): Frontend =>
  buildFrontend('a.com', { frontend: ['id', ...urls], down: new Map() });
const tenUrls = Array.from({ length: 10 }, (_, i) => `http://10.0.0.${i + 1}:8000`);
const clients = Array.from({ length: 10_000 }, (_, i) => `::ffff:10.${i & 3}.${(i >> 2) & 255}.${i >> 10}`);

/** The URL of the backend of each client. */
function placesOf(frontend: Frontend): string[] {
  return clients.map((client) => byClient.choose(frontend, askedBy(client), null, 50)?.url ?? 'none');
}

function moved(before: readonly string[], after: readonly string[]): number {
  return before.filter((url, i) => url !== after[i]).length;
}

function counts(places: readonly string[], urls: readonly string[]): number[] {
  return urls.map((url) => places.filter((place) => place === url).length);
}

describe('consistent hashing', () => {
  const before = placesOf(frontendOf(tenUrls));

  test('gives each of ten backends about a tenth of the clients', () => {
    for (const count of counts(before, tenUrls)) assert.ok(count > 750 && count < 1250, `${counts(before, tenUrls)}`);
  });

  test('is the same in all workers, instances and versions, whatever the order of the record', () => {
    assert.deepEqual(placesOf(frontendOf(tenUrls.toReversed())), before);
    // Literal: another result in a later version would send every client of a host elsewhere.
    const literal = ['::ffff:192.0.2.1', '::ffff:192.0.2.2', '2001:db8::1', 'x'].map(
      (client) => byClient.choose(frontendOf(tenUrls), askedBy(client), null, 0)?.url,
    );
    assert.deepEqual(
      literal,
      [4, 5, 6, 6].map((host) => `http://10.0.0.${host}:8000`),
    );
  });

  test('moves only the share of a backend that is added, and to nowhere else', (t) => {
    const added = 'http://10.0.0.99:8000';
    for (let at = 0; at <= 10; at++) {
      const after = placesOf(frontendOf(tenUrls.toSpliced(at, 0, added)));
      assert.ok(moved(before, after) <= 1200, `${moved(before, after)} of 10,000 clients moved`);
      if (at === 0) t.diagnostic(`${moved(before, after)} of 10,000 clients moved`);
      for (const [i, url] of after.entries()) assert.ok(url === before[i] || url === added);
    }
  });

  test('moves only the clients of a backend that dies or is removed', (t) => {
    for (const gone of tenUrls) {
      const dead = frontendOf(tenUrls);
      const backend = dead.backends.find(({ url }) => url === gone) as Backend;
      backend.down = { untilMs: 100, sinceMs: 0, reason: 'x', instance: 'i' };
      const after = placesOf(dead);
      assert.deepEqual(placesOf(frontendOf(tenUrls.filter((url) => url !== gone))), after);
      assert.ok(moved(before, after) <= 1200, `${moved(before, after)} of 10,000 clients moved`);
      t.diagnostic(`${moved(before, after)} of 10,000 clients moved`);
      for (const [i, url] of after.entries()) assert.ok(before[i] === gone ? url !== gone : url === before[i]);
      backend.down = null;
      assert.deepEqual(placesOf(dead), before);
    }
  });

  test('moves no client between backends that stay, whatever their URLs', () => {
    const url = fc.tuple(fc.ipV4(), fc.integer({ min: 1, max: 65_535 })).map(([ip, port]) => `http://${ip}:${port}`);
    fc.assert(
      fc.property(fc.uniqueArray(url, { minLength: 2, maxLength: 12 }), ([added = '', ...urls]) => {
        const [few, more] = [placesOf(frontendOf(urls)), placesOf(frontendOf([...urls, added]))];
        for (const [i, place] of more.entries()) assert.ok(place === few[i] || place === added);
      }),
      { numRuns: 20 },
    );
  });

  test('respects weights', () => {
    const urls = ['http://a:1', 'http://b:1', 'http://c:1'];
    const [a = 0, b = 0, c = 0] = counts(
      placesOf(frontendOf(urls.map((url, i) => `${url}#weight=${[1, 2, 5][i]}`))),
      urls,
    );
    for (const [count, share] of [
      [a, 1 / 8],
      [b, 2 / 8],
      [c, 5 / 8],
    ] as const) {
      assert.ok(Math.abs(count / 10_000 - share) < 0.05, `${a} ${b} ${c}`);
    }
  });

  test('has a ring of bounded size, with a point of every backend', () => {
    const many = frontendOf(Array.from({ length: 10_000 }, (_, i) => `http://h${i}:1#weight=${i === 7 ? 1000 : 1}`));
    placesOf(many);
    const ring = many.balancing?.ring;
    assert.ok(ring && ring.length > 10_000 && ring.length <= 65_536, `${ring?.length} points`);
    const owners = new Set(Array.from({ length: ring.length }, (_, i) => ring.owner(i)));
    assert.equal(owners.size, 10_000);
    const equal = frontendOf(['http://a:1#weight=1000', 'http://b:1#weight=1000']);
    placesOf(equal);
    assert.equal(equal.balancing?.ring?.length, 320);
  });
});

describe('bounded load', () => {
  test('of one client, a backend gets no more than 1.25 times its share; the rest goes to the next on the ring', () => {
    const frontend = frontendOf(tenUrls);
    for (let i = 1; i <= 1000; i++) {
      const backend = byClient.choose(frontend, askedBy('192.0.2.1'), null, 0);
      assert.ok(backend);
      backend.inFlight++;
      const loadMax = Math.ceil((1.25 * i) / 10);
      assert.ok(backend.inFlight <= loadMax, `${backend.inFlight} of ${i} requests, at most ${loadMax} are allowed`);
    }
    const used = frontend.backends.filter(({ inFlight }) => inFlight > 0);
    assert.equal(used.length, 8);
    // Now its own backend has fewer than its share again.
    const own = byClient.choose(frontendOf(tenUrls), askedBy('192.0.2.1'), null, 0)?.url;
    for (const backend of frontend.backends) if (backend.url === own) backend.inFlight = 3;
    assert.equal(byClient.choose(frontend, askedBy('192.0.2.1'), null, 0)?.url, own);
  });

  test('holds for any weights, loads and marks', () => {
    const backend = fc.record({
      weight: fc.integer({ min: 1, max: 9 }),
      inFlight: fc.nat(50),
      down: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(backend, { minLength: 2, maxLength: 12 }), fc.string(), (specs, client) => {
        const frontend = frontendOf(specs.map(({ weight }, i) => `http://h${i}:1#weight=${weight}`));
        for (const [i, each] of frontend.backends.entries()) {
          each.inFlight = specs[i]?.inFlight ?? 0;
          if (specs[i]?.down) each.down = { untilMs: 100, sinceMs: 0, reason: 'x', instance: 'i' };
        }
        const usable = frontend.backends.filter((each) => !each.isDown(50));
        const chosen = byClient.choose(frontend, askedBy(client), null, 50);
        assert.ok(chosen);
        if (usable.length === 0) return;
        const [weight, inFlight] = usable.reduce(([w, n], each) => [w + each.weight, n + each.inFlight], [0, 1]);
        assert.ok(chosen.inFlight + 1 <= Math.ceil((1.25 * inFlight * chosen.weight) / weight + 1e-9));
      }),
    );
  });
});

describe('the part of a request that is hashed', () => {
  const frontend = frontendOf(tenUrls);
  const url = (source: HashSource, client: string, ...lines: readonly (readonly [string, string])[]) =>
    new ByHash(source).choose(frontend, askedBy(client, ...lines), null, 0)?.url;
  const places = (source: HashSource, line: (i: number) => readonly [string, string]): number =>
    new Set(Array.from({ length: 100 }, (_, i) => url(source, '192.0.2.1', line(i)))).size;

  test('is a field, by its name in any case, and all of its lines', () => {
    const source: HashSource = { kind: 'header', name: 'x-tenant' };
    assert.equal(
      places(source, (i) => ['X-Tenant', `t${i}`]),
      10,
    );
    assert.equal(
      places(source, (i) => ['X-Tenants', `t${i}`]),
      1,
    );
    assert.equal(url(source, '192.0.2.1', ['x-tenant', 'a']), url(source, '192.0.2.2', ['X-TENANT', 'a']));
    assert.equal(url(source, '1', ['x-tenant', 'a'], ['x-tenant', 'b']), url(source, '2', ['x-tenant', 'a, b']));
  });

  test('is a cookie, whose name has a case', () => {
    const source: HashSource = { kind: 'cookie', name: 'Sid' };
    assert.equal(
      places(source, (i) => ['Cookie', `a=b; Sid=${i}`]),
      10,
    );
    assert.equal(
      places(source, (i) => ['Cookie', `a=b; sid=${i}`]),
      1,
    );
    assert.equal(url(source, '1', ['cookie', 'Sid=7; x=1']), url(source, '2', ['Cookie', 'y=2;Sid=7']));
  });

  test('is the client without that field or cookie', () => {
    for (const client of clients.slice(0, 50)) {
      const own = byClient.choose(frontend, askedBy(client), null, 0)?.url;
      for (const lines of [[], [['X-Tenant', '']], [['Cookie', 'x=1']], [['Cookie', 'Sid=']]] as const) {
        assert.equal(url({ kind: 'header', name: 'x-tenant' }, client, ...lines), own);
        assert.equal(url({ kind: 'cookie', name: 'Sid' }, client, ...lines), own);
      }
    }
  });
});

test('a retry takes the next backend on the ring', () => {
  const frontend = frontendOf(tenUrls);
  const tried: Backend[] = [];
  for (let i = 0; i < 10; i++) {
    const backend = byClient.choose(frontend, askedBy('192.0.2.1'), tried, 0);
    assert.ok(backend !== null && !tried.includes(backend));
    tried.push(backend);
  }
  assert.equal(byClient.choose(frontend, askedBy('192.0.2.1'), tried, 0), null);
});

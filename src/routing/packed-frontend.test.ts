import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Frontend } from './frontend.ts';
import { FrontendPacker, mayBePacked, unpackFrontend } from './packed-frontend.ts';
import { buildFrontend } from './record.ts';

const packer = new FrontendPacker();

/** Packs and unpacks, at an odd place of a larger buffer. */
function passed(frontend: Frontend): Frontend {
  const packed = Buffer.concat([Buffer.from('abc'), packer.pack(frontend), Buffer.from([0xff, 0xff])]);
  return unpackFrontend(frontend.pattern, packed, 3);
}

const mark = { untilMs: 1.75e12, sinceMs: 1.7e12, reason: 'BACKEND_CONNECT_REFUSED', instance: 'i-ö€' };
const built = (...elements: readonly unknown[]) => buildFrontend('a.test', { frontend: elements, down: new Map() });

describe('a packed frontend is the same as before', () => {
  const cases: Readonly<Record<string, readonly unknown[]>> = {
    'two backends': ['a.test', 'http://10.0.0.1:8080', 'http://10.0.0.2:8080'],
    'no backend': ['a.test'],
    'an identifier of its own': ['app "7" é', 'http://10.0.0.1:8080'],
    'an empty identifier': ['', 'http://10.0.0.1:8080'],
    'characters beyond latin1': ['app-€-😀', 'http://10.0.0.1:8080/€'],
    'a host in upper case': ['a.test', 'HTTP://EXAMPLE.org:81/path?x=1'],
    'an IPv6 address': ['a.test', 'http://[::1]:8080', 'https://[2001:DB8::1]'],
    'TLS, also with names': [
      'a.test',
      'https://b.test',
      'https://10.0.0.1#servername=c.test',
      'https://b.test:1#weight=3',
    ],
    'a Unix socket': ['a.test', 'http+unix://%2Frun%2Fapp.sock'],
    weights: ['a.test', 'http://a:1#weight=1000', 'http://b:2', 'http://b:2'],
    backups: [
      'a.test',
      'http://a:1',
      'https://b#weight=2&backup',
      'http://c:1#backup',
      'https://d#servername=e.test&backup',
    ],
    'a backup that drains': ['a.test', 'http://a:1', 'http://b:2#backup&drain=5', 'https://c#drain=6&backup'],
    canaries: [
      'a.test',
      'http://a:1',
      'http://b:2#canary=0.5',
      'https://c#canary=0.5&weight=3&backup',
      'https://d#servername=e.test&canary=7',
    ],
    'canaries alone': ['a.test', 'http://a:1#canary=5', 'http://b:2#canary=5&drain=7'],
    'backends that drain': ['a.test', 'http://a:1#drain=1764290000000', 'http://b:2', 'https://c#weight=2&drain=5'],
    'bad parts': ['a.test', 7, 'http://a:1', null, 'ftp://user:password@b:2', 'http://c:99999', '€€'],
    'an identifier that is no string': [7, 'http://a:1'],
    'many backends': ['a.test', ...Array.from({ length: 10_000 }, (_, i) => `http://b${i}.test:${i + 1}`)],
    'a long identifier': ['x'.repeat(2000), 'http://a:1'],
    'a host that is in the URL twice': ['a.test', 'http://h:80/h', 'http://ttp:80', 'http://http:80'],
  };
  for (const [name, elements] of Object.entries(cases)) {
    test(name, () => {
      const frontend = built(...elements);
      assert.deepEqual(passed(frontend), frontend);
      assert.deepEqual(
        passed(frontend).backends.map(({ address }) => address),
        frontend.backends.map(({ address }) => address),
      );
    });
  }

  test('marks, whose instance has any name', () => {
    const down = new Map([['http://b:2', mark]]);
    const frontend = buildFrontend('a.test', { frontend: ['a.test', 'http://a:1', 'http://b:2'], down });
    assert.deepEqual(frontend.backends[1]?.down, mark);
    assert.deepEqual(passed(frontend), frontend);
  });

  test('the mark of a canary', () => {
    const down = new Map([['http://b:2', mark]]);
    const frontend = buildFrontend('a.test', { frontend: ['a.test', 'http://a:1', 'http://b:2#canary=5'], down });
    assert.deepEqual(frontend.canary?.backends[0]?.down, mark);
    assert.deepEqual(passed(frontend), frontend);
  });

  test('anything that a record may hold', () => {
    const text = fc.oneof(fc.string({ unit: 'binary' }), fc.webUrl({ validSchemes: ['http', 'https'] }), fc.ipV6());
    const element = fc.oneof(
      { weight: 9, arbitrary: text },
      text.map((host) => `https://${host}#servername=b.test&weight=7`),
      text.map((host) => `http://${host}#backup`),
      text.map((host) => `http://${host}#canary=12.5`),
      fc.integer(),
      fc.constant(null),
    );
    fc.assert(
      fc.property(fc.array(element, { maxLength: 6 }), (elements) => {
        const frontend = built(...elements);
        assert.deepEqual(passed(frontend), frontend);
      }),
      { numRuns: 500 },
    );
  });
});

test('two backends take less than 80 bytes', () => {
  const frontend = built('a.test', 'http://10.0.100.1:8080', 'http://10.0.100.2:8080');
  assert.ok(packer.pack(frontend).length < 80);
});

describe('a frontend is not packed', () => {
  const nowMs = 1_700_000_000_000;
  const frontend = () => built('a.test', 'http://a:1', 'http://b:2');
  const may = (made: Frontend) => mayBePacked(made, nowMs, 1000);

  test('unless it is idle', () => {
    const made = frontend();
    assert.ok(may(made));
    made.load.inFlight++;
    assert.ok(!may(made));
    made.load.inFlight--;
    made.load.tunnels++;
    assert.ok(!may(made));
  });

  test('while a request of an earlier record goes to one of its backends', () => {
    const made = frontend();
    const [backend] = made.backends;
    assert.ok(backend);
    backend.inFlight++;
    assert.ok(!may(made));
  });

  test('while a request goes to its canary', () => {
    const made = built('a.test', 'http://a:1', 'http://b:2#canary=5');
    assert.ok(may(made));
    const canary = made.canary?.backends[0];
    assert.ok(canary);
    canary.inFlight++;
    assert.ok(!may(made));
  });

  test('while the store does not have its mark, until that ends', () => {
    const made = frontend();
    const [backend] = made.backends;
    assert.ok(backend);
    backend.down = { ...mark, untilMs: nowMs + 1 };
    assert.ok(may(made));
    backend.markSharedAt = Number.POSITIVE_INFINITY;
    assert.ok(!may(made));
    backend.down = { ...mark, untilMs: nowMs };
    assert.ok(may(made));
  });

  test('while failures count that may mark a backend', () => {
    const made = frontend();
    made.backends[1]?.countOutcome(1000, 'client', false);
    assert.ok(may(made));
    made.backends[1]?.countOutcome(1000, 'client', true);
    assert.ok(!may(made));
    assert.ok(!mayBePacked(made, nowMs, 9999));
    assert.ok(mayBePacked(made, nowMs, 10_000));
  });
});

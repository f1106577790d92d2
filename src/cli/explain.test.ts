import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NameResolver } from '../dns/name-resolver.ts';
import { CheckingFleet } from '../health/checking-fleet.ts';
import { type ExplainedStore, explainedPort, explainHost, parseHost } from '../operations/explain.ts';
import type { DownMark } from '../routing/backend.ts';
import type { StoredRoute } from '../stores/contract.ts';
import type { FailuresByUrl } from '../stores/failures.ts';
import { explanationText } from './explain.ts';

const nowMs = Date.UTC(2026, 10, 22, 10, 0, 0);

/** The only name is `app.test`. */
const names: Pick<NameResolver, 'watch'> = {
  watch: (name, watcher) => {
    if (name === 'app.test') watcher.onAddresses(['10.0.0.1', '10.0.0.2']);
    else watcher.onFailed({ code: 'ENOTFOUND', message: `${name} does not exist` });
    return { close() {} };
  },
};

function storeOf(
  records: Readonly<Record<string, StoredRoute>>,
  failures: Readonly<Record<string, FailuresByUrl>> = {},
): ExplainedStore {
  return {
    routes: {
      read: async (patterns) => patterns.map((pattern) => records[pattern] ?? null),
      expiry: async (pattern) => (pattern === 'short.com' ? nowMs + 90_000 : null),
    },
    options: {
      read: async (patterns) =>
        patterns.map((pattern) => {
          const options = records[pattern]?.options;
          return options === undefined ? null : { options, problems: [] };
        }),
    },
    failures: { read: async (pattern) => failures[pattern] ?? new Map() },
  };
}

function host(urls: readonly unknown[], down: Readonly<Record<string, DownMark>> = {}): StoredRoute {
  return { frontend: urls, down: new Map(Object.entries(down)) };
}

function mark(untilMs: number): DownMark {
  return { untilMs, sinceMs: nowMs - 18_000, reason: 'BACKEND_CONNECT_REFUSED', instance: 'web-1' };
}

test('health checks are shown with the instances that make them', async () => {
  const urls = ['http://10.0.0.1:80', 'http://10.0.0.2:80', 'http://10.0.0.3:80', 'http://10.0.0.4:80'];
  const record = { ...host(['shop', ...urls]), options: new Map([['healthPath', '/up']]) };
  const digests = new Map<string, string>();
  const instance = (name: string) => ({ instance: name, fields: {} });
  const instances = { list: async () => [...digests.keys(), 'web-9'].map(instance), revision: async () => 0 };
  const notes = { read: async (name: string) => digests.get(name.replace('health:', '')) ?? null };
  const store = { ...storeOf({ 'a.com': record }), instances, notes } as unknown as ExplainedStore;
  const healthOf = async (from: ExplainedStore): Promise<string> => {
    const text = explanationText(await explainHost('a.com', from, names, nowMs));
    return /^health +([\s\S]*?)\noptions/m.exec(text)?.[1] ?? '';
  };
  const alone = storeOf({ 'a.com': record });
  assert.equal(await healthOf(alone), 'GET /up every 10s, by each instance that serves the host');
  assert.equal(await healthOf(store), 'GET /up every 10s, by no instance until a client asks for the host');
  for (const name of ['web-1', 'web-2', 'web-3']) {
    const fleet = new CheckingFleet(
      {
        instances,
        notes: { ...notes, write: async (_name, text) => digests.set(name, text ?? '').has(name) },
      },
      name,
      { monotonicMs: () => 0 },
    );
    await fleet.publish(name === 'web-3' ? ['b.com'] : ['a.com', 'b.com']);
    if (name === 'web-1') assert.equal(await healthOf(store), 'GET /up every 10s, by instance web-1');
  }
  const shared = await healthOf(store);
  assert.match(shared, /^GET \/up every 10s\n( +http:\/\/10\.0\.0\.\d:80 {2}by web-[12]\n?){4}$/);
  assert.ok(shared.includes('by web-1') && shared.includes('by web-2'));
  const unreadable = { ...store, notes: { read: () => Promise.reject(new Error('denied')) } };
  const text = explanationText(await explainHost('a.com', unreadable, names, nowMs));
  assert.match(text, /^health +GET \/up every 10s$/m);
  assert.match(text, /^problems +the instances that check its backends cannot be read: denied$/m);
  const { health } = await explainHost('a.com', store, names, nowMs);
  assert.deepEqual(
    health?.checkers?.map(({ url }) => url),
    urls,
  );
});

test('the patterns tried are those of the lookup, in order, up to the match', async () => {
  const routes = storeOf({ '*.example.com': host(['shop', 'http://x']), '*': host(['all', 'http://y']) });
  const explanation = await explainHost(parseHost('WWW.App.Example.com:8080'), routes, names, nowMs);
  assert.equal(explanation.host, 'www.app.example.com');
  assert.deepEqual(explanation.tried, [
    { pattern: 'www.app.example.com', matched: false },
    { pattern: '*.app.example.com', matched: false },
    { pattern: '*.example.com', matched: true },
  ]);
  assert.equal(explanation.id, 'shop');
});

test('a Unix socket has no addresses to look up', async () => {
  const url = 'http+unix://%2Frun%2Fapp.sock';
  const { backends, problems } = await explainHost('a.com', storeOf({ 'a.com': host(['a', url]) }), names, nowMs);
  assert.deepEqual([backends[0]?.url, backends[0]?.addresses, problems], [url, null, []]);
});

test('a record for the port is tried first, or named if it is not used', async () => {
  const routes = storeOf({ 'a.com:8080': host(['port', 'http://x']) });
  const explain = (isTried: boolean) =>
    explainHost('a.com', routes, names, nowMs, explainedPort('A.com:8080', isTried));
  assert.deepEqual((await explain(true)).tried, [{ pattern: 'a.com:8080', matched: true }]);
  const unused = await explain(false);
  assert.deepEqual(
    unused.tried.map(({ pattern }) => pattern),
    ['a.com', '*.com', '*'],
  );
  assert.match(
    explanationText(unused),
    /^problems {2}the route a\.com:8080 exists too; it is only used with compat\.hostPort\nNo route matches/m,
  );
  assert.equal(explainedPort('a.com', true), null);
});

test('a dead mark is shown with its end, reason and instance', async () => {
  const routes = storeOf({
    'a.com': host(['a', 'http://x:1', 'http://y:22#weight=3', 'http://z'], {
      'http://y:22': mark(nowMs + 12_000),
      'http://z': mark(nowMs - 1),
    }),
  });
  const explanation = await explainHost('a.com', routes, names, nowMs);
  assert.deepEqual(
    explanation.backends.map(({ url, dead }) => [url, dead?.remainingMs ?? 0]),
    [
      ['http://x:1', 0],
      ['http://y:22', 12_000],
      ['http://z', 0],
    ],
  );
  const text = explanationText(explanation);
  assert.match(
    text,
    /^ {10}1 {2}http:\/\/y:22 {2}weight 3 {2}dead until 2026-11-2\dT\S+ \(in 12 s\): BACKEND_CONNECT_REFUSED, marked by web-1 +its name cannot be resolved: y does not exist$/m,
  );
  assert.match(text, /^ {10}2 {2}http:\/\/z {5}weight 1 {2}up +its name/m);
});

test('problems of the record are shown, and if no backend is left', async () => {
  const text = async (record: StoredRoute) =>
    explanationText(await explainHost('a.com', storeOf({ 'a.com': record }), names, nowMs));
  assert.match(await text(host(['a', 'http:x', 5])), /none usable[\s\S]*problems {2}backend 0 "http:x"/);
  const all = await text(
    host(['a', 'http://x', 'http://y'], { 'http://x': mark(nowMs + 1), 'http://y': mark(nowMs + 9) }),
  );
  assert.match(all, /Every backend is marked dead/);
  assert.match(await text(host(['a', 'http://x'], { 'http://x': mark(Number.MAX_VALUE) })), /The only backend/);
});

test('an entry with another scheme or none is shown with the URL that it is read as', async () => {
  const record = host(['a', 'tcp://10.0.0.1:9001', '10.0.0.2:9001']);
  const text = explanationText(await explainHost('a.com', storeOf({ 'a.com': record }), names, nowMs));
  assert.match(text, /0 {2}tcp:\/\/10\.0\.0\.1:9001 {2}weight 1 {2}up$/m);
  assert.match(text, /1 {2}10\.0\.0\.2:9001 {8}weight 1 {2}up$/m);
  assert.match(
    text,
    /backend 0 "tcp:[^"]*": the scheme "tcp" is ignored, and the backend read as http:\/\/10\.0\.0\.1:9001$/m,
  );
  assert.match(
    text,
    /backend 1 "10[^"]*": the lack of a scheme is ignored, and the backend read as http:\/\/10\.0\.0\.2:9001$/m,
  );
});

test('failures that cannot be read are a problem, not the end', async () => {
  const failures = { read: () => Promise.reject(new Error('no such column')) };
  const store = { ...storeOf({ 'a.com': host(['a', 'http://10.0.0.1:1']) }), failures };
  const text = explanationText(await explainHost('a.com', store, names, nowMs));
  assert.match(text, /weight 1 {2}up$/m);
  assert.match(text, /problems {2}the last failures cannot be read: no such column/);
});

test('an empty record is skipped, but not an unreadable one', async () => {
  const others = { '*.com': host(['id', 'http://x']) };
  const empty = await explainHost('a.com', storeOf({ ...others, 'a.com': host([]) }), names, nowMs);
  assert.equal(empty.matched, '*.com');
  const damaged = { ...host([]), problem: 'the record is not JSON' };
  const explanation = await explainHost('a.com', storeOf({ ...others, 'a.com': damaged }), names, nowMs);
  assert.equal(explanation.matched, 'a.com');
  assert.deepEqual(explanation.problems, ['the record is not JSON']);
});

test('a host without a match is shown as such', async () => {
  const explanation = await explainHost('a.com', storeOf({}), names, nowMs);
  assert.equal(explanation.matched, null);
  assert.match(explanationText(explanation), /\*\.com {2}no route\n {7}\* {6}no route\nNo route matches/);
});

test('the addresses of a backend with a name are shown, or why there are none', async () => {
  const routes = storeOf({ 'a.com': host(['a', 'http://app.test:1', 'http://gone.test:2', 'http://10.1.1.1:3']) });
  const explanation = await explainHost('a.com', routes, names, nowMs);
  assert.deepEqual(
    explanation.backends.map(({ addresses, addressProblem }) => [addresses, addressProblem]),
    [
      [['10.0.0.1', '10.0.0.2'], null],
      [[], 'gone.test does not exist'],
      [null, null],
    ],
  );
  const text = explanationText(explanation);
  assert.match(text, /http:\/\/app\.test:1 +weight 1 +up +at 10\.0\.0\.1, 10\.0\.0\.2$/m);
  assert.match(text, /http:\/\/gone\.test:2 +weight 1 +up +its name cannot be resolved: gone\.test does not exist$/m);
  assert.match(text, /http:\/\/10\.1\.1\.1:3 +weight 1 +up$/m);
});

test('the last failures of every backend are shown, whether it is marked or not', async () => {
  const series = { firstMs: nowMs - 60_000, lastMs: nowMs - 3000, reason: 'status 500', instance: 'web-1' };
  const store = storeOf(
    {
      'a.com': host(['a', 'http://10.0.0.1:1#weight=2', 'http://10.0.0.2:1', 'http://10.0.0.3:1'], {
        'http://10.0.0.2:1': mark(nowMs + 9000),
      }),
    },
    {
      'a.com': new Map([
        ['http://10.0.0.1:1', { ...series, count: 12 }],
        ['http://10.0.0.2:1', { ...series, count: 1 }],
        ['http://10.0.0.9:1', { ...series, count: 5 }],
      ]),
    },
  );
  const explanation = await explainHost('a.com', store, names, nowMs);
  assert.deepEqual(
    explanation.backends.map(({ failures }) => failures?.count ?? null),
    [12, 1, null],
  );
  assert.deepEqual(explanation.backends[0]?.failures, {
    count: 12,
    since: '2026-11-22T09:59:00.000Z',
    last: '2026-11-22T09:59:57.000Z',
    agoMs: 3000,
    reason: 'status 500',
    instance: 'web-1',
  });
  const text = explanationText(explanation);
  assert.match(
    text,
    /weight 2 {2}up\n +failed 12 times since 2026-11-2\S+, the last time 3 s ago: status 500, at web-1$/m,
  );
  assert.match(text, /marked by web-1\n +failed once, 3 s ago: status 500, at web-1$/m);
  assert.doesNotMatch(text, /failed 5/);
});

test('the instances say how old what they serve may be', async () => {
  const record = (instance: string, fields: Readonly<Record<string, string>>, agoMs = 1000) => ({
    instance,
    fields: { revision: '7', at: new Date(nowMs - agoMs).toISOString(), ...fields },
  });
  const instances = {
    revision: async () => 7,
    list: async () => [
      record('web-1', {}),
      record('web-2', {}, 21_000),
      record('web-3', { revision: '5' }),
      record('web-4', { held: '150' }),
    ],
  } as unknown as NonNullable<ExplainedStore['instances']>;
  const explanation = await explainHost('a.com', { ...storeOf({}), instances }, names, nowMs);
  assert.deepEqual(
    explanation.instances?.map(({ isCurrent, heardMs, heldRoutes }) => [isCurrent, heardMs, heldRoutes]),
    [
      [true, 1000, 0],
      [true, 21_000, 0],
      [false, 1000, 0],
      [true, 1000, 150],
    ],
  );
  const lines = explanationText(explanation).split('\n');
  const from = lines.findIndex((line) => line.startsWith('instances'));
  assert.deepEqual(
    lines.slice(from, from + 4).map((line) => line.replace('instances', '').trim().replace(/ +/g, ' ')),
    [
      'web-1 current',
      'web-2 silent for 21 s: it may serve what it knew then',
      'web-3 behind: it serves what was written up to revision 5',
      'web-4 serves 150 routes that the store does not have any more',
    ],
  );
  const broken = { revision: async () => Promise.reject(new Error('denied')) } as unknown as typeof instances;
  const without = await explainHost('a.com', { ...storeOf({}), instances: broken }, names, nowMs);
  assert.equal(without.instances, null);
});

test('the end of a route that expires is shown', async () => {
  const routes = storeOf({ 'short.com': host(['a', 'http://x']) });
  const explanation = await explainHost('short.com', routes, names, nowMs);
  assert.deepEqual(explanation.expires, { at: '2026-11-22T10:01:30.000Z', remainingMs: 90_000 });
  assert.match(explanationText(explanation), /^expires +2026-11-22T\S+ \(in 1 min 30 s\)$/m);
});

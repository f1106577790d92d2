import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HostPolicy } from '../policy/host-policy.ts';
import { optionsInForce } from '../policy/read-options.ts';
import type { Frontend } from '../routing/frontend.ts';
import type { StoredRoute } from '../stores/contract.ts';
import { HostPolicies } from './host-policies.ts';
import { type FakeStore, setUp, turn, warm } from './route-cache.suite.ts';
import type { RouteCache } from './route-cache.ts';
import type { RouteCacheOptions } from './route-cache-options.ts';

const problems: string[] = [];
/** A policy is the text of the options that hold. */
const policies: NonNullable<RouteCacheOptions['policies']> = {
  compile: (layers) => {
    const { inForce } = optionsInForce(layers);
    return inForce.map(({ name, text, from }) => `${name}=${text} of ${from}`).join() as unknown as HostPolicy;
  },
  problemsOf: (options) => (options.has('wrong') ? ['there is no option "wrong"'] : []),
};

const policyOf = (frontend: Frontend | null | undefined): unknown => frontend?.policy;

async function settle(store: FakeStore, cache: RouteCache): Promise<void> {
  store.prompt = true;
  while (store.reads.length > 0) store.reads[0]?.answer();
  await turn();
  await cache.settled();
  store.prompt = false;
}

test('a host has the options of its own pattern, and those of the wildcards that cover it where these are inherited', async () => {
  const { store, cache } = await setUp({ policies });
  store.records.set('a.b.com', ['a']);
  store.records.set('plain.org', ['plain']);
  store.options.set('a.b.com', new Map([['requestsMax', '1']]));
  store.options.set('*.b.com', new Map(Object.entries({ requestsMax: '2', tunnelsMax: '3' })));
  assert.equal(policyOf(await warm(store, cache, 'a.b.com')), 'requestsMax=1 of a.b.com,tunnelsMax=3 of *.b.com');
  assert.equal(policyOf(await warm(store, cache, 'plain.org')), null);
  assert.equal(await warm(store, cache, 'x.b.com'), null, 'options make no route');
});

test('a host without a route has the options of the wildcards that cover it, as far as they are known', async () => {
  const { store, cache } = await setUp({ policies });
  store.options.set('*', new Map([['requestsMax', '1']]));
  store.options.set('*.b.com', new Map([['tunnelsMax', '2']]));
  assert.equal(cache.policyWithoutRoute('a.b.com'), null, 'nothing is read for it');
  assert.equal(await warm(store, cache, 'a.b.com'), null);
  const reads = store.reads.length;
  assert.equal(cache.policyWithoutRoute('a.b.com'), 'requestsMax=1 of *,tunnelsMax=2 of *.b.com');
  assert.equal(cache.policyWithoutRoute('c.org'), 'requestsMax=1 of *');
  assert.equal(cache.policyWithoutRoute('*'), 'requestsMax=1 of *');
  assert.equal(store.reads.length, reads);
  store.changeOptions('*', { requestsMax: '3' });
  await settle(store, cache);
  assert.equal(cache.policyWithoutRoute('c.org'), 'requestsMax=3 of *');
  store.changeOptions('*', null);
  await settle(store, cache);
  assert.equal(cache.policyWithoutRoute('c.org'), null);
  assert.equal(cache.policyWithoutRoute('a.b.com'), 'tunnelsMax=2 of *.b.com');
});

test('a change of options is live, also of a wildcard that has neither route nor entry', async () => {
  const { store, cache } = await setUp({ policies });
  store.records.set('a.com', ['a']);
  store.records.set('b.com', ['b']);
  await warm(store, cache, 'a.com');
  await warm(store, cache, 'b.com');
  store.changeOptions('a.com', { requestsMax: '1' });
  await settle(store, cache);
  assert.equal(policyOf(cache.cached('a.com')), 'requestsMax=1 of a.com');
  store.changeOptions('*', { tunnelsMax: '2' });
  await settle(store, cache);
  assert.equal(policyOf(cache.cached('a.com')), 'requestsMax=1 of a.com,tunnelsMax=2 of *');
  assert.equal(policyOf(cache.cached('b.com')), 'tunnelsMax=2 of *');
  store.changeOptions('a.com', null);
  store.changeOptions('*', null);
  await settle(store, cache);
  assert.deepEqual([policyOf(cache.cached('a.com')), policyOf(cache.cached('b.com'))], [null, null]);
});

test('word of each policy that a host gets is passed on, also if a wildcard brings it', async () => {
  const resolved: string[] = [];
  const onResolved = (frontend: Frontend) => void resolved.push(`${frontend.pattern}: ${policyOf(frontend)}`);
  const { store, cache } = await setUp({ policies, onResolved });
  store.records.set('a.com', ['a']);
  await warm(store, cache, 'a.com');
  assert.deepEqual(new Set(resolved), new Set(['a.com: null']));
  store.changeOptions('*', { tunnelsMax: '2' });
  await settle(store, cache);
  assert.equal(resolved.at(-1), 'a.com: tunnelsMax=2 of *');
  store.changeOptions('*', null);
  await settle(store, cache);
  assert.equal(resolved.at(-1), 'a.com: null');
});

test('options survive that the objects of a host are dropped and made again', async () => {
  const { store, cache } = await setUp({ policies, limits: { activeEntriesMax: 2 } });
  const hosts = Array.from({ length: 20 }, (_, i) => `h${i}.com`);
  for (const host of hosts) store.records.set(host, [host]);
  store.options.set('h3.com', new Map([['requestsMax', '3']]));
  store.options.set('*.com', new Map([['tunnelsMax', '1']]));
  for (const host of hosts) await warm(store, cache, host);
  assert.equal(policyOf(cache.cached('h3.com')), 'requestsMax=3 of h3.com,tunnelsMax=1 of *.com');
  store.changeOptions('*.com', { tunnelsMax: '9' });
  await settle(store, cache);
  for (const host of hosts) {
    const own = host === 'h3.com' ? 'requestsMax=3 of h3.com,' : '';
    assert.equal(policyOf(cache.cached(host)), `${own}tunnelsMax=9 of *.com`);
  }
});

test('a path inherits from its host, for as long as the host names its paths', async () => {
  const { store, cache } = await setUp({ policies });
  store.records.set('a.com', ['a']);
  store.records.set('a.com/api', ['api']);
  store.options.set('a.com', new Map(Object.entries({ paths: '/api', requestsMax: '1' })));
  store.options.set('a.com/api', new Map([['tunnelsMax', '2']]));
  store.options.set('*', new Map([['retriesMax', '0']]));
  await warm(store, cache, 'a.com');
  const own = 'tunnelsMax=2 of a.com/api';
  assert.equal(policyOf(await warm(store, cache, 'a.com/api')), `requestsMax=1 of a.com,${own},retriesMax=0 of *`);
  store.changeOptions('a.com', { paths: '/api', requestsMax: '9' });
  await settle(store, cache);
  assert.equal(policyOf(cache.cached('a.com/api')), `requestsMax=9 of a.com,${own},retriesMax=0 of *`);
  store.changeOptions('a.com', { requestsMax: '9' });
  await settle(store, cache);
  assert.equal(policyOf(cache.cached('a.com/api')), `${own},retriesMax=0 of *`);
  assert.equal(policyOf(cache.cached('a.com')), 'requestsMax=9 of a.com,retriesMax=0 of *');
});

test('a path has no wildcards: without a record of its own, it has no route', async () => {
  const { store, cache } = await setUp({ policies });
  store.records.set('*', ['all']);
  assert.equal(await warm(store, cache, 'a.com/api'), null);
});

test('options of a wildcard that change during a break are found when a host is verified, before it serves', async () => {
  const { store, cache } = await setUp({ policies });
  store.records.set('a.com', ['a']);
  await warm(store, cache, 'a.com');
  store.listener?.lost(new Error('away'));
  store.options.set('*', new Map([['tunnelsMax', '1']]));
  assert.equal(policyOf(cache.cached('a.com')), null);
  store.listener?.restored();
  assert.equal(cache.cached('a.com'), undefined);
  assert.equal(policyOf(await warm(store, cache, 'a.com')), 'tunnelsMax=1 of *');
});

test('a host that changes after a break, and is not used, has the options of its wildcards read too', async () => {
  const { store, cache } = await setUp({ policies });
  store.records.set('a.com', ['a']);
  await warm(store, cache, 'a.com');
  store.listener?.lost(new Error('away'));
  store.options.set('*', new Map([['tunnelsMax', '1']]));
  store.listener?.restored();
  store.change('a.com', ['changed']);
  await settle(store, cache);
  assert.equal(policyOf(cache.cached('a.com')), 'tunnelsMax=1 of *');
});

test('options of a wildcard that cannot be read are tried again, although nothing else needs them', async () => {
  const { store, cache, time } = await setUp({ policies });
  store.records.set('a.com', ['a']);
  await warm(store, cache, 'a.com');
  store.changeOptions('*.com', { tunnelsMax: '1' });
  await turn();
  store.reads[0]?.fail(new Error('busy'));
  await turn();
  store.prompt = true;
  await time.pass(200);
  await turn();
  assert.equal(policyOf(cache.cached('a.com')), 'tunnelsMax=1 of *.com');
});

test('wrong options are problems of the record, those of a wildcard without a route as well, each once', async () => {
  problems.length = 0;
  const onProblem: RouteCacheOptions['onProblem'] = (pattern, { message }) =>
    void problems.push(`${pattern}: ${message}`);
  const { store, cache } = await setUp({ policies, onProblem });
  store.records.set('a.com', ['a']);
  store.options.set('a.com', new Map([['wrong', '1']]));
  store.options.set('*', new Map([['wrong', '1']]));
  const frontend = await warm(store, cache, 'a.com');
  assert.deepEqual(frontend?.problems, [{ message: 'there is no option "wrong"' }]);
  store.change('a.com', ['b']);
  await settle(store, cache);
  assert.deepEqual(problems.toSorted(), ['*: there is no option "wrong"', 'a.com: there is no option "wrong"']);
});

test('options that a host inherits are known to workers that cannot reach the store', async () => {
  const known = new Map<string, StoredRoute | null>();
  const shared: RouteCacheOptions['shared'] = {
    fetch: async () => {},
    route: (pattern) => known.get(pattern),
    routeRead: (pattern, record) => void known.set(pattern, record),
  };
  const first = await setUp({ policies, shared });
  first.store.records.set('*.b.com', ['wild']);
  first.store.options.set('*', new Map([['tunnelsMax', '1']]));
  await warm(first.store, first.cache, 'a.b.com');
  const second = await setUp({ policies, shared });
  second.store.listener?.lost(new Error('away'));
  const loading = second.cache.load('a.b.com');
  assert.equal(policyOf(await loading), 'tunnelsMax=1 of *');
});

test('with more wildcards than are kept, the oldest is forgotten, and the caller hears of it', () => {
  let forgotten = 0;
  const kept = new HostPolicies(policies, 2, {
    frontends: () => [],
    onProblems() {},
    onForgotten: () => void forgotten++,
  });
  const options = new Map([['requestsMax', '1']]);
  for (const pattern of ['*.a.com', '*.b.com', '*.c.com']) kept.learn(pattern, options);
  const all = ['*.a.com', '*.b.com', '*.c.com'];
  assert.deepEqual([all.map((pattern) => kept.has(pattern)), forgotten], [[false, true, true], 1]);
  kept.learn('*.c.com', new Map(options));
  kept.learn('*.c.com');
  assert.deepEqual(
    all.map((pattern) => kept.has(pattern)),
    [false, true, false],
  );
});

test('a host is served to nobody before the options that it may inherit are known, nor if they cannot be read', async () => {
  const { store, cache } = await setUp({ policies });
  store.records.set('a.com', ['a']);
  store.options.set('*', new Map([['tunnelsMax', '1']]));
  // The wildcards are read for another host, and the store is slow.
  const other = cache.load('other.com').catch((error: Error) => error.message);
  await turn();
  const [ofOther] = store.reads;
  const loading = cache.load('a.com').catch((error: Error) => error.message);
  await turn();
  const ofHost = store.reads.find((read) => read !== ofOther);
  ofHost?.answer();
  await turn();
  assert.equal(cache.cached('a.com'), undefined, 'its own record is there, that of * is not');
  ofOther?.fail(new Error('hung'));
  await turn();
  assert.match(String(await loading), /hung/);
  await other;
  assert.equal(cache.cached('a.com'), undefined);
  assert.equal(policyOf(await warm(store, cache, 'a.com')), 'tunnelsMax=1 of *');
  assert.equal(policyOf(cache.cached('a.com')), 'tunnelsMax=1 of *');
});

test('a host that serves goes on with what is known, if its wildcards are forgotten and cannot be read', async () => {
  const { store, cache, time } = await setUp({ policies, limits: { negativeEntriesMax: 0 } });
  store.records.set('a.com', ['a']);
  await warm(store, cache, 'a.com');
  const other = cache.load('other.com').catch((error: Error) => error.message);
  await turn();
  const ofOther = store.reads.filter(({ patterns }) => patterns.includes('*.com'));
  assert.equal(ofOther.length, 1);
  store.change('a.com', ['again']);
  await time.pass(50);
  store.reads.find(({ patterns }) => patterns.includes('a.com'))?.answer();
  await turn();
  assert.equal(cache.cached('a.com')?.id, 'again');
  ofOther[0]?.fail(new Error('hung'));
  await other;
  assert.equal(cache.cached('a.com')?.id, 'again');
});

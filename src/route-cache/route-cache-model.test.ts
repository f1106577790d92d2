import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { type FakeStore, idOf, type Read, setUp } from './route-cache.suite.ts';

const names = ['a.x.com', 'b.x.com', 'x.com', '*.x.com', '*.com', '*'];
const hosts = ['a.x.com', 'b.x.com', 'x.com', 'c.x.com'];
const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('change' as const), at: fc.nat(5), to: fc.nat(3), tell: fc.boolean() }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('load' as const), at: fc.nat(3) }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constantFrom('take' as const, 'deliver' as const, 'fail' as const), at: fc.nat(9) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('tell' as const, 'turn' as const), at: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('lose' as const, 'pass' as const), at: fc.nat(400) }) },
);

/** All entries are kept; few of them are; few objects of them are. */
const limitsTried = [{}, { entriesMax: 2, negativeEntriesMax: 2 }, { activeEntriesMax: 1 }];

test('whatever the order of changes, tellings, answers and failures, memory ends up as the store', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 80, size: 'max' }),
      fc.constantFrom(...limitsTried),
      async (steps, limits) => {
        const { store, time, cache } = await setUp({ limits });
        /** Tellings on their way, in order, each of a change that has been made. */
        const tellings: string[] = [];
        /** Answers that the store has made, which travel at their own speed. */
        const travelling: (() => void)[] = [];
        const taken = new Set<Read>();
        let version = 0;
        let lost = false;
        for (const { do: action, at, ...rest } of steps) {
          if (action === 'change') {
            const pattern = names[at % names.length] as string;
            const { to, tell } = rest as { to: number; tell: boolean };
            if (to === 0) store.records.delete(pattern);
            else store.records.set(pattern, to === 1 ? [] : [`${pattern} ${++version}`, 'http://1:1', 'http://2:1']);
            tellings.push(pattern);
            if (tell && !lost) store.listener?.changed('routes', tellings.splice(0));
          } else if (action === 'load') {
            cache.load(hosts[at % hosts.length] as string).catch(() => {});
          } else if (action === 'take' || action === 'fail') {
            const open = store.reads.filter((read) => !taken.has(read));
            const read = open[at % Math.max(1, open.length)];
            if (read !== undefined && action === 'take') {
              taken.add(read);
              travelling.push(read.take());
            } else {
              read?.fail(new Error('fails'));
            }
          } else if (action === 'deliver') {
            travelling.splice(at % Math.max(1, travelling.length), 1)[0]?.();
          } else if (action === 'tell') {
            const told = tellings.shift();
            if (told !== undefined) store.listener?.changed('routes', [told]);
          } else if (action === 'lose') {
            // Everything on its way is lost with the connection, and what changes until it is back is not told.
            if (lost) store.listener?.restored();
            else store.listener?.lost(new Error('lost'));
            lost = !lost;
          } else if (action === 'pass') {
            await time.pass(at);
          }
          if (lost) tellings.length = 0;
          await turn();
        }
        if (lost) store.listener?.restored();
        // Quiet: everything arrives, the store answers again.
        while (travelling.length > 0) travelling.pop()?.();
        store.listener?.changed('routes', tellings.splice(0));
        store.prompt = true;
        while (store.reads.length > 0) store.reads[0]?.answer();
        await time.pass(60_000);
        for (const host of hosts) {
          const expected = expectedFor(store, host);
          assert.equal(idOf(await cache.load(host)), expected, host);
          const cached = cache.cached(host);
          if (cached !== undefined) assert.equal(idOf(cached), expected, host);
        }
        assert.equal(time.pending, 0);
        cache.close();
      },
    ),
    { numRuns: 2000 },
  );
});

function expectedFor(store: FakeStore, host: string): unknown {
  const labels = host.split('.');
  const patterns = [host, ...labels.slice(1).map((_, i) => `*.${labels.slice(i + 1).join('.')}`), '*'];
  for (const pattern of patterns) {
    const record = store.records.get(pattern);
    if (record !== undefined && record.length > 0) return record[0];
  }
  return null;
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DeafBackend } from '../../../test/helpers/deaf-backend.ts';
import { get, Rig } from '../../../test/helpers/rig.ts';
import type { NameResolver } from '../../dns/name-resolver.ts';

test('the time to connect includes that of the lookup of a name', async (t) => {
  const deaf = await DeafBackend.start();
  t.after(() => deaf.stop());
  const resolver: Pick<NameResolver, 'watch' | 'close'> = {
    watch: (_name, watcher) => {
      const timer = setTimeout(() => watcher.onAddresses(['127.0.0.1']), 700);
      return { close: () => clearTimeout(timer) };
    },
    close() {},
  };
  const rig = await Rig.start(t, { resolver: resolver as NameResolver, settings: { retriesMax: 0 } });
  rig.proxy.route('a.test', [deaf.url.replace('127.0.0.1', 'slow.example')]);
  rig.proxy.options('a.test', { connectTimeout: '800ms' });
  const startMs = performance.now();
  await (await rig.send(get('/'))).expect(/ 504 /);
  // Twice the lookup would be 1,400.
  assert.ok(performance.now() - startMs < 1400);
});

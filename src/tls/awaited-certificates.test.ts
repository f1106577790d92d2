import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { createSecureContext, type SecureContext } from 'node:tls';
import { FakeTime } from '../../test/helpers/fake-time.ts';
import { AwaitedCertificates } from './awaited-certificates.ts';

describe('certificates that are awaited', () => {
  const context = createSecureContext();
  let asked: string[];
  let loaded: Map<string, SecureContext>;
  let time: FakeTime;
  let awaited: AwaitedCertificates;

  beforeEach(() => {
    asked = [];
    loaded = new Map();
    time = new FakeTime();
    awaited = new AwaitedCertificates({
      isWanted: (name) => !name.startsWith('unknown'),
      ask: (name) => void asked.push(name),
      load: async (name) => loaded.get(name) ?? null,
      setTimer: time.setTimer,
      waitMs: 20_000,
    });
  });

  test('all handshakes of a name wait for one order', async () => {
    const all = ['a.example', 'A.example', 'a.example'].map((name) => awaited.find(name, '192.0.2.1'));
    await turn();
    assert.deepEqual(asked, ['a.example']);
    // Another certificate is no reason to go on, nor is a record that cannot be used.
    awaited.changed('certificates', ['b.example', 'a.example']);
    await turn();
    assert.equal(awaited.size, 1);
    loaded.set('a.example', context);
    awaited.changed('certificates', ['a.example']);
    assert.deepEqual(await Promise.all(all), [context, context, context]);
    assert.equal(awaited.size, 0);
  });

  test('a name that is not wanted is not waited for', async () => {
    assert.equal(await awaited.find('unknown.example', '192.0.2.1'), null);
    assert.deepEqual(asked, []);
  });

  test('a handshake goes on when nothing more will come, and asks again after a while', async () => {
    const first = awaited.find('a.example', '192.0.2.1');
    await turn();
    awaited.ended('a.example');
    assert.equal(await first, null);
    assert.equal(await awaited.find('a.example', '192.0.2.1'), null);
    assert.deepEqual(asked, ['a.example']);
    await time.pass(10_000);
    const second = awaited.find('a.example', '192.0.2.1');
    await turn();
    assert.deepEqual(asked, ['a.example', 'a.example']);
    loaded.set('a.example', context);
    awaited.ended('a.example');
    assert.equal(await second, context);
  });

  test('a wildcard is that of the names right below it', async () => {
    const all = ['a.shop.example', 'b.a.shop.example'].map((name) => awaited.find(name, '192.0.2.1'));
    await turn();
    awaited.ended('*.shop.example');
    assert.equal(await all[0], null);
    assert.equal(awaited.size, 1);
    loaded.set('b.a.shop.example', context);
    awaited.changed('certificates', ['*.a.shop.example']);
    assert.equal(await all[1], context);
  });

  test('a handshake waits for so long, and no longer', async () => {
    const found = awaited.find('a.example', '192.0.2.1');
    await turn();
    await time.pass(19_999);
    await turn();
    assert.equal(awaited.size, 1);
    await time.pass(1);
    assert.equal(await found, null);
  });

  test('of too many names the last ones do not wait', async () => {
    const all = Array.from({ length: 1000 }, (_, i) => awaited.find(`${i}.example`, '192.0.2.1'));
    await turn();
    assert.equal(await awaited.find('last.example', '192.0.2.1'), null);
    assert.equal(asked.length, 1000);
    await time.pass(20_000);
    await Promise.all(all);
    assert.equal(awaited.size, 0);
  });
});

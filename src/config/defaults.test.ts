import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type LoadedConfig, loadConfig } from './load.ts';

const folder = mkdtempSync(join(tmpdir(), 'hipache-defaults-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const env = { HOME: '/home/someone' };

function load(content: unknown): LoadedConfig {
  const file = join(folder, 'config.json');
  writeFileSync(file, JSON.stringify(content));
  return loadConfig({ file, env, cwd: folder, isRoot: false });
}

test('a file that has only keys of Hipache 0.3 and 0.4 keeps their form of addresses', () => {
  const mapped = (content: unknown) => load(content).config.server.mappedAddresses;
  assert.equal(mapped({ server: { workers: 2, tcpTimeout: 5 }, http: { port: 81 }, driver: 'redis:' }), true);
  assert.equal(mapped({ server: { port: 81 }, redisHost: 'h' }), true);
  assert.equal(mapped({ server: { workers: 2, drainSeconds: 5 }, driver: 'redis:' }), false);
  assert.equal(mapped({ server: { mappedAddresses: true }, limits: { queueMax: 5 } }), true);
  assert.equal(mapped({ server: { mappedAddresses: false } }), false);
  assert.equal(loadConfig({ env, cwd: folder, isRoot: false }).config.server.mappedAddresses, false);
});

test('a silent response may last as long as tcpTimeout at least', () => {
  const idle = (content: unknown) => load(content).config.limits.responseIdleSeconds;
  assert.equal(idle({}), 300);
  assert.equal(idle({ server: { tcpTimeout: 3600 } }), 3600);
  assert.equal(idle({ server: { tcpTimeout: 0 } }), 0);
  assert.equal(idle({ server: { tcpTimeout: 3600 }, limits: { responseIdleSeconds: 5 } }), 5);
});

test('protocols to switch to are names, and none that would let requests pass unseen', () => {
  assert.deepEqual(load({ server: { upgrades: ['tcp', 'SPDY/3.1'] } }).config.server.upgrades, ['tcp', 'SPDY/3.1']);
  for (const name of ['h2c', 'WebSocket', 'HTTP/2.0', 'tls/1.3', 'a b', '', 'a/b/c']) {
    assert.throws(
      () => load({ server: { upgrades: [name] } }),
      /server\.upgrades\[0\]: found .*allowed a name such as/,
      name,
    );
  }
});

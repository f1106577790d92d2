import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type LoadedConfig, loadConfig } from './load.ts';

const folder = mkdtempSync(join(tmpdir(), 'hipache-loose-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function load(content: object): LoadedConfig {
  const file = join(folder, 'config.json');
  writeFileSync(file, JSON.stringify({ driver: 'redis:', ...content }));
  return loadConfig({ file, env: { HOME: '/home/someone' }, cwd: folder, isRoot: false });
}

test('numbers in quotes are numbers, with a warning, where Hipache 0.4 took them', () => {
  const { config, warnings } = load({
    server: { workers: '4', maxSockets: '50', tcpTimeout: '7.5', deadBackendTTL: '9', retryOnError: ' 1 ' },
    http: { port: '8097', bind: ['::1', { address: '::2', port: '81' }] },
    https: { port: '8443', key: 'k', cert: 'c', bind: { address: '::1', port: '444' } },
  });
  const { workers, maxSockets, tcpTimeout, deadBackendTTL, retryOnError } = config.server;
  assert.deepEqual([workers, maxSockets, tcpTimeout, deadBackendTTL, retryOnError], [4, 50, 7.5, 9, 1]);
  assert.deepEqual(
    [...config.http.bind, ...config.https.bind].map(({ port }) => port),
    [8097, 81, 444],
  );
  assert.equal(warnings.length, 10);
  assert.ok(warnings.includes('https.bind: found an object, used as an array of it; write it in brackets'));
  assert.ok(warnings.includes('https.bind[0].port: found "444" (a string), used as a number; write 444'));
  assert.ok(warnings.includes('http.port: found "8097" (a string), used as a number; write 8097'), warnings.join('\n'));
  assert.ok(warnings.includes('http.bind[1].port: found "81" (a string), used as a number; write 81'));
  const old = load({ server: { port: '82', address: ['::1'] } });
  assert.equal(old.config.http.bind[0]?.port, 82);
  assert.equal(old.warnings.at(-1), 'http.port: found "82" (a string), used as a number; write 82');
});

test('a number out of range is refused with and without quotes', () => {
  assert.throws(() => load({ http: { port: '65536' } }), /http\.port: found 65536, allowed a whole number/);
  assert.throws(() => load({ http: { port: '80a' } }), /http\.port: found "80a", allowed/);
  assert.throws(() => load({ server: { workers: '0' } }), /server\.workers: found 0, allowed/);
});

test('a user and a group can be numbers, and the group 0 is the group of the user, as in Hipache 0.4', () => {
  const of = (user: unknown, group: unknown) => {
    const { config, warnings } = load({ user, group });
    return [config.user, config.group, ...warnings];
  };
  assert.deepEqual(of(0, 33), [
    ...['root', '33'],
    'user: found 0, used as "root"; write "root"',
    'group: found 33, used as "33"; write "33"',
  ]);
  assert.deepEqual(of(33, 0), [
    ...['33', null],
    'user: found 33, used as "33"; write "33"',
    `group: found 0, used as the user's group, as in Hipache 0.4; write null, or "root" for the group 0`,
  ]);
  for (const user of [-1, 1.5, true]) assert.throws(() => of(user, 0), /user: found .*, allowed the name of a user/);
});

test('other values of Hipache 0.4 act as there', () => {
  const on = load({ server: { lruCache: true } });
  assert.equal(on.config.limits.cacheEntriesMax, 200_000);
  assert.deepEqual(on.warnings, [
    'server.lruCache: found true, which changes nothing: the route cache is always on; write null',
  ]);
  const sized = load({ server: { lruCache: { size: '500', ttl: '5' } } });
  assert.deepEqual([sized.config.limits.cacheEntriesMax, sized.config.storeTtlSeconds], [500, 5]);
  assert.equal(load({ server: { lruCache: { size: 0, ttl: 5 } } }).config.limits.cacheEntriesMax, 200_000);
  const off = load({ server: { retryOnError: false, tcpTimeout: false, staticDir: '' } });
  assert.deepEqual(
    [off.config.server.retryOnError, off.config.server.tcpTimeout, off.config.server.staticDir],
    [0, 0, null],
  );
  assert.equal(off.warnings.length, 3);
});

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { parseAdminBind } from './admin.ts';
import { censoredJson } from './censor.ts';
import { type LoadedConfig, loadConfig } from './load.ts';

const tokens = [{ name: 'panel', hash: `sha256:${'0'.repeat(64)}` }];

describe('the section admin', () => {
  const folder = mkdtempSync(join(tmpdir(), 'hipache-admin-config-'));
  after(() => rmSync(folder, { recursive: true, force: true }));

  function load(content: object | null, env: NodeJS.ProcessEnv = {}, isRoot = false): LoadedConfig {
    const file = join(folder, 'config.json');
    writeFileSync(file, JSON.stringify(content));
    return loadConfig({
      file: content === null ? undefined : file,
      env: { HOME: folder, ...env },
      cwd: folder,
      isRoot,
    });
  }

  test('is a socket by default, unless the configuration is one of Hipache 0.4', () => {
    const bind = (...args: Parameters<typeof load>) => load(...args).config.admin.bind;
    const modern = { limits: { connectionsMax: 100 } };
    assert.equal(bind(modern, {}, true), 'unix:/run/hipache/admin.sock');
    assert.equal(bind(null, { RUNTIME_DIRECTORY: '/run/own:/run/other' }), 'unix:/run/own/admin.sock');
    assert.equal(bind(modern, { XDG_RUNTIME_DIR: '/run/user/1000' }), 'unix:/run/user/1000/hipache/admin.sock');
    assert.equal(bind(modern, { XDG_RUNTIME_DIR: 'relative' }), null);
    assert.equal(bind({ server: { workers: 1 }, driver: 'redis:' }, {}, true), null);
    assert.equal(bind({ ...modern, admin: { bind: null } }, {}, true), null);
  });

  test('is printed as a file may have it, without hashes being secrets', () => {
    const admin = { bind: '[::1]:9902', tokens, hosts: ['Admin.Test'] };
    const printed = JSON.parse(censoredJson(load({ admin }).config)) as { admin: object };
    const again = load({ admin: printed.admin });
    assert.deepEqual(again.config.admin, {
      ...{ bind: '[::1]:9902', tokens: [{ ...tokens[0], access: 'read' }], hosts: ['admin.test'] },
      ...{ cert: null, key: null, clientCa: null },
    });
    assert.deepEqual(again.warnings, []);
  });

  const wrong: Readonly<Record<string, readonly [admin: object, problem: RegExp]>> = {
    'an address without tokens': [
      { bind: '127.0.0.1:9902' },
      /admin\.bind: found an address, allowed a socket: without/,
    ],
    'a relative path': [{ bind: 'unix:admin.sock' }, /admin\.bind: found "unix:admin\.sock", allowed "unix:" with an/],
    'a path that is too long': [{ bind: `unix:/${'x'.repeat(120)}` }, /admin\.bind: found /],
    'a port alone': [{ bind: 9902 }, /admin\.bind: found 9902/],
    'a token in clear': [
      { tokens: [{ name: 'a', hash: 'secret' }] },
      /admin\.tokens\[0\]\.hash: .*allowed "sha256:" with 64/,
    ],
    'a token twice': [{ tokens: [...tokens, ...tokens] }, /admin\.tokens: found the name panel twice/],
    'a certificate without its key': [{ cert: '/a' }, /admin\.key: found nothing, allowed a path: both or neither/],
    'an authority without a certificate': [{ clientCa: '/a' }, /admin\.clientCa: found a path, allowed only with/],
  };
  for (const [what, [admin, problem]] of Object.entries(wrong)) {
    test(`refuses ${what}`, () => {
      assert.throws(() => load({ admin }), problem);
    });
  }

  test('reads addresses', () => {
    assert.deepEqual(parseAdminBind('unix:/run/a.sock'), { kind: 'unix', path: '/run/a.sock' });
    assert.deepEqual(parseAdminBind('[::1]:9902'), { kind: 'tcp', address: '::1', port: 9902 });
    assert.deepEqual(parseAdminBind('localhost:0'), { kind: 'tcp', address: 'localhost', port: 0 });
    for (const none of ['', 'unix:', 'localhost', ':9902', '127.0.0.1:99999', '127.0.0.1:x', '::1:9902', null]) {
      assert.equal(parseAdminBind(none), null, String(none));
    }
  });
});

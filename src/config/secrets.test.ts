import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { type LoadedConfig, loadConfig } from './load.ts';

describe('a secret', () => {
  const folder = mkdtempSync(join(tmpdir(), 'hipache-secrets-'));
  after(() => rmSync(folder, { recursive: true, force: true }));

  function load(content: object, env: NodeJS.ProcessEnv = {}): LoadedConfig {
    const file = join(folder, 'config.json');
    writeFileSync(file, JSON.stringify(content));
    return loadConfig({ file, env: { HOME: folder, ...env }, cwd: '/', isRoot: false });
  }

  test('comes from a file beside the configuration, or from the environment', () => {
    writeFileSync(join(folder, 'passphrase'), 'from the file, 16 or more\n');
    const acme = {
      passphrase: { file: 'passphrase' },
      externalAccount: { keyId: 'k', hmacKey: { env: 'HMAC' } },
    };
    const driver = { env: 'STORE' };
    const { config, warnings } = load({ driver, acme }, { HMAC: 'h'.repeat(20), STORE: 'redis://:pw@127.0.0.1:6379' });
    assert.deepEqual(warnings, []);
    assert.equal(config.acme.passphrase, 'from the file, 16 or more');
    assert.equal(config.acme.externalAccount?.hmacKey, 'h'.repeat(20));
    assert.deepEqual(config.driver, ['redis://:pw@127.0.0.1:6379']);
  });

  for (const [what, passphrase, problem] of [
    ['a file that is not there', { file: 'none' }, /acme\.passphrase: the file none cannot be read: .*ENOENT/],
    [
      'a variable that is not set',
      { env: 'NONE' },
      /acme\.passphrase: found the variable "NONE", which .* does not have/,
    ],
    ['a value that is refused', { env: 'SHORT' }, /acme\.passphrase: .*allowed a text of 16 to 1024 characters/],
    ['both', { env: 'SHORT', file: 'x' }, /acme\.passphrase: found an object/],
    ['another object', { vault: 'x' }, /acme\.passphrase: found an object/],
  ] as const) {
    test(`is refused, and not shown, from ${what}`, () => {
      assert.throws(
        () => load({ acme: { passphrase } }, { SHORT: 'secret' }),
        (error: Error) => {
          assert.match(error.message, problem);
          assert.doesNotMatch(error.message, /secret"/);
          return true;
        },
      );
    });
  }

  test('of an unknown key is left alone', () => {
    assert.match(load({ http: { address: { env: 'X' } } }).warnings.join('\n'), /address/);
  });
});

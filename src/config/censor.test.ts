import assert from 'node:assert/strict';
import { test } from 'node:test';
import { censoredJson } from './censor.ts';
import { loadConfig } from './load.ts';

test('no key, certificate, passphrase or password is printed', () => {
  const { config } = loadConfig({ env: {}, cwd: '/', driver: 'redis://user:secret-1@host/0', isRoot: true });
  const tls = { key: 'secret-2', cert: 'secret-3', ca: ['secret-4'], passphrase: 'secret-5', ciphers: 'shown' };
  const options = { honorCipherOrder: null, secureProtocol: null, secureOptions: null };
  const bind = [
    {
      address: '::1',
      port: 443,
      proxyProtocol: false,
      halfClose: false,
      alpn: ['h2'] as const,
      ...tls,
      ...options,
    },
  ];
  const text = censoredJson({ ...config, https: { ...config.https, bind } });
  assert.doesNotMatch(text, /secret/);
  assert.match(text, /"ciphers": "shown"/);
  assert.match(text, /"redis:\/\/user:\*+@host\/0"/);
  assert.deepEqual(JSON.parse(text).limits, config.limits);
});

test('a password is hidden even in a malformed URL', () => {
  const { config } = loadConfig({ env: {}, cwd: '/', isRoot: true });
  for (const url of [
    'redis://secret@h/0',
    'redis+unix://secret@/run/r.sock',
    'redis://h?password=secret',
    'redis://:sec/ret@h',
    'redis://u:sec@ret@h',
    'rediss://u:secret@h#p@x',
    'redis://u:sec\nret@h',
  ]) {
    assert.doesNotMatch(censoredJson({ ...config, driver: [url] }), /sec|ret@/, url);
  }
});

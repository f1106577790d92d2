import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { censoredJson } from './censor.ts';
import { type LoadedConfig, loadConfig } from './load.ts';

const directory = 'https://authority.example/directory';
const https = { bind: '127.0.0.1' };

describe('the section acme', () => {
  const folder = mkdtempSync(join(tmpdir(), 'hipache-acme-config-'));
  after(() => rmSync(folder, { recursive: true, force: true }));

  function load(content: object): LoadedConfig {
    const file = join(folder, 'config.json');
    writeFileSync(file, JSON.stringify(content));
    return loadConfig({ file, env: { HOME: folder }, cwd: folder, isRoot: false });
  }

  test('is off without a directory', () => {
    const { config } = load({});
    assert.deepEqual(config.acme.directory, []);
    assert.equal(config.acme.hosts, 'listed');
  });

  test('takes one value or several', () => {
    const one = load({ https, acme: { directory, contact: 'a@b.example' } });
    assert.deepEqual([one.config.acme.directory, one.config.acme.contact], [[directory], ['a@b.example']]);
    assert.deepEqual(one.warnings, []);
    const two = load({ https, acme: { directory: [directory, `${directory}/2`], hosts: 'all' } });
    assert.deepEqual([two.config.acme.directory.length, two.config.acme.hosts], [2, 'all']);
  });

  for (const [what, acme, problem] of [
    [
      'a password in the URL of the DNS hook',
      { directory, dns: { url: 'https://u:secret@dns.example/' } },
      /acme\.dns\.url/,
    ],
    ['two DNS hooks', { directory, dns: { url: 'https://dns.example/', command: '/hook' } }, /acme\.dns: found both/],
    ['no DNS hook', { directory, dns: {} }, /acme\.dns: found neither/],
    ['a directory without https', { directory: 'http://authority.example' }, /acme\.directory/],
    ['a directory that is no URL', { directory: 'letsencrypt' }, /acme\.directory/],
    ['an empty list', { directory: [] }, /acme\.directory/],
    ['a contact that is no address', { directory, contact: 'mailto:a@b.example' }, /acme\.contact/],
    ['a short passphrase', { directory, passphrase: 'short' }, /acme\.passphrase/],
    ['a key that is not base64url', { directory, externalAccount: { keyId: 'k', hmacKey: 'not base64!' } }, /hmacKey/],
    ['an unknown word', { directory, hosts: 'every' }, /acme\.hosts/],
    ['no orders at all', { directory, ordersPerHourMax: 0 }, /acme\.ordersPerHourMax/],
  ] as const) {
    test(`refuses ${what}`, () => assert.throws(() => load({ https, acme }), problem));
  }

  test('refuses a store whose certificates are not used', () => {
    const content = { https: { ...https, key: 'k', cert: 'c', storeCertificates: false }, acme: { directory } };
    assert.throws(() => load(content), /https\.storeCertificates is false/);
  });

  test('warns of addresses that are missing', () => {
    assert.match(load({ acme: { directory } }).warnings.join('\n'), /no address has TLS/);
    const without = (challenges: readonly string[]) =>
      load({ http: { bind: [] }, https, acme: { directory, challenges } }).warnings.join('\n');
    assert.match(
      without(['http-01']),
      /acme\.challenges: no name can be proved: http-01 needs an address in http\.bind/,
    );
    assert.doesNotMatch(without(['http-01', 'tls-alpn-01']), /no name can be proved/);
  });

  test('shows no secret', () => {
    const secrets = { passphrase: 'p'.repeat(20), externalAccount: { keyId: 'customer', hmacKey: 'h'.repeat(20) } };
    const shown = censoredJson(load({ https, acme: { directory, ...secrets } }).config);
    assert.doesNotMatch(shown, /pppp|hhhh/);
    assert.match(shown, /"keyId": "customer"/);
  });
});

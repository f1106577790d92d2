import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { Authority, type Issued } from '../../test/helpers/authority.ts';
import { checkCertificate, coversPattern, notAfterMsOf } from './certificate.ts';

let authority: Authority;
let issued: Issued;

before(() => {
  authority = new Authority('Own authority');
  issued = authority.issue(['App.example.com', '*.example.com', '192.0.2.1']);
});

after(() => authority.dispose());

describe('a certificate and its key', () => {
  test('that match yield names, dates, issuer and key type', () => {
    const details = checkCertificate(issued.certificate + authority.certificate, issued.key);
    assert.deepEqual(details.names, ['app.example.com', '*.example.com', '192.0.2.1']);
    assert.equal(details.issuer, 'Own authority');
    assert.equal(details.keyType, 'ec');
    assert.ok(details.notBeforeMs <= Date.now() && details.notAfterMs > Date.now() + 20 * 86_400_000);
    const rsa = authority.issue(['rsa.example.com'], { keyType: 'rsa' });
    assert.equal(checkCertificate(rsa.certificate, rsa.key).keyType, 'rsa');
  });

  test('expire when OpenSSL says so, also after 2049', () => {
    const names = ['a.test'];
    const others = [{ days: -1 }, { days: 20_000 }, { keyType: 'rsa' }] as const;
    const texts = [issued, ...others.map((options) => authority.issue(names, options))].map((one) => one.certificate);
    for (const text of [...texts, authority.certificate + issued.certificate]) {
      assert.equal(notAfterMsOf(text), Date.parse(new X509Certificate(text).validTo));
    }
    assert.throws(() => notAfterMsOf(issued.key), { code: 'CERTIFICATE_INVALID' });
  });

  test('that are unusable are refused with a reason, which never shows the key', () => {
    const other = authority.issue(['other.example.com']);
    const cases: readonly [string, string, RegExp][] = [
      ['', issued.key, /^the certificate has no "-----BEGIN CERTIFICATE/],
      [issued.key, issued.key, /^the certificate has no "-----BEGIN CERTIFICATE/],
      [
        issued.certificate.replace(/\n[A-Za-z0-9+/]{20}/, '\nAAAAAAAAAAAAAAAAAAAA'),
        issued.key,
        /^certificate 1 of the chain/,
      ],
      [issued.certificate, '', /^the key has no "-----BEGIN/],
      [issued.certificate, issued.certificate, /^the key has no "-----BEGIN/],
      [
        issued.certificate,
        issued.key.replace(/\n[A-Za-z0-9+/]{20}/, '\nAAAAAAAAAAAAAAAAAAAA'),
        /^the key does not parse/,
      ],
      [issued.certificate, other.key, /^the key does not belong to the certificate/],
      [authority.certificate + issued.certificate, issued.key, /^the key does not belong to the certificate/],
      ['x'.repeat(300_000), issued.key, /longer than/],
    ];
    for (const [certificate, key, message] of cases) {
      assert.throws(
        () => checkCertificate(certificate, key),
        (error: Error & { code: string }) => {
          assert.equal(error.code, 'CERTIFICATE_INVALID');
          assert.match(error.message, message);
          for (const line of issued.key.split('\n').filter((text) => text.length > 10 && !text.startsWith('-')))
            assert.ok(!error.message.includes(line));
          return true;
        },
      );
    }
  });

  test('that are well-formed but too weak for OpenSSL are refused', () => {
    const { certificate, key } = authority.issue(['weak.example.com'], { keyType: 'weak' });
    assert.throws(() => checkCertificate(certificate, key), {
      code: 'CERTIFICATE_INVALID',
      message: /^OpenSSL refuses it: .*key too small/,
    });
  });

  test('an encrypted key needs its passphrase', () => {
    const encrypted = readFileSync(authority.encrypt(issued, 'open sesame'), 'latin1');
    assert.equal(checkCertificate(issued.certificate, encrypted, 'open sesame').keyType, 'ec');
    assert.throws(() => checkCertificate(issued.certificate, encrypted), { message: /has no passphrase/ });
    assert.throws(() => checkCertificate(issued.certificate, encrypted, 'wrong'), { message: /does not decrypt/ });
  });
});

test('a pattern is covered by its exact name or by a wildcard one label up', () => {
  const names = ['app.example.com', '*.example.com'];
  for (const pattern of ['app.example.com', 'x.example.com', '*.example.com', '*']) {
    assert.equal(coversPattern(names, pattern), true, pattern);
  }
  for (const pattern of ['example.com', 'a.b.example.com', '*.b.example.com', '*.com', 'com']) {
    assert.equal(coversPattern(names, pattern), false, pattern);
  }
});

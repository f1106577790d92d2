import assert from 'node:assert/strict';
import { constants } from 'node:crypto';
import { test } from 'node:test';
import { type TlsBindConfig, type TlsSettings, tlsSettings } from './bind-options.ts';

const nothing: TlsBindConfig = {
  key: null,
  cert: null,
  ca: [],
  passphrase: null,
  ciphers: null,
  honorCipherOrder: null,
  secureProtocol: null,
  secureOptions: null,
};

function read(bind: Partial<TlsBindConfig>): { settings: TlsSettings; warnings: string[] } {
  const warnings: string[] = [];
  return { settings: tlsSettings({ ...nothing, ...bind }, 'https', warnings), warnings };
}

test('no options give no settings', () => {
  assert.deepEqual(read({}), { settings: {}, warnings: [] });
});

test('the defaults of Hipache 0.4 give no warning', () => {
  const { settings, warnings } = read({
    ciphers: 'ECDHE-RSA-AES128-SHA256:AES128-GCM-SHA256:HIGH:!MD5:!aNULL:!EDH',
    honorCipherOrder: true,
    secureProtocol: 'SSLv23_method',
    secureOptions: 'SSL_OP_NO_SSLv2|SSL_OP_NO_SSLv3',
  });
  assert.deepEqual(warnings, []);
  assert.equal(settings.honorCipherOrder, true);
  assert.match(settings.ciphers ?? '', /^ECDHE/);
});

test('ciphers that OpenSSL rejects give a warning and the default', () => {
  for (const ciphers of ['RC4', 'no such cipher']) {
    const { settings, warnings } = read({ ciphers });
    assert.deepEqual(settings, {});
    assert.match(warnings.join(), /^https\.ciphers: today's OpenSSL has no cipher of the list/);
  }
});

test('protocol methods give versions, and obsolete ones a warning', () => {
  assert.deepEqual(read({ secureProtocol: 'TLSv1_2_method' }).settings, {
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.2',
  });
  assert.deepEqual(read({ secureProtocol: 'TLSv1_3_server_method' }).settings.minVersion, 'TLSv1.3');
  for (const secureProtocol of ['SSLv3_method', 'TLSv1_method', 'bogus']) {
    const { settings, warnings } = read({ secureProtocol });
    assert.deepEqual(settings, {});
    assert.match(warnings.join(), /is no longer supported; TLS 1\.2 and 1\.3 are$/);
  }
});

test('options can be a sum, digits or names, and unknown ones are named', () => {
  const sum = constants.SSL_OP_NO_SSLv3 + constants.SSL_OP_NO_TICKET;
  for (const secureOptions of [
    sum,
    String(sum),
    'SSL_OP_NO_SSLv3|SSL_OP_NO_TICKET',
    'SSL_OP_NO_SSLv3, SSL_OP_NO_TICKET',
  ]) {
    assert.deepEqual(read({ secureOptions }), {
      settings: { secureOptions: constants.SSL_OP_NO_TICKET },
      warnings: [],
    });
  }
  assert.deepEqual(read({ secureOptions: 'SSL_OP_NO_TLSv1' }), { settings: {}, warnings: [] });
  assert.match(
    read({ secureOptions: 'SSL_OP_BOGUS' }).warnings.join(),
    /^https\.secureOptions: SSL_OP_BOGUS unknown to today's OpenSSL/,
  );
  assert.match(read({ secureOptions: 0x20_0000 }).warnings.join(), /^https\.secureOptions: 0x200000 /);
});

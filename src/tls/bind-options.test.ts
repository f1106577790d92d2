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

test('nothing given is nothing set', () => {
  assert.deepEqual(read({}), { settings: {}, warnings: [] });
});

test('what the original had as defaults gives no warning', () => {
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

test('ciphers that OpenSSL refuses give a warning and the default', () => {
  for (const ciphers of ['RC4', 'no such cipher']) {
    const { settings, warnings } = read({ ciphers });
    assert.deepEqual(settings, {});
    assert.match(warnings.join(), /^https\.ciphers: no cipher of today's OpenSSL/);
  }
});

test('protocol methods give versions, those of the past a warning', () => {
  assert.deepEqual(read({ secureProtocol: 'TLSv1_2_method' }).settings, {
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.2',
  });
  assert.deepEqual(read({ secureProtocol: 'TLSv1_3_server_method' }).settings.minVersion, 'TLSv1.3');
  for (const secureProtocol of ['SSLv3_method', 'TLSv1_method', 'bogus']) {
    const { settings, warnings } = read({ secureProtocol });
    assert.deepEqual(settings, {});
    assert.match(warnings.join(), /is not served any more; TLS 1\.2 and 1\.3 are$/);
  }
});

test('options are read as a sum, as digits, or as names; what means nothing is named', () => {
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
    /^https\.secureOptions: SSL_OP_BOGUS mean nothing/,
  );
  assert.match(read({ secureOptions: 0x20_0000 }).warnings.join(), /^https\.secureOptions: 0x200000 /);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openText, sealText } from './sealed-text.ts';

const passphrase = 'a secret of the whole fleet';

test('a sealed text is opened by its passphrase alone', () => {
  const sealed = sealText('söme text', passphrase);
  assert.doesNotMatch(sealed, /text/);
  assert.notEqual(sealed, sealText('söme text', passphrase));
  assert.equal(openText(sealed, passphrase), 'söme text');
  assert.throws(() => openText(sealed, `${passphrase}!`), /all instances need the same passphrase/);
  assert.throws(() => openText(sealed, null), /there is no passphrase/);
});

test('a sealed text that was changed is not opened', () => {
  const sealed = sealText('text', passphrase);
  for (const broken of [
    sealed.slice(0, -4),
    `${sealed.slice(0, 20)}AAAA${sealed.slice(24)}`,
    'sealed:',
    'sealed:AAAA',
  ]) {
    assert.throws(() => openText(broken, passphrase), /cannot be decrypted/);
  }
});

test('a text that is not sealed is taken as it is', () => {
  assert.equal(openText('[]', passphrase), '[]');
  assert.equal(openText('[]', null), '[]');
});

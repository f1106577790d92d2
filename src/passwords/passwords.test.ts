import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { hashPassword, parsePasswordHash } from './password-hash.ts';
import { Passwords } from './passwords.ts';

const passwords = new Passwords();
after(() => passwords.close());

/** Of "U*U": a vector of crypt_blowfish. */
const bcrypt = '$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW';

test('a hash of argon2id is that of its password, and of no other', async () => {
  const hash = await hashPassword('pässword 1');
  assert.equal(await passwords.check('pässword 1', hash), true);
  assert.equal(await passwords.check('pässword 2', hash), false);
  assert.notEqual(await hashPassword('pässword 1'), hash);
});

test('bcrypt is checked in every spelling, in a thread that is started again when it is needed', async () => {
  for (const kind of ['2a', '2b', '2y']) {
    const hash = bcrypt.replace('$2a$', `$${kind}$`);
    assert.equal(await passwords.check('U*U', hash), true);
    assert.equal(await passwords.check('U*V', hash), false);
  }
  await passwords.close();
  assert.equal(await passwords.check('U*U', bcrypt), true);
});

test('texts that are no hash, and hashes that take too much, match nothing', async () => {
  const salted = '$c2FsdHNhbHQ$aGFzaGhhc2g';
  for (const text of ['', 'secret', '$1$x$y', bcrypt.replace('$05$', '$03$'), bcrypt.replace('$05$', '$31$')]) {
    assert.equal(parsePasswordHash(text), null, text);
    assert.equal(await passwords.check('secret', text), false);
  }
  assert.notEqual(parsePasswordHash(`$argon2id$v=19$m=4096,t=2,p=1${salted}`), null);
  for (const parameters of [
    'm=4194304,t=1,p=1',
    'm=4096,t=99,p=1',
    'm=4096,t=0,p=1',
    'm=7,t=1,p=1',
    'm=4096,t=1,p=99',
  ]) {
    assert.equal(parsePasswordHash(`$argon2id$v=19$${parameters}${salted}`), null, parameters);
  }
});

test('more checks than may wait are refused at once, and the others are made', async () => {
  const results = await Promise.allSettled(Array.from({ length: 120 }, () => passwords.check('U*U', bcrypt)));
  const refused = results.filter(({ status }) => status === 'rejected');
  assert.equal(refused.length, 120 - 102);
  for (const result of results) if (result.status === 'fulfilled') assert.equal(result.value, true);
});

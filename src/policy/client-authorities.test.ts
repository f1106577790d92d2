import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Authority } from '../../test/helpers/authority.ts';
import { clientAuthorities } from './client-authorities.ts';
import { optionsInForce, problemsOf } from './read-options.ts';

describe('the option clientCa', () => {
  let one: Authority;
  let other: Authority;

  before(() => {
    [one, other] = [new Authority('One'), new Authority('Other')];
  });
  after(() => {
    one?.dispose();
    other?.dispose();
  });

  const valuesOf = (options: Record<string, string>) =>
    optionsInForce([{ pattern: 'a.com', options: new Map(Object.entries(options)) }]).values;

  test('takes certificates of authorities, with text between them, and skips others', () => {
    const { certificate } = one.issue(['client.test']);
    const broken = one.certificate.replace(/MII/, 'AAA');
    const text = `# ours\n${one.certificate}\n# a client\n${certificate}\n${broken}\n${other.certificate}`;
    assert.deepEqual(problemsOf('clientCa', text), [
      'option clientCa: certificate 2 (CN=client.test) is not that of an authority, and is skipped',
      'option clientCa: certificate 3 cannot be read, and is skipped',
    ]);
    assert.equal(valuesOf({ clientCa: text }).clientCa?.texts.length, 2);
  });

  test('without a right one has no authority, and the certificate of nobody is right', () => {
    for (const text of ['', 'none', one.certificate.replace('BEGIN', 'BEGUN'), 'x'.repeat(70_000)]) {
      assert.notEqual(problemsOf('clientCa', text).length, 0);
      assert.equal(valuesOf({ clientCa: text }).clientCa, null);
    }
    const many = one.certificate.repeat(51);
    assert.deepEqual(problemsOf('clientCa', many), [
      'option clientCa: 51 certificates; those after the first 50 are skipped',
    ]);
  });

  test('with a private key is refused, and shows nothing of it', () => {
    const { certificate, key } = one.issue(['client.test']);
    assert.deepEqual(problemsOf('clientCa', key + certificate), [
      'option clientCa: it has a private key, which nobody else should have: no certificate of a client is right',
    ]);
    assert.equal(valuesOf({ clientCa: key + one.certificate }).clientCa, null);
  });

  test('clientCert counts as required if its value cannot be used', () => {
    for (const text of ['', 'yes', 'Required']) {
      assert.notEqual(problemsOf('clientCert', text).length, 0);
      assert.equal(valuesOf({ clientCert: text }).clientCert, 'required');
    }
    assert.equal(valuesOf({ clientCert: 'optional' }).clientCert, 'optional');
  });

  test('the same authorities have the same id, others another', () => {
    const id = (text: string) => clientAuthorities.parse(text, [])?.id;
    assert.equal(id(one.certificate), id(`\n${one.certificate}`));
    assert.notEqual(id(one.certificate), id(other.certificate));
  });
});

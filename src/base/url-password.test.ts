import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withoutPassword } from './url-password.ts';

test('a password is replaced, whatever characters it has', () => {
  assert.equal(withoutPassword('redis://u:hunter2@h:1/2#p'), 'redis://u:********@h:1/2#p');
  assert.equal(withoutPassword('redis://:hunter2@h'), 'redis://:********@h');
  for (const password of ['hun/ter2', 'hun?ter2', 'hun#ter2', 'hun@ter2', 'hun:ter2', 'hun\nter2']) {
    assert.equal(withoutPassword(`redis://u:${password}@h`), 'redis://u:********@h');
  }
});

test('a text without a password is unchanged', () => {
  for (const text of ['sqlite:/a:b@c', 'redis://u@h', 'redis://h:6379/0', ''])
    assert.equal(withoutPassword(text), text);
});

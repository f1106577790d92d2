import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HipacheError } from '../../base/errors.ts';
import { parseSqliteUrl } from './sqlite-url.ts';

const context = { directory: '/etc/hipache', environment: {}, userId: 0 };

test('sqlite names a file: absolute, relative to the directory given, or the default', () => {
  const path = (value: string) => parseSqliteUrl(value, context);
  assert.equal(path('sqlite:/var/lib/x.db'), '/var/lib/x.db');
  assert.equal(path('sqlite:///var/lib/x.db'), '/var/lib/x.db');
  assert.equal(path('sqlite:data/x.db'), '/etc/hipache/data/x.db');
  assert.equal(path('sqlite:./a b#c%20.db'), '/etc/hipache/a b#c%20.db');
  assert.equal(path('sqlite:'), '/var/lib/hipache/routes.sqlite');
  assert.equal(path('SQLite://'), '/var/lib/hipache/routes.sqlite');
});

test('what is no file is refused with what is wrong', () => {
  for (const [value, message] of [
    ['sqlite://host/path', /no host/],
    ['sqlite::memory:', /every process/],
    ['sqlite:/a\0b', /every process/],
  ] as const) {
    assert.throws(() => parseSqliteUrl(value, context), { code: 'COMMAND_INVALID', message });
  }
});

test('no text makes the parser fail otherwise', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        assert.ok(parseSqliteUrl(`sqlite:${text}`, context).startsWith('/'));
      } catch (error) {
        assert.ok(error instanceof HipacheError, String(error));
      }
    }),
  );
});

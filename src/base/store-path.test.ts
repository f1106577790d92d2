import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultStorePath } from './store-path.ts';

test('the default store is in the state directory of systemd, of root or of the user', () => {
  assert.equal(defaultStorePath({ STATE_DIRECTORY: '/s/one:/s/two' }, false), '/s/one/routes.sqlite');
  assert.equal(defaultStorePath({}, true), '/var/lib/hipache/routes.sqlite');
  assert.equal(defaultStorePath({ XDG_STATE_HOME: '/h/s', HOME: '/h' }, false), '/h/s/hipache/routes.sqlite');
  assert.equal(
    defaultStorePath({ XDG_STATE_HOME: 'relative', HOME: '/h' }, false),
    '/h/.local/state/hipache/routes.sqlite',
  );
});

test('without any such directory it says what to set', () => {
  assert.throws(() => defaultStorePath({}, false), { code: 'CONFIG_INVALID', message: /--driver sqlite:PATH/ });
});

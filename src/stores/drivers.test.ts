import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeDriver, openStore } from './open-store.ts';

test('a store that this version has no driver for is refused with those that it has', async () => {
  await assert.rejects(openStore('mongodb://x'), { code: 'STORE_UNSUPPORTED', message: /supported are sqlite:PATH/ });
  await assert.rejects(openStore(['sqlite:a', 'sqlite:b']), { code: 'STORE_UNSUPPORTED', message: /one file/ });
  await assert.rejects(openStore(['redis:', 'sqlite:b']), { code: 'STORE_UNSUPPORTED', message: /one store/ });
  await assert.rejects(openStore([]), { code: 'COMMAND_INVALID' });
});

test('a store is described without being opened: its name, its files, and whether instances share it', () => {
  assert.deepEqual(describeDriver('sqlite:x.db', { directory: '/data' }), {
    name: '/data/x.db',
    files: ['/data/x.db', '/data/x.db-wal', '/data/x.db-shm'],
    shared: false,
  });
  assert.deepEqual(describeDriver('file:r.yaml', { directory: '/data', environment: { STATE_DIRECTORY: '/state' } }), {
    name: '/data/r.yaml',
    files: [],
    readFiles: ['/data/r.yaml'],
    optionalFiles: ['', '-wal', '-shm'].map((suffix) => `/state/marks-e2bf7a42a747ea7f.sqlite${suffix}`),
    shared: false,
  });
  const server = { files: [], shared: true };
  assert.deepEqual(describeDriver('Rediss://u:secret@h'), { ...server, name: 'rediss://h:6379' });
  assert.deepEqual(describeDriver(['redis:', 'redis://:secret@[::1]:7']), {
    ...server,
    name: 'redis://127.0.0.1:6379, redis://[::1]:7',
  });
  assert.deepEqual(describeDriver(['etcds://u:secret@h/#p', 'etcds://[::1]:7']), {
    ...server,
    name: 'etcds://h:2379,[::1]:7',
  });
  assert.deepEqual(describeDriver(['memcached://h#p', 'memcached://[::1]:7']), {
    ...server,
    name: 'memcached://h:11211,[::1]:7',
  });
  assert.deepEqual(describeDriver('redis+cluster://u:secret@a,b:7#p'), {
    ...server,
    name: 'redis+cluster://a:6379,b:7',
  });
  assert.deepEqual(describeDriver('redis+unix:///run/r.sock'), { ...server, name: 'redis+unix:///run/r.sock' });
});

test('a description refuses what opening would refuse, before it opens anything', () => {
  const unsupported = { code: 'STORE_UNSUPPORTED' };
  assert.throws(() => describeDriver('mongodb://a'), {
    ...unsupported,
    message:
      'driver: mongodb: is not a known store; supported are sqlite:PATH, file:PATH, redis://HOST:PORT, etcd://HOST:PORT, ' +
      'memcached://HOST:PORT, and zookeeper://HOST:PORT; a package hipache-store-mongodb would add it',
  });
  assert.throws(() => describeDriver('ectd://a'), {
    ...unsupported,
    message: /not a known store \(did you mean etcd:\?\)/,
  });
  assert.throws(() => describeDriver('redis+clutser://a'), { ...unsupported, message: /did you mean redis\+cluster:/ });
  assert.throws(() => describeDriver(['redis:', 'file:a.yaml']), { ...unsupported, message: /one store/ });
  assert.throws(() => describeDriver(['file:a.yaml', 'file:b.yaml']), { ...unsupported, message: /one file/ });
  assert.throws(() => describeDriver(['sqlite:a', 'redis:']), { ...unsupported, message: /one store/ });
  assert.throws(() => describeDriver(['redis:', 'redis:', 'redis:']), { ...unsupported, message: /3 URLs/ });
  for (const driver of [
    'routes.db',
    'file:',
    'file:a',
    'file://h/a.yaml',
    'redis://h/name',
    'sqlite::memory:',
    'etcd://h:99999',
  ]) {
    assert.throws(() => describeDriver(driver), { code: 'COMMAND_INVALID' });
  }
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { engineAddress, shownEngine } from './engine-address.ts';

function shown(
  given: string | undefined,
  env: Readonly<Record<string, string>> = {},
  existing: readonly string[] = [],
): string {
  return shownEngine(engineAddress(given, env, (path) => existing.includes(path)));
}

test('the API is where the option says, else the environment, else where engines usually have it', () => {
  assert.equal(shown('/a.sock', { DOCKER_HOST: 'tcp://x' }), '/a.sock');
  assert.equal(shown('unix:///a.sock'), '/a.sock');
  assert.equal(shown('tcp://10.0.0.1'), 'http://10.0.0.1:2375');
  assert.equal(shown(undefined, { DOCKER_HOST: 'tcp://10.0.0.1:99' }), 'http://10.0.0.1:99');
  assert.equal(shown(undefined, { DOCKER_HOST: 'tcp://a', DOCKER_TLS_VERIFY: '1' }), 'https://a:2376');
  assert.equal(shown('https://a:1'), 'https://a:1');
  assert.equal(shown(undefined, {}), '/run/docker.sock');
  assert.equal(shown(undefined, {}, ['/run/podman/podman.sock']), '/run/podman/podman.sock');
  const own = '/run/user/1000/podman/podman.sock';
  assert.equal(shown(undefined, { XDG_RUNTIME_DIR: '/run/user/1000' }, [own]), own);
});

test('an address of another kind is refused, with its place', () => {
  assert.throws(() => shown('ssh://a'), /--socket: found "ssh:\/\/a", allowed/);
  assert.throws(() => shown(undefined, { DOCKER_HOST: 'a.sock' }), /DOCKER_HOST: found "a\.sock", allowed/);
  assert.throws(() => shown('tcp://'), /--socket: found "tcp:\/\/"/);
});

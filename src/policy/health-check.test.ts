import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { policyServices } from '../../test/helpers/policy-services.ts';
import { testPolicy } from '../../test/helpers/test-proxy.ts';
import { PolicyCompiler } from './policy-compiler.ts';
import { problemsOf } from './read-options.ts';

const compiler = new PolicyCompiler(testPolicy(), policyServices);
const checkOf = (options: Readonly<Record<string, string>>, inherited: Readonly<Record<string, string>> = {}) =>
  compiler.compile([
    { pattern: 'a.com', options: new Map(Object.entries(options)) },
    { pattern: '*', options: new Map(Object.entries(inherited)) },
  ]).health;

const usual = {
  path: '/up',
  statusMin: 200,
  statusMax: 299,
  text: null,
  intervalMs: 10_000,
  timeoutMs: 5000,
  failuresWanted: 3,
  successesWanted: 2,
  host: null,
};

describe('the options of health checks', () => {
  test('check nothing without a path', () => {
    assert.equal(checkOf({ healthInterval: '1s', healthDown: '1' }), null);
    assert.equal(checkOf({ healthPath: 'off' }), null);
  });

  test('have defaults beside the path', () => {
    assert.deepEqual(checkOf({ healthPath: '/up' }), usual);
  });

  test('make the whole check', () => {
    const options = {
      healthPath: '/up?full=1',
      healthInterval: '1m',
      healthTimeout: '250ms',
      healthStatus: '200-399',
      healthText: 'all good, ça va',
      healthDown: '1',
      healthUp: '100',
      backendHost: 'app.internal',
    };
    assert.deepEqual(checkOf(options), {
      path: '/up?full=1',
      statusMin: 200,
      statusMax: 399,
      text: 'all good, ça va',
      intervalMs: 60_000,
      timeoutMs: 250,
      failuresWanted: 1,
      successesWanted: 100,
      host: { value: 'app.internal' },
    });
    assert.equal(checkOf({ healthPath: '/', healthStatus: '204' })?.statusMax, 204);
  });

  test('are inherited one by one, and end with a value of the host', () => {
    const all = { healthPath: '/up', healthInterval: '30s', healthText: 'ok' };
    assert.deepEqual(checkOf({}, all), { ...usual, intervalMs: 30_000, text: 'ok' });
    assert.deepEqual(checkOf({ healthText: 'none', healthDown: '5' }, all), {
      ...usual,
      intervalMs: 30_000,
      failuresWanted: 5,
    });
    assert.equal(checkOf({ healthPath: 'off' }, all), null);
  });

  test('refuse what cannot be asked for or expected', () => {
    const wrong = {
      healthPath: ['', 'up', 'http://a/up', '/a b', '/ü', `/${'x'.repeat(1024)}`, '/a\r\nX: y'],
      healthInterval: ['0s', '999ms', '61m', '10'],
      healthTimeout: ['99ms', '61s'],
      healthStatus: ['20', '600', '300-200', '200-', '2xx'],
      healthText: ['', 'two\nlines', 'x'.repeat(1025)],
      healthDown: ['0', '101'],
      healthUp: ['0', '101'],
    };
    for (const [name, values] of Object.entries(wrong)) {
      for (const value of values) assert.equal(problemsOf(name, value).length, 1, `${name} ${value}`);
    }
    assert.deepEqual(problemsOf('healthPath', `/${'x'.repeat(1023)}`), []);
  });
});

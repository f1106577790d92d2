import assert from 'node:assert/strict';
import { test } from 'node:test';
import { policyServices } from '../../test/helpers/policy-services.ts';
import { testPolicy } from '../../test/helpers/test-proxy.ts';
import { PolicyCompiler } from './policy-compiler.ts';

const compiler = new PolicyCompiler(testPolicy(), policyServices);

/** @param layers patterns with their options, most specific first. */
function policyOf(layers: Readonly<Record<string, Readonly<Record<string, string>>>>) {
  return compiler.compile(
    Object.entries(layers).map(([pattern, options]) => ({ pattern, options: new Map(Object.entries(options)) })),
  );
}

test('a host that is paused pauses its paths, and a wildcard no host', () => {
  const pause = { pause: 'on' };
  assert.equal(policyOf({ 'a.com/api': {}, 'a.com': pause }).isPaused, true);
  assert.equal(policyOf({ 'a.com/api': { pause: 'off' }, 'a.com': pause }).isPaused, false);
  assert.equal(policyOf({ 'a.com/api': {}, '*.com': pause }).isPaused, false);
  assert.equal(policyOf({ 'a.com': {}, '*.com': pause }).isPaused, false);
  assert.equal(policyOf({ '*.com/api': {}, '*.com': pause, '*': {} }).isPaused, true);
});

test('a path has neither the paths nor the redirect of its host', () => {
  const { paths, rules } = policyOf({ 'a.com/api': {}, 'a.com': { paths: '/api', redirect: 'b.com' } });
  assert.deepEqual([paths, rules], [null, null]);
});

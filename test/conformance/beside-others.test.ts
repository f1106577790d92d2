import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { isValid } from '../../conformance/judge.ts';
import { cellOf, isFailure } from '../../conformance/page.ts';
import { ComparedProxies, type ComparedProxy } from '../../conformance/proxies.ts';
import { type CaseResult, type ProxyResults, runAll } from '../../conformance/run-all.ts';
import { topics } from '../../conformance/topics/all.ts';
import { root } from '../../scripts/files.ts';

/** The short form of `npm run conformance`: all cases through Hipache, a few through nginx. */

/** Hipache responds to each case. So long may it take on a machine with other work, in ms. */
const answerMsMax = 20_000;

const cases = topics.flatMap((topic) => topic.cases);
const proxies = new ComparedProxies();

after(() => proxies.stop());

describe('the conformance cases', () => {
  test('are at least 400, with ids that are used once', () => {
    assert.ok(cases.length >= 400);
    assert.deepEqual(
      cases.map(({ id }) => id).filter((id, at, all) => all.indexOf(id) !== at),
      [],
    );
  });

  test('have a source, something that is right, and a reason only where Hipache differs', () => {
    for (const one of cases) {
      assert.match(one.source, /\S/, one.id);
      assert.notEqual(one.right.length, 0, one.id);
      assert.match(one.id, /^[a-z0-9-]+$/);
    }
    assert.ok(cases.filter(isValid).length > 200);
  });
});

describe('Hipache', { timeout: 300_000 }, () => {
  let results: ProxyResults;

  before(async () => {
    results = await runAll(cases, await proxies.start('hipache'), answerMsMax);
  });

  const resultOf = (id: string): CaseResult => results.get(id) as CaseResult;

  for (const { name, cases: ofTopic } of topics) {
    test(`meets the cases of ${name}`, () => {
      const failed = ofTopic.filter((one) => isFailure(one, resultOf(one.id).verdict) !== (one.defect !== undefined));
      assert.deepEqual(
        failed.map(({ id }) => `${id}: ${resultOf(id).verdict.text}`),
        [],
      );
    });
  }

  test('does what docs/conformance.md says (npm run conformance writes it)', () => {
    const page = readFileSync(join(root, 'docs', 'conformance.md'), 'utf8');
    const rows = new Map(
      [...page.matchAll(/^\| [^\n]*\(`([a-z0-9-]+)`\) \| [^|]* \| \w+ \| ((?:[^|\\]|\\.)*) \|/gm)].map(
        ([, id = '', cell = '']) => [id, cell] as const,
      ),
    );
    const outdated = cases.filter(({ id }) => rows.get(id) !== cellOf(resultOf(id).verdict));
    assert.deepEqual(
      outdated.map(({ id }) => `${id}: ${rows.get(id)}, now ${cellOf(resultOf(id).verdict)}`),
      [],
    );
    assert.equal(rows.size, cases.length);
  });
});

test('nginx is told apart by the same cases', async () => {
  const expected: Readonly<Record<string, string>> = {
    'target-path': '✓ forwarded',
    'host-twice': '✓ 400',
    nominated: '✗ forwarded: `x-hop` present',
    'chunk-plus': '✓ 400',
  };
  const proxy: ComparedProxy = await proxies.start('nginx');
  const some = cases.filter(({ id }) => id in expected);
  const results = await runAll(some, proxy, answerMsMax);
  const cells = some.map(({ id }) => [id, cellOf((results.get(id) as CaseResult).verdict)]);
  assert.deepEqual(Object.fromEntries(cells), expected);
});

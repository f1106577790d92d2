import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wordProblems } from './words.ts';

/** The problems of a file, without its path. */
function problems(path: string, ...lines: readonly string[]): readonly string[] {
  return wordProblems([{ path, text: lines.join('\n') }]).map((problem) => problem.slice(path.length + 1));
}

test('a phrase in Markdown is a problem, with its line and what to write', () => {
  assert.deepEqual(problems('README.md', 'Fine.', '', 'The worker is told the rest.'), [
    '3: the phrase "is told"; write "receives", "learns" or "is notified"',
  ]);
});

test('a phrase is found in any case, across the end of a line, and in tables and lists', () => {
  const count = (...lines: readonly string[]) => problems('docs/a.md', ...lines).length;
  assert.equal(count('Where There Is None'), 1);
  assert.equal(count('it waits for', 'ever'), 1);
  assert.equal(count('it waits for', '', 'ever longer times'), 1);
  assert.equal(count('| a | it shall |'), 1);
  assert.equal(count('- an interim (1xx) answer'), 1);
  assert.equal(count('forever, reminded, marshall, suspected, retold'), 0);
});

test('code, comments, link targets and generated parts of Markdown are not looked at', () => {
  const text = [
    '```',
    'whoever',
    '```',
    'the key `as a rule` and ``last words``, [a link](who-asks.md#what-shall)',
    '<!-- shall -->',
    '<!-- generated: keys; npm run docs writes it -->',
    'for ever',
    '<!-- end of generated -->',
    '<!-- bench:run -->',
    'own answer',
    '<!-- /bench:run -->',
  ];
  assert.deepEqual(problems('docs/a.md', ...text), []);
  assert.equal(problems('docs/a.md', ...text, 'for ever').length, 1);
});

test('a sentence whose subject is a relative clause is a problem; a question, a heading or a title is none', () => {
  const count = (...lines: readonly string[]) => problems('docs/a.md', ...lines).length;
  assert.equal(count('What is known is served.'), 1);
  assert.equal(count('It stops. Who waits is served', 'first.'), 1);
  assert.equal(count('- **Note.** What is known is served.'), 1);
  assert.equal(count('| What is known is served | yes |'), 1);
  assert.equal(count('What is served?', '', 'What to do: restart it.'), 0);
  assert.equal(count('## What was tried'), 0);
  assert.equal(count('It knows what is served and who asked.'), 0);
});

test('"no more" is a problem in the sense of "no longer" alone', () => {
  const count = (line: string) => problems('docs/a.md', line).length;
  assert.equal(count('the mark is no more its own'), 1);
  assert.equal(count('there are no more ports; they are no more than two; it accepts no more connections'), 0);
});

test('comments and strings of the source are looked at, each sentence across its lines', () => {
  const text = [
    '/**',
    ' * The worker is',
    ' * told the rest. What is left, goes.',
    ' */',
    "const a = 'it shall'; // Who waits, waits.",
    `const b = \`it \${a + \`was told \${a}\`} for ever\`;`,
    "const c = /shall/.test(a) ? a / 2 : 'told\\nof'; // `shall`",
  ];
  assert.deepEqual(
    problems('src/base/a.ts', ...text).map((problem) => problem.slice(0, problem.indexOf(';'))),
    [
      '2: the phrase "is told"',
      '3: the phrase "What …" as the subject of a sentence',
      '5: the phrase "shall"',
      '5: the phrase "Who …" as the subject of a sentence',
      '6: the phrase "was told"',
      '6: the phrase "for ever"',
    ],
  );
});

test('words of names are found in any case, in singular and plural, in code alone', () => {
  const names = (line: string) => problems('src/base/a.ts', line).map((problem) => /"(\w+)"/.exec(problem)?.[1]);
  assert.deepEqual(names('const ownAnswers = new HeldBody(interimMax, LAST_WORDS, rareProblems);'), [
    'ownAnswers',
    'HeldBody',
    'interimMax',
    'LAST_WORDS',
    'rareProblems',
  ]);
  assert.deepEqual(names("import { a } from './held-body.ts'; // heldBody, `HeldBody`"), []);
  assert.deepEqual(names('const owner = answer(heldMs, lastWord, handed.over);'), []);
});

test('other files are not looked at', () => {
  assert.deepEqual(problems('scripts/a.ts', "const a = 'shall';"), []);
  assert.deepEqual(problems('src/a.json', '"shall"'), []);
});

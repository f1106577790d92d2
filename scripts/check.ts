// npm run check: everything that can be said of the repository without running it. Reports all, then fails.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { documentationProblems } from './docs.ts';
import { readFiles, root, type SourceFile, sourceFolders } from './files.ts';
import { importProblems } from './imports.ts';
import { run } from './run.ts';
import { wordProblems } from './words.ts';

const linesMax = 500;
const linesAim = 250;
const functionLinesMax = 70;

interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly output: string;
}

const verbose = process.argv.includes('--verbose');
const files = [...readFiles(sourceFolders, '.ts'), ...readFiles(['dashboard'], '.tsx')];
const pages = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'SECURITY.md'].map((path) => ({
  path,
  text: readFileSync(join(root, path), 'utf8'),
}));
const bin = join(root, 'node_modules', '.bin');

const checks = await Promise.all([
  program('types', join(bin, 'tsc'), ['-p', '.']),
  program('types of the dashboard', join(bin, 'tsc'), ['-p', 'dashboard']),
  // Findings of the level "info" are matters of taste, and one of them contradicts a setting of tsc.
  program('format and lint', process.execPath, [
    // By its package rather than by its link in .bin, so that knip sees that it is used.
    fileURLToPath(import.meta.resolve('@biomejs/biome/bin/biome')),
    'check',
    '--error-on-warnings',
    '--diagnostic-level=warn',
    '--max-diagnostics=100',
    // Not the documentation: it would align its tables, whose rows are long.
    ...[...sourceFolders, 'package.json', 'tsconfig.json', 'biome.json', 'knip.json'].filter((path) =>
      existsSync(join(root, path)),
    ),
  ]),
  program('dead files, exports, dependencies', join(bin, 'knip'), ['--no-progress']),
  list('import directions', importProblems(files)),
  list('file length', files.flatMap(tooLong)),
  list('function length', files.flatMap(tooLongFunctions)),
  list('words', wordProblems([...files, ...readFiles(['docs'], '.md'), ...pages])),
  list('names of types', repeatedTypeNames(files)),
  list('private members', files.flatMap(hashMembers)),
  list('unfinished work', files.flatMap(unfinished)),
  list('documentation', documentationProblems()),
]);

for (const check of checks) {
  process.stdout.write(`${check.ok ? 'ok  ' : 'FAIL'}  ${check.name}\n`);
  if (!check.ok) process.stdout.write(`${check.output.trimEnd().replace(/^(?=.)/gm, '      ')}\n`);
}
if (verbose) {
  const long = files
    .map(({ path, text }) => ({ path, lines: lineCount(text) }))
    .filter(({ lines }) => lines > linesAim);
  for (const { path, lines } of long) process.stdout.write(`      ${path}: ${lines} lines, more than ${linesAim}\n`);
}
const failed = checks.filter((check) => !check.ok);
process.stdout.write(
  failed.length === 0
    ? `\nAll ${checks.length} checks passed.\n`
    : `\n${failed.length} of ${checks.length} checks failed: ${failed.map((check) => check.name).join('; ')}.\n`,
);
process.exitCode = failed.length === 0 ? 0 : 1;

async function program(name: string, path: string, args: readonly string[]): Promise<Check> {
  const { code, output } = await run(path, args);
  return { name, ok: code === 0, output };
}

function list(name: string, problems: readonly string[]): Check {
  return { name, ok: problems.length === 0, output: problems.join('\n') };
}

function tooLong({ path, text }: SourceFile): string[] {
  const lines = lineCount(text);
  return lines > linesMax ? [`${path}: ${lines} lines, at most ${linesMax} are allowed`] : [];
}

/** Functions of src/ that are too long, unless the comment above gives the reason: "In one piece, …". */
function tooLongFunctions({ path, text }: SourceFile): string[] {
  if (!path.startsWith('src/') || /\.(test|suite)\.ts$/.test(path)) return [];
  const lines = text.split('\n');
  return lines.flatMap((line, start) => {
    // As the formatter leaves them: functions at the margin, methods one step in, the brace at the end of the line.
    const [, indent] =
      /^( {0,2})(?! |if |for |while |switch |class |export (?:abstract )?class |\}).*\) *(?::.*)?\{$/.exec(line) ?? [];
    if (indent === undefined) return [];
    const length = lines.slice(start).findIndex((other) => other === `${indent}}`) + 1;
    const reason = lines.slice(Math.max(0, start - 4), start).some((other) => /In one piece[:,]/.test(other));
    return length > functionLinesMax && !reason
      ? [`${path}:${start + 1}: a function of ${length} lines, at most ${functionLinesMax} are allowed`]
      : [];
  });
}

/** Names that two types of src/ have: a reader takes one for the other. */
function repeatedTypeNames(all: readonly SourceFile[]): string[] {
  const paths = new Map<string, string[]>();
  for (const { path, text } of all) {
    if (!path.startsWith('src/') || /\.(test|suite)\.ts$/.test(path)) continue;
    for (const [, name = ''] of text.matchAll(/^(?:export )?(?:abstract )?(?:interface|type|class) (\w+)/gm)) {
      // A value and its type may share a name in one file.
      const known = paths.get(name) ?? [];
      if (!known.includes(path)) paths.set(name, [...known, path]);
    }
  }
  return [...paths].filter(([, at]) => at.length > 1).map(([name, at]) => `${name}: a type in ${at.join(' and in ')}`);
}

/** The whole tree has one way of private members: the keyword. */
function hashMembers({ path, text }: SourceFile): string[] {
  return text.split('\n').flatMap((line, index) => {
    const isMember = /^ +(?:(?:static|readonly|async|get|set) )*#\w+ *[(:=;!?<]|\bthis\.#\w/.test(line);
    return isMember ? [`${path}:${index + 1}: a member with \`#\`; write \`private\``] : [];
  });
}

function unfinished({ path, text }: SourceFile): string[] {
  // Put together here, so that this line is not found by itself.
  const marker = new RegExp(`\\b(${['TO', 'FIX'].map((word, i) => word + ['DO', 'ME'][i]).join('|')})\\b`);
  return text.split('\n').flatMap((line, index) => (marker.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : []));
}

function lineCount(text: string): number {
  return text.split('\n').length - 1;
}

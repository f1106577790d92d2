// npm test: sees to the servers that the tests need, then runs every test, or the files and options that are given:
//   npm test -- src/config/load.test.ts
//   npm test -- --test-name-pattern=wildcard
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { readFiles, root } from './files.ts';
import { installProgram } from './program.ts';
import { runHere } from './run.ts';
import { ensureServers, testServers, withAllPrograms } from './servers.ts';

/** Of a single test that sets no time-out of its own: a bound for one that hangs, on the slowest machine. */
const testTimeoutMs = 180_000;

const args = process.argv.slice(2);
const given = args.filter(isTestFile);
const options = args.filter((arg) => !isTestFile(arg));
const files = given.length > 0 ? given : readFiles(['src', 'test', 'scripts'], '.test.ts').map(({ path }) => path);

if (!(await ensureServers(testServers))) {
  process.exitCode = 1;
} else if (files.length === 0) {
  process.stderr.write('There are no tests.\n');
  process.exitCode = 1;
} else {
  const all = [
    '--test',
    '--test-reporter=spec',
    // One more than there are CPUs: most of these tests wait for another process, or for time to pass.
    `--test-concurrency=${availableParallelism() + 1}`,
    `--test-timeout=${testTimeoutMs}`,
    // A test that fails may leave a server open, whose process would never end.
    '--test-force-exit',
    ...options,
    ...files,
  ];
  const env = {
    // Compiled code is kept from file to file, in the directory of bin/hipache. Without it, a third of the CPU time of a
    // small test is the compilation of what it imports.
    NODE_COMPILE_CACHE: resolve(root, 'node_modules/.cache/hipache'),
    // What users install, which starts faster than the sources.
    HIPACHE_TEST_PROGRAM: await installProgram(resolve(root, 'build/program')),
    ...withAllPrograms(),
  };
  process.exitCode = await runHere(process.execPath, all, env);
}

/** Anything that is not an option and names files; the value of an option is left where it is. */
function isTestFile(arg: string): boolean {
  return !arg.startsWith('-') && (arg.endsWith('.ts') || arg.includes('*') || existsSync(resolve(root, arg)));
}

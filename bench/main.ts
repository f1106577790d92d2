// npm run bench: compares Hipache with other proxies. What it measures, and how, is in docs/performance.md.
import { benchServers, ensureServers } from '../scripts/servers.ts';
import { compare } from './compare.ts';
import { help, type Options, type RunOptions, readOptions } from './options.ts';
import { writeReport } from './report/report.ts';
import { failures, summary } from './report/summary.ts';
import { readResult, writeResult } from './result.ts';
import { run } from './run.ts';
import { scenarioNames } from './scenarios/all.ts';

const args = process.argv.slice(2);

try {
  process.exitCode = await main(readOptions(args));
} catch (error) {
  process.stderr.write(`bench: ${(error as Error).message}\n`);
  process.exitCode = 1;
}

async function main(options: Options): Promise<number> {
  switch (options.kind) {
    case 'help':
      process.stdout.write(help);
      return 0;
    case 'list':
      process.stdout.write(`${scenarioNames().join('\n')}\n`);
      return 0;
    case 'compare':
      process.stdout.write(compare(readResult(options.before), readResult(options.after)));
      return 0;
    case 'report':
      writeReport(options.files.map(readResult));
      return 0;
    case 'run':
      return measureAll(options);
  }
}

/** @returns 1 where something failed that should have been answered, whatever the figures are. */
async function measureAll(options: RunOptions): Promise<number> {
  if (!(await ensureServers(benchServers))) return 1;
  const result = await run(options, args, (line) => process.stdout.write(`${line}\n`));
  if (options.json !== null) writeResult(options.json, result);
  process.stdout.write(`\n${summary(result)}`);
  const failed = failures(result);
  for (const failure of failed) process.stderr.write(`bench: ${failure}\n`);
  return failed.length === 0 ? 0 : 1;
}

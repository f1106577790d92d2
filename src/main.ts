import { runCommandLine } from './cli/command-line.ts';
import { servePrimary } from './primary/primary.ts';
import { checkStart } from './primary/start-check.ts';
import { openStore } from './stores/open-store.ts';

process.exitCode = await runCommandLine(process.argv.slice(2), {
  serve: servePrimary,
  check: checkStart,
  openStore,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  cwd: process.cwd(),
});

import { runCommandLine } from './control/command-line.ts';
import { servePrimary } from './main-primary.ts';
import { openStore } from './stores/open-store.ts';

process.exitCode = await runCommandLine(process.argv.slice(2), {
  serve: servePrimary,
  openStore,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  cwd: process.cwd(),
});

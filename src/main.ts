import { runCommandLine } from './cli/command-line.ts';
import { openStore } from './stores/open-store.ts';

process.exitCode = await runCommandLine(process.argv.slice(2), {
  // Loaded only by a process that serves.
  serve: async (...args) => (await import('./primary/primary.ts')).servePrimary(...args),
  check: async (...args) => (await import('./primary/start-check.ts')).checkStart(...args),
  openStore,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  cwd: process.cwd(),
});

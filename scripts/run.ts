import { spawn } from 'node:child_process';
import { root } from './files.ts';

export interface Finished {
  /** The exit code; 1 where a signal ended it or it could not be started. */
  readonly code: number;
  /** Both outputs, in the order of their arrival. */
  readonly output: string;
}

/** Runs a program in the root and collects what it writes. Never rejects. */
export function run(program: string, args: readonly string[]): Promise<Finished> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const collect = (chunk: string): void => {
      output += chunk;
    };
    child.stdout.setEncoding('utf8').on('data', collect);
    child.stderr.setEncoding('utf8').on('data', collect);
    child.on('error', (error) => resolve({ code: 1, output: `${program}: ${error.message}\n` }));
    child.on('close', (code) => resolve({ code: code ?? 1, output }));
  });
}

/** Runs a program in the root on this terminal. Resolves with its exit code; 1 where a signal ended it. */
export function runHere(program: string, args: readonly string[], env?: NodeJS.ProcessEnv): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd: root, stdio: 'inherit', env: env ?? process.env });
    child.on('error', (error) => {
      process.stderr.write(`${program}: ${error.message}\n`);
      resolve(1);
    });
    child.on('close', (code) => resolve(code ?? 1));
  });
}

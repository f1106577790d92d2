import type { Command } from 'commander';
import type { CommandContext } from './command-context.ts';
import { waitOption } from './fleet.ts';
import { changedOptionsReport } from './options.ts';

const host = ['<host>', 'a host, *.domain or *, with the prefix of a path or not: example.com/api'] as const;

/** Adds `pause` and `resume` to the program: the option `pause`, as commands. */
export function describePauses(program: Command, { change }: CommandContext): void {
  program
    .command('pause')
    .description('let the requests of a host wait, for as long as its option hold says, or 30 seconds')
    .argument(...host)
    .option(...waitOption)
    .option('--json', 'write one JSON object')
    .action((host: string) => change('setOptions', { host, options: { pause: 'on' } }, changedOptionsReport));
  program
    .command('resume')
    .description('let the requests of a paused host go on')
    .argument(...host)
    .option(...waitOption)
    .option('--json', 'write one JSON object')
    .action((host: string) => change('unsetOptions', { host, names: ['pause'] }, changedOptionsReport));
}

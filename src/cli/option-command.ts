import type { Command } from 'commander';
import { HipacheError } from '../base/errors.ts';
import type { ResultOf } from '../operations/catalogue.ts';
import { optionNames, valuesFromFiles } from '../operations/options.ts';
import { passwordLine } from '../operations/password.ts';
import type { CommandContext } from './command-context.ts';
import { waitOption } from './fleet.ts';
import { inputOf } from './move-command.ts';
import { linesOf } from './moving.ts';
import { changedOptionsReport, optionNamesReport, shownOptionsReport, writeOptions } from './options.ts';

const json = ['--json', 'write one JSON object'] as const;
const host = ['<host>', 'a host, *.domain or *, with the prefix of a path or not: example.com/api'] as const;

/** Adds `list`, `set`, `unset`, `explain` and `names` to `hipache option`. */
export function describeOptions(
  option: Command,
  context: CommandContext,
  explain: (host: string) => Promise<void>,
): void {
  const { change, options, out, print, run } = context;
  option
    .command('list')
    .description('list the options of every pattern, or of exactly one')
    .argument('[host]', host[1])
    .option('--json', 'write one JSON object per line')
    .action((name?: string) => {
      if (name !== undefined) return run('showOptions', { host: name }, shownOptionsReport);
      return writeOptions(allOptions(context), out, options().json ?? false);
    });
  option
    .command('set')
    .description('set options of a host; its other options stay')
    .argument(...host)
    .argument(
      '<name> <value...>',
      'an option and its value, of clientCa and errorPage also @FILE; further pairs may follow',
    )
    .option(...waitOption)
    .option(...json)
    .action((host: string, given: string[]) => {
      const pairs = valuesFromFiles(toPairs(given), context.host.cwd);
      const values = new Map(pairs);
      if (values.size < pairs.length) throw new HipacheError('COMMAND_INVALID', 'an option is given twice');
      return change('setOptions', { host, options: Object.fromEntries(values) }, changedOptionsReport);
    });
  option
    .command('unset')
    .description('remove options of a host')
    .argument(...host)
    .argument('[name...]', 'options')
    .option('--all', 'remove all of them')
    .option(...waitOption)
    .option(...json)
    .action((host: string, names: string[]) => {
      if ((names.length === 0) !== (options().all === true)) {
        throw new HipacheError('COMMAND_INVALID', 'name the options to remove, or give --all');
      }
      return change('unsetOptions', { host, names }, changedOptionsReport);
    });
  option
    .command('explain')
    .description('show the options that hold for a host, and where each comes from')
    .argument('<host>', 'a host as in a request')
    .option(...json)
    .action(explain);
  option
    .command('password')
    .description('read a password from the standard input, and print a line for the option basicAuth')
    .argument('<name>', 'the name of the user')
    .option(...json)
    .action(async (name: string) => {
      const { value: password = '' } = await linesOf(await inputOf(undefined, context)).next();
      const line = await passwordLine(name, password);
      return print({ text: `${line}\n`, json: { line } });
    });
  option
    .command('names')
    .description('list every option that there is, with its values and its default')
    .option(...json)
    .action(() => print(optionNamesReport(optionNames())));
}

function toPairs(values: readonly string[]): (readonly [string, string])[] {
  if (values.length % 2 === 1) {
    throw new HipacheError(
      'COMMAND_INVALID',
      `the option ${values.at(-1)} has no value; give names and values in turn`,
    );
  }
  return values.flatMap((name, i) => (i % 2 === 0 ? [[name, values[i + 1] as string] as const] : []));
}

async function* allOptions({ perform }: CommandContext): AsyncGenerator<ResultOf<'listOptions'>['patterns']> {
  for (let after: string | null = ''; after !== null; ) {
    const page: ResultOf<'listOptions'> = await perform('listOptions', { after });
    yield page.patterns;
    after = page.next;
  }
}

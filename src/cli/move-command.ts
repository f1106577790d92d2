import { open as openFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Readable } from 'node:stream';
import type { Command } from 'commander';
import { Access, accessProblem } from '../base/access-problem.ts';
import { HipacheError } from '../base/errors.ts';
import { type ExportOptions, exportRecords, importRecords, type MovedRecord } from '../operations/moving.ts';
import { type OpenedStore, type StoreLocator, withStore } from '../operations/store-access.ts';
import type { CommandContext } from './command-context.ts';
import { changeLine, movedReport, ProgressLine, readRecords, writeRecords } from './moving.ts';

/** Adds `export`, `import` and `copy` to `hipache route`. */
export function describeMoving(route: Command, context: CommandContext): void {
  const certificates = ['--certificates', 'with the certificates of the store and their private keys'] as const;
  const dryRun = ['--dry-run', 'show what would change, and write nothing'] as const;
  const after = ['--after <host>', 'only routes whose patterns follow this one, to resume'] as const;
  const json = ['--json', 'write one JSON object'] as const;
  const { withStore: withConfigured, options } = context;
  route
    .command('export')
    .description('write every route, and the options of every host, as lines of JSON')
    .option(...certificates)
    .option(...after)
    .action(() => withConfigured((store) => writeRecords(store, exportOptions(context), context.out)));
  route
    .command('import')
    .description('write the records of an exported file into the store; those that it has already are left alone')
    .argument('[file]', 'the file; default: the standard input')
    .option(...dryRun)
    .option(...json)
    .action(async (file?: string) => {
      const input = await inputOf(file, context);
      const resume = () => 'to go on, run the command again: records that are there already are left alone';
      return withConfigured((store) => move(readRecords(input), store, resume, context), options().dryRun !== true);
    });
  route
    .command('copy')
    .description('copy every route and the options of every host from one store to another')
    .requiredOption('--from <url>', 'driver URL of the store to read')
    .requiredOption('--to <url>', 'driver URL of the store to write')
    .option(...certificates)
    .option(...after)
    .option(...dryRun)
    .option(...json)
    .action(() => copy(context));
}

function exportOptions({ options }: CommandContext): ExportOptions {
  const { certificates, after = '' } = options();
  return { certificates: certificates === true, after };
}

/** A file, or the standard input. @throws HipacheError COMMAND_INVALID. */
export async function inputOf(file: string | undefined, { host }: Pick<CommandContext, 'host'>): Promise<Readable> {
  if (file === undefined || file === '-') return host.stdin ?? process.stdin;
  const path = resolve(host.cwd, file);
  try {
    return (await openFile(path)).createReadStream();
  } catch (error) {
    const problem = accessProblem(path, Access.READ, null) ?? (error as Error).message;
    throw new HipacheError('COMMAND_INVALID', problem, { cause: error });
  }
}

function copy(context: CommandContext): Promise<void> {
  const { checkedDriver, host, options } = context;
  const { from = '', to = '' } = options();
  const located = (url: string): StoreLocator => ({ driver: [checkedDriver(url)], deadSet: 'auto' });
  const [source, target] = [located(from), located(to)];
  return withStore(host.openStore, source, false, (store) =>
    withStore(host.openStore, target, options().dryRun !== true, (other) =>
      move(
        exportRecords(store, exportOptions(context)),
        other,
        (last) => `everything up to ${last} is written; --after ${last} goes on from there`,
        context,
      ),
    ),
  );
}

/** @param resume says how to go on after a failure. */
async function move(
  pages: AsyncIterable<readonly MovedRecord[]>,
  store: OpenedStore,
  resume: (last: string) => string,
  { complain, err, host, options, out, print }: CommandContext,
): Promise<void> {
  const { dryRun = false, json = false } = options();
  const isTerminal = (host.stderr as { isTTY?: boolean }).isTTY === true;
  const progress = new ProgressLine(isTerminal ? (text) => void err.write(text) : () => {});
  let last = '';
  try {
    const counts = await importRecords(store, pages, {
      dryRun,
      onProgress: (current, pattern) => {
        last = pattern ?? last;
        progress.show(current);
      },
      onChange: (change) => {
        if (change.action === 'skipped') void complain(changeLine(change).trimEnd());
        else if (dryRun && !json) void out.write(changeLine(change));
      },
    });
    progress.end();
    await print(movedReport(counts, dryRun));
  } catch (error) {
    progress.end();
    if (last !== '' && !dryRun) await complain(resume(last));
    throw error;
  }
}

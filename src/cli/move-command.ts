import { open as openFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Readable } from 'node:stream';
import type { Command } from 'commander';
import { Access, accessProblem } from '../base/access-problem.ts';
import { HipacheError } from '../base/errors.ts';
import type { Performer } from '../operations/catalogue.ts';
import type { WrittenRecord } from '../operations/moving.ts';
import type { CommandContext } from './command-context.ts';
import { addCounts, changeLine, exportedRecords, movedReport, noCounts, ProgressLine, readRecords } from './moving.ts';

/** Adds `export`, `import` and `copy` to `hipache route`. */
export function describeMoving(route: Command, context: CommandContext): void {
  const certificates = ['--certificates', 'with the certificates of the store and their private keys'] as const;
  const dryRun = ['--dry-run', 'show what would change, and write nothing'] as const;
  const after = ['--after <host>', 'only routes whose patterns follow this one, to resume'] as const;
  const json = ['--json', 'write one JSON object'] as const;
  route
    .command('export')
    .description('write every route, and the options of every host, as lines of JSON')
    .option(...certificates)
    .option(...after)
    .action(async () => {
      const { out } = context;
      for await (const page of exportedRecords(context, exportOptions(context))) {
        await out.write(page.map((record) => `${JSON.stringify(record)}\n`).join(''));
        if (out.closed) return;
      }
    });
  route
    .command('import')
    .description('write the records of an exported file into the store; those that it has already are left alone')
    .argument('[file]', 'the file; default: the standard input')
    .option(...dryRun)
    .option(...json)
    .action(async (file?: string) => {
      const input = await inputOf(file, context);
      const resume = () => 'to go on, run the command again: records that are there already are left alone';
      return move(readRecords(input), context, resume, context);
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

function exportOptions({ options }: CommandContext): { readonly certificates: boolean; readonly after: string } {
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
  const { from = '', to = '' } = context.options();
  return context.withStores([from, to], (source, target) =>
    move(
      exportedRecords(source, exportOptions(context)),
      target,
      (last) => `everything up to ${last} is written; --after ${last} goes on from there`,
      context,
    ),
  );
}

/** @param resume says how to go on after a failure. */
async function move(
  pages: AsyncIterable<readonly WrittenRecord[]>,
  target: Performer,
  resume: (last: string) => string,
  { complain, err, host, options, out, print }: CommandContext,
): Promise<void> {
  const { dryRun = false, json = false } = options();
  const isTerminal = (host.stderr as { isTTY?: boolean }).isTTY === true;
  const progress = new ProgressLine(isTerminal ? (text) => void err.write(text) : () => {});
  let last = '';
  try {
    let counts = noCounts;
    for await (const records of pages) {
      const imported = await target.perform('importRecords', { records: [...records], dryRun });
      for (const change of imported.changes) {
        if (change.action === 'skipped') await complain(changeLine(change).trimEnd());
        else if (dryRun && !json) await out.write(changeLine(change));
      }
      counts = addCounts(counts, imported.counts);
      last = lastRoute(records) ?? last;
      progress.show(counts);
    }
    progress.end();
    await print(movedReport(counts, dryRun));
  } catch (error) {
    progress.end();
    if (last !== '' && !dryRun) await complain(resume(last));
    throw error;
  }
}

/** The last pattern whose route and all before it are in the store, if any. */
function lastRoute(records: readonly WrittenRecord[]): string | null {
  const last = records.findLast(({ route }) => typeof route === 'object' && route !== null);
  return (last?.['route'] as { readonly pattern?: string } | undefined)?.pattern ?? null;
}

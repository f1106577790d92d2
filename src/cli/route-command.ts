import type { Command } from 'commander';
import { HipacheError } from '../base/errors.ts';
import type { ResultOf } from '../operations/catalogue.ts';
import { readChangeLines } from '../operations/change-lines.ts';
import { routesPerPage } from '../operations/route-search.ts';
import { acceptanceReport } from './accept.ts';
import type { CommandContext } from './command-context.ts';
import { waitOption } from './fleet.ts';
import { inputOf } from './move-command.ts';
import { linesOf } from './moving.ts';
import { appliedReport, changedRouteReport, drainedReport, shownRouteReport, writeRoutes } from './routes.ts';

const json = ['--json', 'write one JSON object'] as const;
const host = ['<host>', 'a host, *.domain or *, with the prefix of a path or not: example.com/api'] as const;

/** Adds `list`, `show`, `set`, `add`, `remove`, `apply` and `accept` to `hipache route`. */
export function describeRoutes(route: Command, context: CommandContext): void {
  const { change, options, out, run } = context;
  const ifVersion = ['--if-version <version>', 'only if the route has this version; "none" for no route'] as const;
  const urls = [
    '<url...>',
    'backends: http://host:port, with #weight=2 for a larger share, #backup or #canary=5',
  ] as const;
  route
    .command('list')
    .description('list every route')
    .option('--json', 'write one JSON object per line')
    .action(() => writeRoutes(allRoutes(context), out, options().json ?? false));
  route
    .command('show')
    .description('show the route of exactly this pattern')
    .argument(...host)
    .option(...json)
    .action((host: string) => run('showRoute', { host }, shownRouteReport));
  route
    .command('set')
    .description('create a route, or replace its backends')
    .argument(...host)
    .argument('[url...]', urls[1])
    .option('--empty', 'a route without backends, whose requests wait if its option hold is set')
    .option('--id <name>', 'name of the virtual host, for logs; default: its current name, else the host')
    .option('--ttl <seconds>', 'the store removes the route after so long; default: never')
    .option(...ifVersion)
    .option(...waitOption)
    .option(...json)
    .action((host: string, backends: string[]) => {
      const { empty = false, id, ifVersion, ttl } = options();
      if ((backends.length === 0) !== empty) {
        throw new HipacheError('COMMAND_INVALID', 'give the backends of the route, or --empty for a route without any');
      }
      const expiry = ttl === undefined ? {} : { ttlSeconds: secondsOf('--ttl', ttl) };
      return change('setRoute', { host, backends, id, ifVersion, ...expiry }, changedRouteReport);
    });
  route
    .command('add')
    .description('add backends to a route; create the route if it does not exist')
    .argument(...host)
    .argument(...urls)
    .option(...ifVersion)
    .option(...waitOption)
    .option(...json)
    .action((host: string, backends: string[]) => {
      const { ifVersion } = options();
      return change('addBackends', { host, backends, ifVersion }, changedRouteReport);
    });
  route
    .command('remove')
    .description('remove backends from a route, or the whole route if no URL is given')
    .argument(...host)
    .argument('[url...]', 'backends, with or without their weight')
    .option('--drain <seconds>', 'let the backends finish what is in progress, for so long, before they are removed')
    .option(...ifVersion)
    .option(...waitOption)
    .option(...json)
    .action((host: string, backends: string[]) => {
      const { drain, ifVersion } = options();
      if (drain === undefined) return change('removeBackends', { host, backends, ifVersion }, changedRouteReport);
      const seconds = secondsOf('--drain', drain);
      return change('drainBackends', { host, backends, seconds, ifVersion }, drainedReport);
    });
  describeMany(route, context);
}

/** Adds the commands that concern many routes at once. */
function describeMany(route: Command, context: CommandContext): void {
  const { change, options, run } = context;
  route
    .command('apply')
    .description('make the changes of a file at once: all of them, or none')
    .argument('<file>', 'lines of JSON, each with "set", "add" or "remove"; - for the standard input')
    .option('--dry-run', 'show what would change, and write nothing')
    .option(...waitOption)
    .option(...json)
    .action(async (file: string) => {
      const changes = [...(await readChangeLines(linesOf(await inputOf(file, context))))];
      const dryRun = options().dryRun === true;
      const report = ({ changes: applied }: ResultOf<'applyChanges'>) => appliedReport(applied, dryRun);
      const make = dryRun ? run : change;
      return make('applyChanges', { changes, dryRun }, report);
    });
  route
    .command('accept')
    .description('accept that most routes were removed: instances that still serve them drop them')
    .option(...json)
    .action(() => run('acceptRoutes', {}, acceptanceReport));
}

async function* allRoutes({ perform }: CommandContext): AsyncGenerator<ResultOf<'listRoutes'>['routes']> {
  for (let after: string | null = ''; after !== null; ) {
    const page: ResultOf<'listRoutes'> = await perform('listRoutes', { after, limit: routesPerPage });
    yield page.routes;
    after = page.next;
  }
}

function secondsOf(option: string, text: string): number {
  const seconds = Number(text);
  if (text.trim() !== '' && Number.isFinite(seconds)) return seconds;
  throw new HipacheError('COMMAND_INVALID', `${option}: found ${JSON.stringify(text)}, allowed a number of seconds`);
}

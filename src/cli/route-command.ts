import type { Command } from 'commander';
import { HipacheError } from '../base/errors.ts';
import { acceptRoutes } from '../operations/accept.ts';
import { readChanges } from '../operations/change-lines.ts';
import { addBackends, applyChanges, removeBackends, setRoute } from '../operations/changing-routes.ts';
import { drainBackends } from '../operations/draining.ts';
import { listRoutes, showRoute } from '../operations/routes.ts';
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
  const { change, now, options, out, run } = context;
  const ifVersion = ['--if-version <version>', 'only if the route has this version; "none" for no route'] as const;
  const urls = [
    '<url...>',
    'backends: http://host:port, with #weight=2 for a larger share, #backup or #canary=5',
  ] as const;
  route
    .command('list')
    .description('list every route')
    .option('--json', 'write one JSON object per line')
    .action(() => context.withStore((store) => writeRoutes(listRoutes(store), out, options().json ?? false)));
  route
    .command('show')
    .description('show the route of exactly this pattern')
    .argument(...host)
    .option(...json)
    .action((name: string) => run(showRoute(name, now), shownRouteReport));
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
    .action((name: string, given: string[]) => {
      const { empty = false, id, ifVersion: version, ttl } = options();
      if ((given.length === 0) !== empty) {
        throw new HipacheError('COMMAND_INVALID', 'give the backends of the route, or --empty for a route without any');
      }
      const settings = { id: id ?? null, ifVersion: version, ttlSeconds: ttl === undefined ? null : Number(ttl) };
      return change(setRoute(name, given, settings), changedRouteReport, true);
    });
  route
    .command('add')
    .description('add backends to a route; create the route if it does not exist')
    .argument(...host)
    .argument(...urls)
    .option(...ifVersion)
    .option(...waitOption)
    .option(...json)
    .action((name: string, given: string[]) => change(addBackends(name, given, options()), changedRouteReport, true));
  route
    .command('remove')
    .description('remove backends from a route, or the whole route if no URL is given')
    .argument(...host)
    .argument('[url...]', 'backends, with or without their weight')
    .option('--drain <seconds>', 'let the backends finish what is in progress, for so long, before they are removed')
    .option(...ifVersion)
    .option(...waitOption)
    .option(...json)
    .action((name: string, given: string[]) => {
      const { drain, ifVersion: version } = options();
      if (drain === undefined) return change(removeBackends(name, given, { ifVersion: version }), changedRouteReport);
      return change(drainBackends(name, given, Number(drain), { ifVersion: version }, now), drainedReport);
    });
  describeApply(route, context);
  route
    .command('accept')
    .description('accept that most routes were removed: instances that still serve them drop them')
    .option(...json)
    .action(() => run((store) => acceptRoutes(store, context.now()), acceptanceReport));
}

function describeApply(route: Command, context: CommandContext): void {
  const { change, options, run } = context;
  route
    .command('apply')
    .description('make the changes of a file at once: all of them, or none')
    .argument('<file>', 'lines of JSON, each with "set", "add" or "remove"; - for the standard input')
    .option('--dry-run', 'show what would change, and write nothing')
    .option(...waitOption)
    .option(...json)
    .action(async (file: string) => {
      const changes = await readChanges(linesOf(await inputOf(file, context)));
      const isDry = options().dryRun === true;
      const operation = applyChanges(changes, isDry);
      const report = (applied: Awaited<ReturnType<typeof operation>>) => appliedReport(applied, isDry);
      return isDry ? run(operation, report) : change(operation, report, true);
    });
}

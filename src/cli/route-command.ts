import type { Command } from 'commander';
import { acceptRoutes } from '../operations/accept.ts';
import { addBackends, listRoutes, removeBackends, setRoute, showRoute } from '../operations/routes.ts';
import { acceptanceReport } from './accept.ts';
import type { CommandContext } from './command-context.ts';
import { waitOption } from './fleet.ts';
import {
  addedBackendsReport,
  removedBackendsReport,
  shownRouteReport,
  writeRoutes,
  writtenRouteReport,
} from './routes.ts';

/** Adds `list`, `show`, `set`, `add`, `remove` and `accept` to `hipache route`. */
export function describeRoutes(route: Command, context: CommandContext): void {
  const { change, options, out, run } = context;
  const json = ['--json', 'write one JSON object'] as const;
  const host = ['<host>', 'a host, *.domain or *'] as const;
  const urls = ['<url...>', 'backends: http://host:port, with #weight=2 for a larger share'] as const;
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
    .action((name: string) => run(showRoute(name), shownRouteReport));
  route
    .command('set')
    .description('create a route, or replace its backends')
    .argument(...host)
    .argument(...urls)
    .option('--id <name>', 'name of the virtual host, for logs; default: its current name, else the host')
    .option(...waitOption)
    .option(...json)
    .action((name: string, given: string[]) =>
      change(setRoute(name, given, options().id ?? null), writtenRouteReport, true),
    );
  route
    .command('add')
    .description('add backends to a route; create the route if it does not exist')
    .argument(...host)
    .argument(...urls)
    .option(...waitOption)
    .option(...json)
    .action((name: string, given: string[]) => change(addBackends(name, given), addedBackendsReport, true));
  route
    .command('remove')
    .description('remove backends from a route, or the whole route if no URL is given')
    .argument(...host)
    .argument('[url...]', 'backends, with or without their weight')
    .option(...waitOption)
    .option(...json)
    .action((name: string, given: string[]) => change(removeBackends(name, given), removedBackendsReport));
  route
    .command('accept')
    .description('accept that most routes were removed: instances that still serve them drop them')
    .option(...json)
    .action(() => run((store) => acceptRoutes(store, context.now()), acceptanceReport));
}

import type { Command } from 'commander';
import type { CommandContext } from './command-context.ts';
import { waitOption } from './fleet.ts';
import { hostOwnerReport, ownedChangesReport, ownersReport } from './owners.ts';

const json = ['--json', 'write one JSON object'] as const;

/** Adds `list`, `show`, `hosts` and `forget` to `hipache owner`. */
export function describeOwners(owner: Command, { change, now, run }: CommandContext): void {
  owner
    .command('list')
    .description('list the owners of routes and their sources, such as docker and its machines')
    .option(...json)
    .action(() => run('listOwners', {}, ({ sources }) => ownersReport(sources, now())));
  owner
    .command('show')
    .description('show who owns the route of exactly this pattern, and who wants which backend')
    .argument('<host>', 'a host, *.domain or *, with the prefix of a path or not: example.com/api')
    .option(...json)
    .action((host: string) => run('showOwner', { host }, hostOwnerReport));
  owner
    .command('hosts')
    .description('list the hosts of a source')
    .argument('<owner>', 'such as docker')
    .argument('<source>', 'such as the name of a machine')
    .option(...json)
    .action((owner: string, source: string) =>
      run('listOwnedHosts', { owner, source }, (found) => ({
        text: found.hosts.map((host) => `${host}\n`).join(''),
        json: found,
      })),
    );
  owner
    .command('forget')
    .description('remove everything that a source has made: its machine is gone for good')
    .argument('<owner>', 'such as docker')
    .argument('<source>', 'such as the name of a machine')
    .option(...waitOption)
    .option(...json)
    .action((owner: string, source: string) => change('forgetSource', { owner, source }, ownedChangesReport));
}

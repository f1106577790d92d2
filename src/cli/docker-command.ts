import { isIP } from 'node:net';
import type { Command } from 'commander';
import { HipacheError } from '../base/errors.ts';
import { printable } from '../base/printable.ts';
import { standardLog } from '../base/standard-log.ts';
import { applyDockerRoutes, type DockerOptions, type DockerResult, keepDockerRoutes } from '../docker/docker-routes.ts';
import { engineAddress } from '../docker/engine-address.ts';
import type { CommandContext } from './command-context.ts';
import { ownedChangesReport } from './owners.ts';

/** Adds `docker` to the program: a process that runs until a signal ends it. */
export function describeDocker(program: Command, context: CommandContext): void {
  program
    .command('docker')
    .description('keep routes to the containers of Docker or Podman that have labels such as hipache.host')
    .option('--socket <address>', 'the API: a socket, or tcp://host:port; default: DOCKER_HOST, else the usual sockets')
    .option('--owner <name>', 'the name under which routes are marked; default: docker')
    .option('--source <name>', 'the name of this machine among those of the owner; default: as the engine calls it')
    .option('--address <address>', 'the address of this machine: routes lead to published ports at it')
    .option('--network <name>', 'the network that is used of containers with several')
    .option('--adopt', 'take over routes that were made by hand or come from another store')
    .option('--once', 'write the routes of the containers that there are, and end')
    .option('--json', 'write one JSON object; with --once')
    .action(() => (context.options().once === true ? once(context) : keep(context)));
}

async function keep(context: CommandContext): Promise<void> {
  const { logOptions, options } = context;
  if (options().json === true) throw new HipacheError('COMMAND_INVALID', '--json has an effect with --once alone');
  const standard = standardLog(logOptions());
  const abort = new AbortController();
  const stop = (): void => abort.abort();
  const signals = ['SIGINT', 'SIGTERM'] as const;
  // A second signal ends the process at once.
  for (const signal of signals) process.once(signal, stop);
  try {
    await keepDockerRoutes(dockerOptions(context, standard.log), abort.signal);
    standard.log.info('stopped; the routes stay');
  } finally {
    for (const signal of signals) process.off(signal, stop);
    await standard.close();
  }
}

async function once(context: CommandContext): Promise<void> {
  const { complain, print } = context;
  const none = (): void => {};
  const result = await applyDockerRoutes(dockerOptions(context, { debug: none, info: none, warn: none, error: none }));
  const { changes, problems } = result;
  await print({ text: onceText(result), json: result });
  for (const { container, problem } of problems) await complain(`container ${container}: ${problem}`);
  const { refused } = changes;
  if (problems.length > 0) {
    throw new HipacheError(
      'COMMAND_INVALID',
      `the labels of ${problems.length} containers are wrong: they have no routes`,
    );
  }
  if (refused.length > 0)
    throw new HipacheError('CONFLICT', `${refused.length} hosts are refused, and stay as they are`);
}

function onceText({ changes, owner, source }: DockerResult): string {
  return `owner ${owner}, source ${source}\n${ownedChangesReport(changes).text}`;
}

/** @throws HipacheError COMMAND_INVALID. */
function dockerOptions(context: CommandContext, log: DockerOptions['log']): DockerOptions {
  const { address = null, adopt = false, network = null, owner = 'docker', socket, source = null } = context.options();
  requireName('--owner', owner);
  if (source !== null) requireName('--source', source);
  if (address !== null && isIP(address) === 0 && !/^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/i.test(address)) {
    const found = JSON.stringify(address);
    throw new HipacheError(
      'COMMAND_INVALID',
      `--address: found ${found}, allowed an IP address or a name, without a port`,
    );
  }
  if (network === '') throw new HipacheError('COMMAND_INVALID', '--network: the name is empty');
  return {
    ...{ address, adopt, log, network, owner, source },
    engine: engineAddress(socket, context.host.env),
    performer: context,
  };
}

function requireName(option: string, name: string): void {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) return;
  const found = printable(JSON.stringify(name));
  throw new HipacheError('COMMAND_INVALID', `${option}: found ${found}, allowed 1 to 64 letters, digits and ._-`);
}

import type { Command } from 'commander';
import { HipacheError } from '../base/errors.ts';
import type { InputOf } from '../operations/catalogue.ts';
import type { DeployStep } from '../operations/deploy-swap.ts';
import type { CommandContext, CommandOptions } from './command-context.ts';
import { deployedReport, stepLine } from './deploy.ts';

type DeployName = 'deploy' | 'promoteCanary' | 'abortCanary' | 'rollBack';

const host = ['<host>', 'a host, *.domain or *, with the prefix of a path or not: example.com/api'] as const;
const healthOptions: readonly (keyof CommandOptions)[] = ['health', 'healthStatus', 'healthText', 'healthTimeout'];

/**
 * Adds `deploy`, its `promote` and `abort`, and `rollback` to the program.
 * @returns the command `deploy`.
 */
export function describeDeploys(program: Command, context: CommandContext): Command {
  const { err, options, perform, print } = context;
  const run = async <Name extends DeployName>(name: Name, input: InputOf<Name>): Promise<void> => {
    const onStep = (step: unknown): void => void err.write(stepLine(step as DeployStep));
    await print(deployedReport(await perform(name, input, onStep)));
  };
  // Commander gives the options behind a subcommand to `deploy` as well, which has all of them.
  const refuse = (...names: readonly (keyof CommandOptions)[]): void => {
    const name = names.find((each) => options()[each] !== undefined);
    if (name === undefined) return;
    const option = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    throw new HipacheError('COMMAND_INVALID', `--${option} has no effect here`);
  };

  const health = () => {
    const { health, healthStatus, healthText, healthTimeout } = options();
    return { health, healthStatus, healthText, healthTimeout };
  };
  const times = () => {
    const { drain, liveTimeout, queue } = options();
    return { drain, liveTimeout, queue };
  };
  const withPath = (name: string): string => {
    const { path } = options();
    if (path === undefined || path.startsWith('/')) return name + (path ?? '');
    throw new HipacheError('COMMAND_INVALID', `--path: found ${JSON.stringify(path)}, allowed a prefix such as /api`);
  };

  const deploys = withDrain(withHealth(program.command('deploy')))
    .description('replace the backends of a route once the new ones are healthy, and let the former ones finish')
    .helpCommand(false)
    .argument(...host)
    .argument('<url...>', 'the new backends: http://host:port, with #weight=2 for a larger share')
    .option('--canary <percent>', 'replace none, and give the new backends this share of the clients: 5%')
    .action((host: string, urls: string[]) => {
      const { canary } = options();
      return run('deploy', { host: withPath(host), backends: urls, canary, ...health(), ...times() });
    });
  withDrain(withHealth(deploys.command('promote')))
    .description('give all clients to the canary, and let the other backends finish')
    .argument(...host)
    .action((name: string) => {
      refuse('canary');
      return run('promoteCanary', { host: withPath(name), ...health(), ...times() });
    });
  withDrain(deploys.command('abort'))
    .description('let the canary finish, and remove it')
    .argument(...host)
    .action((name: string) => {
      refuse('canary', ...healthOptions);
      return run('abortCanary', { host: withPath(name), ...times() });
    });
  withDrain(withHealth(program.command('rollback')))
    .description('deploy the backends again that the last deploy has replaced')
    .argument(...host)
    .action((name: string) => run('rollBack', { host: withPath(name), ...health(), ...times() }));
  return deploys;
}

function withHealth(command: Command): Command {
  return command
    .option(
      '--health <path>',
      'the path that a new backend must respond to with success; default: any response below 500',
    )
    .option('--health-status <range>', 'the statuses of a healthy backend, such as 200 or 200-399; default: 200-299')
    .option('--health-text <text>', 'what the response must contain')
    .option('--health-timeout <time>', 'how long the new backends may take; default: 30s');
}

function withDrain(command: Command): Command {
  return command
    .option('--drain <time>', 'how long the former backends may take to finish; default: 30s')
    .option('--path <prefix>', 'the route of this prefix of the paths of the host, such as /api')
    .option('--live-timeout <time>', 'how long the change may take to be live everywhere; default: 10s')
    .option('--queue <time>', 'how long to wait for another deploy of the host; default: it is refused')
    .option('--json', 'write one JSON object');
}

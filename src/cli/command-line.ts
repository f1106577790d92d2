import type { Readable, Writable } from 'node:stream';
import { Command, CommanderError } from 'commander';
import { AdminClient } from '../admin/admin-client.ts';
import type { ErrorCollector } from '../base/error-collector.ts';
import { operatingErrorsOf } from '../base/error-collector.ts';
import { errorKind, HipacheError } from '../base/errors.ts';
import { exitCodes } from '../base/exit-codes.ts';
import { hostPort } from '../base/host-port.ts';
import { nearestWord } from '../base/nearest.ts';
import { printable } from '../base/printable.ts';
import { shownUrl } from '../base/shown-url.ts';
import { packageVersion } from '../base/version.ts';
import { parseAdminBind } from '../config/admin.ts';
import { censoredJson } from '../config/censor.ts';
import type { Config } from '../config/config.ts';
import { type LoadedConfig, loadConfig } from '../config/load.ts';
import { driverAllowed, isDriverUrl } from '../config/schema.ts';
import {
  type InputOf,
  instanceOperations,
  type OperationName,
  type Performer,
  type ResultOf,
} from '../operations/catalogue.ts';
import type { Explanation } from '../operations/explain.ts';
import { explainLive, type LiveExplanation, type LiveQuestion } from '../operations/explain-live.ts';
import { LocalPerformer } from '../operations/local-performer.ts';
import { driverForms, type OpenStore, type StoreLocator } from '../operations/store-access.ts';
import { upgradeInstance } from '../operations/upgrade.ts';
import { describeAdmin } from './admin-command.ts';
import { describeCertificates } from './certificate-command.ts';
import type { CommandContext, CommandOptions } from './command-context.ts';
import { describeDeploys } from './deploy-command.ts';
import { describeDocker } from './docker-command.ts';
import { explanationText, liveText, optionsText } from './explain.ts';
import { fleetReport, parseWait, printChange } from './fleet.ts';
import { describeMoving } from './move-command.ts';
import { describeOptions } from './option-command.ts';
import { Output, type Report } from './output.ts';
import { describeOwners } from './owner-command.ts';
import { describePauses } from './pause-command.ts';
import { describeRoutes } from './route-command.ts';
import { describeTraffic } from './traffic-command.ts';

/** The environment of the command line. */
export interface CommandLineHost {
  /**
   * Serves until a signal stops it. Resolves with the exit code.
   * @param reload reads the same configuration again. @throws like `loadConfig`.
   */
  serve(
    loaded: LoadedConfig,
    reload: () => LoadedConfig,
    options: { readonly beside: boolean; readonly isRoot: boolean },
  ): Promise<number>;
  /** Finds what would prevent serving, and changes nothing. */
  check(loaded: LoadedConfig): Promise<{ readonly warnings: readonly string[]; readonly errors: ErrorCollector }>;
  readonly openStore: OpenStore;
  /** Default: that of the process. */
  readonly stdin?: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** Epoch milliseconds. Default: the system clock. */
  readonly now?: () => number;
}

/**
 * Runs one command.
 * @param args the arguments after the program name.
 * @returns the exit code, once all output is written. Never rejects.
 */
export async function runCommandLine(args: readonly string[], host: CommandLineHost): Promise<number> {
  const run = new Run(host);
  let code: number;
  try {
    await run.program.parseAsync(args, { from: 'user' });
    code = run.exitCode;
  } catch (error) {
    code = await run.fail(error);
  }
  try {
    await run.close();
  } catch (error) {
    code = await run.fail(error);
  }
  try {
    await run.out.flush();
  } catch (error) {
    await run.complain(`cannot write the output: ${messageOf(error)}`);
    code = exitCodes.failed;
  }
  await run.err.flush().catch(() => {});
  return code;
}

class Run {
  readonly program: Command;
  readonly out: Output;
  readonly err: Output;
  exitCode: number = exitCodes.ok;
  private readonly host: CommandLineHost;
  private readonly local: LocalPerformer;
  /** Text that commander meant for standard error: help if a subcommand is missing. */
  private complaint = '';
  /** The names of the current command: `route`, `set`. */
  private readonly commands: string[] = [];
  /** The options of the current command, including those that preceded it. */
  private options: CommandOptions = {};
  private config: Config | null = null;

  constructor(host: CommandLineHost) {
    this.host = host;
    this.out = new Output(host.stdout);
    this.err = new Output(host.stderr);
    this.local = this.makePerformer(
      () => this.locateStore(),
      () => this.loadUnlessNamed(),
    );
    this.program = this.describeProgram();
  }

  /** Closes what commands have opened. */
  close(): Promise<void> {
    return this.local.close();
  }

  /** Reports an error. @returns its exit code. */
  async fail(error: unknown): Promise<number> {
    if (error instanceof CommanderError) return this.failUsage(error);
    const errors = operatingErrorsOf(error);
    const [first] = errors ?? [];
    if (errors !== null && first !== undefined) {
      for (const { message } of errors) await this.complain(message);
      return errorKind(first.code).exitCode;
    }
    await this.complain(`internal error, please report it: ${messageOf(error)}`);
    return exitCodes.failed;
  }

  async complain(message: string): Promise<void> {
    // A message may have several lines (a list of errors); each is made harmless separately.
    await this.err.write(`hipache: ${message.split('\n').map(printable).join('\n')}\n`);
  }

  private async failUsage(error: CommanderError): Promise<number> {
    if (error.exitCode === 0) return exitCodes.ok;
    if (error.code === 'commander.help') {
      await this.err.write(this.complaint);
      return exitCodes.wrongInput;
    }
    const command = ['hipache', ...this.commands].join(' ');
    await this.complain(`${this.usageMessage(error)}; see "${command} --help"`);
    return exitCodes.wrongInput;
  }

  private usageMessage(error: CommanderError): string {
    const word = this.program.args[0];
    const commands = this.program.commands.map((command) => command.name());
    if (error.code === 'commander.excessArguments' && word !== undefined && !commands.includes(word)) {
      const near = nearestWord(word, commands);
      return `there is no command ${JSON.stringify(word)}${near === null ? '' : ` (did you mean ${near}?)`}`;
    }
    return error.message
      .replace(/^error: /, '')
      .replace(/\.?\s*\n\s*/g, ' ')
      .replace(/\.$/, '');
  }

  private describeProgram(): Command {
    const program = new Command('hipache')
      .description('A distributed HTTP and WebSocket proxy for very many virtual hosts. Without a command, it serves.')
      .exitOverride()
      .configureOutput({
        writeOut: (text) => void this.out.write(text),
        writeErr: (text) => {
          this.complaint += text;
        },
      })
      .configureHelp({ showGlobalOptions: true })
      .option('-c, --config <file>', 'configuration file, .json, .yaml or .yml')
      .option('--driver <url>', `store of the routes, instead of the configured one: ${driverForms.join(' or ')}`)
      .option(
        '--admin <address>',
        'do it through the admin API of an instance: unix:PATH, or a URL; HIPACHE_TOKEN has the token',
      )
      .option('-d, --dry', 'check the configuration, print it without secrets, and exit')
      .option('--beside', 'serve beside a running instance, on its addresses; then stop that one')
      .version(packageVersion(), '-V, --version', 'print the version')
      .helpOption('-h, --help', 'print this help')
      .helpCommand(false)
      .addHelpText('after', helpAfter)
      .action(() => this.serve())
      .hook('preSubcommand', (_program, command) => void this.commands.push(command.name()))
      .hook('preAction', (_program, command) => {
        this.options = command.optsWithGlobals<CommandOptions>();
      });
    const route = program.command('route').description('read and write routes').helpCommand(false);
    route.hook('preSubcommand', (_route, command) => void this.commands.push(command.name()));
    describeRoutes(route, this.context());
    describeMoving(route, this.context());
    const deploy = describeDeploys(program, this.context());
    deploy.hook('preSubcommand', (_deploy, command) => void this.commands.push(command.name()));
    describePauses(program, this.context());
    describeTraffic(program, this.context());
    const option = program.command('option').description('read and write options of hosts').helpCommand(false);
    option.hook('preSubcommand', (_option, command) => void this.commands.push(command.name()));
    describeOptions(option, this.context(), (name) => this.explain(name, optionsText));
    const cert = program.command('cert').description('read and write certificates in the store').helpCommand(false);
    cert.hook('preSubcommand', (_cert, command) => void this.commands.push(command.name()));
    describeCertificates(cert, this.context());
    const owner = program.command('owner').description('who owns routes that programs make').helpCommand(false);
    owner.hook('preSubcommand', (_owner, command) => void this.commands.push(command.name()));
    describeOwners(owner, this.context());
    describeDocker(program, this.context());
    this.describeInstances(program);
    return program;
  }

  /** Adds the commands about requests and running instances. */
  private describeInstances(program: Command): void {
    program
      .command('explain')
      .description('show which route a host takes, what was tried, and which backends are marked dead')
      .argument('<host>', 'a host as in a request, with a path or not: app.example.com/login')
      .option('--client <address>', 'the address of the client; default: one that no list has')
      .option('--method <method>', 'default: GET')
      .option('--https', 'the client uses https')
      .option(
        '-H, --header <line>',
        'a field of the request, such as "Authorization: Basic …"; may be repeated',
        together,
      )
      .option(
        '--live [url]',
        'ask a running instance too, at the address of its metrics; default: that of the configuration',
      )
      .option('--json', 'write one JSON object')
      .action((name: string) => this.explain(name, explanationText));
    program
      .command('fleet')
      .description('show the running instances that share the store, and whether they serve every change')
      .option('--json', 'write one JSON object')
      .action(() => this.run('listFleet', {}, fleetReport));
    program
      .command('upgrade')
      .description('replace the running instance by the program that is now on disk, without losing a connection')
      .option('--pid <number>', 'process id of the primary; default: the one in server.pidFile')
      .option('--json', 'write one JSON object')
      .action(() => this.upgrade());
    const admin = program.command('admin').description('what the admin API needs').helpCommand(false);
    admin.hook('preSubcommand', (_admin, command) => void this.commands.push(command.name()));
    describeAdmin(admin, this.context());
  }

  private context(): CommandContext {
    return {
      host: this.host,
      out: this.out,
      err: this.err,
      options: () => this.options,
      perform: (name, input, onStep) => this.performerOf(name).perform(name, input, onStep),
      run: (name, input, report) => this.run(name, input, report),
      change: (name, input, report) => this.change(name, input, report),
      withStores: ([from, to], use) =>
        this.withPerformer(from, (source) => this.withPerformer(to, (target) => use(source, target))),
      logOptions: () => this.logOptions(),
      now: () => this.now(),
      print: (report) => this.print(report),
      complain: (message) => this.complain(message),
    };
  }

  private async serve(): Promise<void> {
    // Defaults depend on this, and must not change when the proxy changes its user.
    const isRoot = process.getuid?.() === 0 || this.host.env['HIPACHE_STARTED_AS_ROOT'] === '1';
    const loaded = this.load(isRoot);
    if (this.options.dry !== true) {
      const beside = this.options.beside === true;
      this.exitCode = await this.host.serve(loaded, () => this.load(isRoot), { beside, isRoot });
      return;
    }
    for (const note of loaded.notes) await this.complain(`note: ${note}`);
    const { warnings, errors } = await this.host.check(loaded);
    for (const warning of warnings) await this.complain(`warning: ${warning}`);
    await this.out.write(`${censoredJson(loaded.config)}\n`);
    errors.check();
  }

  private async upgrade(): Promise<void> {
    const { pid } = this.options;
    if (pid !== undefined && !/^[1-9]\d{0,9}$/.test(pid)) {
      throw new HipacheError('COMMAND_INVALID', `--pid: found ${JSON.stringify(pid)}, allowed a process id`);
    }
    const { pidFile } = this.load().config.server;
    const result = await upgradeInstance(pid === undefined ? null : Number(pid), pidFile);
    const text =
      result.pid === null
        ? `process ${result.former} has the signal; its log says whether it was replaced\n`
        : `process ${result.pid} serves; process ${result.former} finishes what is in progress\n`;
    await this.print({ text, json: result });
  }

  private async explain(name: string, textOf: (explanation: Explanation) => string): Promise<void> {
    // A scheme is no path: the operation says what is wrong with it.
    const slash = name.includes('://') ? -1 : name.indexOf('/');
    const { client, header, https, live, method } = this.options;
    const input = {
      host: slash === -1 ? name : name.slice(0, slash),
      path: slash === -1 ? '/' : name.slice(slash),
      ...{ client, header: header === undefined ? undefined : [...header], https, method },
      live: live !== undefined,
    };
    const { live: answers, ...explanation } = await this.performer.perform('explain', input);
    await this.print({
      text: textOf(explanation) + liveText(answers),
      json: answers === null ? explanation : { ...explanation, live: answers },
    });
    if (explanation.matched === null) this.exitCode = exitCodes.notFound;
  }

  /** The answers of the workers of a running instance. */
  private async askLive(question: LiveQuestion): Promise<readonly LiveExplanation[]> {
    const { live = true } = this.options;
    if (live !== true) return explainLive(live, question);
    const { bind, port } = this.load().config.metrics;
    if (port === null || port === 0) {
      const problem = port === null ? 'has no metrics.port' : 'leaves metrics.port to the system';
      throw new HipacheError(
        'COMMAND_INVALID',
        `--live: the configuration ${problem}; give the address: --live http://127.0.0.1:9090`,
      );
    }
    return explainLive(`http://${hostPort(bind, port)}`, question);
  }

  /** The configuration; null if the store is named and no configuration is: then none need exist. */
  private loadUnlessNamed(): Config | null {
    const { config, driver } = this.options;
    return driver !== undefined && config === undefined ? null : this.knownConfig();
  }

  private logOptions(): {
    readonly level: Config['server']['logLevel'];
    readonly format: Config['server']['logFormat'];
  } {
    const { logFormat: format = 'text', logLevel: level = 'info' } =
      (this.options.admin === undefined ? this.loadUnlessNamed() : null)?.server ?? {};
    return { level, format };
  }

  private async run<Name extends OperationName>(
    name: Name,
    input: InputOf<Name>,
    report: (result: ResultOf<Name>) => Report,
  ): Promise<void> {
    await this.print(report(await this.performerOf(name).perform(name, input)));
  }

  private async change<Name extends OperationName>(
    name: Name,
    input: InputOf<Name>,
    report: (result: ResultOf<Name>) => Report,
  ): Promise<void> {
    const waitSeconds = parseWait(this.options.wait);
    await printChange(report(await this.performer.perform(name, input)), waitSeconds, this.context());
  }

  private now(): number {
    return (this.host.now ?? Date.now)();
  }

  private async print(report: Report): Promise<void> {
    await this.out.write(this.options.json === true ? `${JSON.stringify(report.json)}\n` : report.text);
  }

  /** Does operations on the configured store, or through an instance. @throws HipacheError COMMAND_INVALID. */
  private get performer(): Performer {
    const { admin, config, driver, dry } = this.options;
    if (dry === true) {
      const why = 'it checks the configuration for serving';
      throw new HipacheError('COMMAND_INVALID', `--dry does not combine with a command: ${why}`);
    }
    if (admin === undefined) return this.local;
    if (config === undefined && driver === undefined) {
      return new AdminClient(admin, this.host.env['HIPACHE_TOKEN'] ?? null);
    }
    throw new HipacheError(
      'COMMAND_INVALID',
      '--admin does not combine with --config and --driver: the instance has its own',
    );
  }

  /** An operation about a running instance is done by that of the configuration. */
  private performerOf(name: OperationName): Performer {
    if (this.options.admin !== undefined || !instanceOperations.has(name)) return this.performer;
    const { bind: given, cert } = this.load().config.admin;
    const bind = parseAdminBind(given);
    if (bind === null) {
      const why = 'the configuration has no admin.bind; give the address of the admin API: --admin unix:PATH';
      throw new HipacheError('COMMAND_INVALID', why);
    }
    const scheme = cert === null ? 'http' : 'https';
    const address = bind.kind === 'unix' ? `unix:${bind.path}` : `${scheme}://${hostPort(bind.address, bind.port)}`;
    return new AdminClient(address, this.host.env['HIPACHE_TOKEN'] ?? null);
  }

  private makePerformer(locate: () => StoreLocator, config: () => Config | null): LocalPerformer {
    return new LocalPerformer({
      openStore: this.host.openStore,
      locate,
      config,
      now: () => this.now(),
      instance: {
        explain: (question) => this.askLive(question),
        // Such operations are done by an instance.
        statistics: () => Promise.reject(nobodyAsked()),
        tail: () => Promise.reject(nobodyAsked()),
        load: () => Promise.reject(nobodyAsked()),
      },
    });
  }

  private async withPerformer(url: string, use: (performer: LocalPerformer) => Promise<void>): Promise<void> {
    const driver = checkedDriver(url);
    const performer = this.makePerformer(
      () => ({ driver: [driver], deadSet: 'auto' }),
      () => null,
    );
    try {
      await use(performer);
    } finally {
      await performer.close();
    }
  }

  /** With --driver alone no configuration is read: it has nothing that a command needs. */
  private locateStore(): StoreLocator {
    const { config, driver } = this.options;
    if (driver !== undefined && config === undefined) return { driver: [checkedDriver(driver)], deadSet: 'auto' };
    const loaded = this.knownConfig();
    return { driver: loaded.driver, deadSet: loaded.compat.deadSet };
  }

  /** A command that runs for long does not see changes of the file. */
  private knownConfig(): Config {
    this.config ??= this.load().config;
    return this.config;
  }

  private load(isRoot = process.getuid?.() === 0): LoadedConfig {
    const { config } = this.options;
    const driver = this.options.driver === undefined ? undefined : checkedDriver(this.options.driver);
    const { env, cwd } = this.host;
    return loadConfig({ file: config, driver, env, cwd, isRoot });
  }
}

/** Collects the values of an option that is repeated. */
function together(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

const helpAfter = `
Examples:
  hipache -c /etc/hipache/config.json
  hipache route set app.example.com http://10.0.0.1:8000 http://10.0.0.2:8000
  hipache route list | head
  hipache route set app.example.com http://10.0.0.3:8000 --wait=5
  hipache option set app.example.com requestsMax 200
  hipache deploy app.example.com http://10.0.0.9:8000 --health /up
  hipache explain app.example.com
  hipache fleet
  hipache cert set app.example.com --cert fullchain.pem --key privkey.pem
  hipache upgrade -c /etc/hipache/config.json

Exit codes: 0 success; 1 failure (the store, an address, a file); 2 wrong arguments or configuration; 3 not found;
4 a change is not live everywhere in the time of --wait; 5 a route does not have the version of --if-version, or is
being deployed; 6 the new backends of a deploy are not healthy.`;

function checkedDriver(driver: string): string {
  if (isDriverUrl(driver)) return driver;
  throw new HipacheError(
    'COMMAND_INVALID',
    `--driver: found ${JSON.stringify(shownUrl(driver))}, allowed ${driverAllowed}`,
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function nobodyAsked(): HipacheError {
  return new HipacheError('INSTANCE_UNREACHABLE', 'no instance was asked');
}

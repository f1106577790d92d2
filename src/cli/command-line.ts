import type { Readable, Writable } from 'node:stream';
import { Command, CommanderError } from 'commander';
import type { ErrorCollector } from '../base/error-collector.ts';
import { operatingErrorsOf } from '../base/error-collector.ts';
import { errorKind, HipacheError } from '../base/errors.ts';
import { exitCodes } from '../base/exit-codes.ts';
import { hostPort } from '../base/host-port.ts';
import { nearestWord } from '../base/nearest.ts';
import { printable } from '../base/printable.ts';
import { shownUrl } from '../base/shown-url.ts';
import { packageVersion } from '../base/version.ts';
import { censoredJson } from '../config/censor.ts';
import type { Config } from '../config/config.ts';
import { type LoadedConfig, loadConfig } from '../config/load.ts';
import { driverAllowed, isDriverUrl } from '../config/schema.ts';
import { orderingOf } from '../operations/certificate-standing.ts';
import { type Explanation, explainedPort, explainHere, parseHost } from '../operations/explain.ts';
import { certificateProblems } from '../operations/explain-certificate.ts';
import { explainLive, type LiveExplanation } from '../operations/explain-live.ts';
import { type AskedRequest, parseRequest } from '../operations/explain-request.ts';
import { listFleet } from '../operations/fleet.ts';
import type { Operation } from '../operations/operation.ts';
import {
  driverForms,
  type OpenedStore,
  type OpenStore,
  type StoreLocator,
  withStore,
} from '../operations/store-access.ts';
import { upgradeInstance } from '../operations/upgrade.ts';
import { describeCertificates } from './certificate-command.ts';
import type { CommandContext, CommandOptions } from './command-context.ts';
import { describeDeploys } from './deploy-command.ts';
import { explanationText, liveText, optionsText } from './explain.ts';
import { fleetReport, parseWait, printChange } from './fleet.ts';
import { describeMoving } from './move-command.ts';
import { describeOptions } from './option-command.ts';
import { Output, type Report } from './output.ts';
import { describePauses } from './pause-command.ts';
import { describeRoutes } from './route-command.ts';

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
  /** Text that commander meant for standard error: help if a subcommand is missing. */
  private complaint = '';
  /** The names of the current command: `route`, `set`. */
  private readonly commands: string[] = [];
  /** The options of the current command, including those that preceded it. */
  private options: CommandOptions = {};

  constructor(host: CommandLineHost) {
    this.host = host;
    this.out = new Output(host.stdout);
    this.err = new Output(host.stderr);
    this.program = this.describeProgram();
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
    const deploy = describeDeploys(program, this.context(), () => this.loadUnlessNamed());
    deploy.hook('preSubcommand', (_deploy, command) => void this.commands.push(command.name()));
    describePauses(program, this.context());
    const option = program.command('option').description('read and write options of hosts').helpCommand(false);
    option.hook('preSubcommand', (_option, command) => void this.commands.push(command.name()));
    describeOptions(option, this.context(), (name) => this.explain(name, optionsText));
    const cert = program.command('cert').description('read and write certificates in the store').helpCommand(false);
    cert.hook('preSubcommand', (_cert, command) => void this.commands.push(command.name()));
    describeCertificates(cert, this.context(), () => this.loadUnlessNamed());
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
      .action(() => this.withStore(async (store) => this.print(fleetReport(await listFleet(store, this.now())))));
    program
      .command('upgrade')
      .description('replace the running instance by the program that is now on disk, without losing a connection')
      .option('--pid <number>', 'process id of the primary; default: the one in server.pidFile')
      .option('--json', 'write one JSON object')
      .action(() => this.upgrade());
    return program;
  }

  private context(): CommandContext {
    return {
      host: this.host,
      out: this.out,
      err: this.err,
      options: () => this.options,
      withStore: (use, create) => this.withStore(use, create),
      run: (operation, report) => this.withStore(async (store) => this.print(report(await operation(store)))),
      change: (operation, report, create) => this.change(operation, report, create),
      now: () => this.now(),
      print: (report) => this.print(report),
      complain: (message) => this.complain(message),
      checkedDriver,
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

  private explain(name: string, textOf: (explanation: Explanation) => string): Promise<void> {
    // A scheme is no path: `parseHost` says what is wrong with it.
    const slash = name.includes('://') ? -1 : name.indexOf('/');
    const authority = slash === -1 ? name : name.slice(0, slash);
    const host = parseHost(authority);
    const path = slash === -1 ? '/' : name.slice(slash);
    const asked = parseRequest(host, { ...this.options, path });
    return this.withStore((store) => this.explainHost(store, asked, authority, textOf));
  }

  private async explainHost(
    store: OpenedStore,
    asked: AskedRequest,
    name: string,
    textOf: (explanation: Explanation) => string,
  ): Promise<void> {
    const loaded = this.loadUnlessNamed();
    const port = explainedPort(name, loaded?.compat.hostPort ?? false);
    const explained = await explainHere(asked.host, store, loaded?.dns ?? null, this.now(), port, asked);
    // An account may have the right to read routes alone.
    const ofCertificate =
      explained.matched === null
        ? []
        : await certificateProblems(asked.host, store, orderingOf(loaded), this.now()).catch(() => []);
    const explanation = { ...explained, problems: [...explained.problems, ...ofCertificate] };
    const live = await this.askLive(asked);
    await this.print({
      text: textOf(explanation) + liveText(live),
      json: live === null ? explanation : { ...explanation, live },
    });
    if (explanation.matched === null) this.exitCode = exitCodes.notFound;
  }

  /** The answers of a running instance; null if none is to be asked. */
  private async askLive(asked: AskedRequest): Promise<readonly LiveExplanation[] | null> {
    const { live } = this.options;
    if (live === undefined) return null;
    if (live !== true) return explainLive(live, asked);
    const { bind, port } = this.load().config.metrics;
    if (port === null || port === 0) {
      const problem = port === null ? 'has no metrics.port' : 'leaves metrics.port to the system';
      throw new HipacheError(
        'COMMAND_INVALID',
        `--live: the configuration ${problem}; give the address: --live http://127.0.0.1:9090`,
      );
    }
    return explainLive(`http://${hostPort(bind, port)}`, asked);
  }

  /** The configuration; null if the store is named and no configuration is: then none need exist. */
  private loadUnlessNamed(): Config | null {
    const { config, driver } = this.options;
    return driver !== undefined && config === undefined ? null : this.load().config;
  }

  private change<Result>(
    operation: Operation<OpenedStore, Result>,
    report: (result: Result) => Report,
    create = false,
  ): Promise<void> {
    const waitMs = parseWait(this.options.wait);
    return this.withStore(async (store) => this.printChange(report(await operation(store)), store, waitMs), create);
  }

  private printChange(report: Report, store: OpenedStore, waitMs: number | null): Promise<void> {
    return printChange(report, store, waitMs, { now: () => this.now(), print: (whole) => this.print(whole) });
  }

  private now(): number {
    return (this.host.now ?? Date.now)();
  }

  private async print(report: Report): Promise<void> {
    await this.out.write(this.options.json === true ? `${JSON.stringify(report.json)}\n` : report.text);
  }

  private async withStore(use: (store: OpenedStore) => Promise<void>, create = false): Promise<void> {
    if (this.options.dry === true) {
      throw new HipacheError(
        'COMMAND_INVALID',
        '--dry does not combine with a command: it checks the configuration for serving',
      );
    }
    await withStore(this.host.openStore, this.locateStore(), create, use);
  }

  /** With --driver alone no configuration is read: it has nothing that a command needs. */
  private locateStore(): StoreLocator {
    const { config, driver } = this.options;
    if (driver !== undefined && config === undefined) return { driver: [checkedDriver(driver)], deadSet: 'auto' };
    const loaded = this.load().config;
    return { driver: loaded.driver, deadSet: loaded.compat.deadSet };
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

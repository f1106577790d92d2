import type { Readable, Writable } from 'node:stream';
import type { LogOptions } from '../base/log.ts';
import type { InputOf, OperationName, Performer, ResultOf } from '../operations/catalogue.ts';
import type { Output, Report } from './output.ts';

/** The options of all commands. */
export interface CommandOptions {
  readonly config?: string;
  readonly driver?: string;
  /** The address of the admin API of an instance. */
  readonly admin?: string;
  readonly dry?: boolean;
  readonly beside?: boolean;
  readonly json?: boolean;
  readonly empty?: boolean;
  readonly id?: string;
  /** Seconds. */
  readonly ttl?: string;
  /** Seconds; of a deploy, a time with its unit. */
  readonly drain?: string;
  /** A version. */
  readonly ifVersion?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly pem?: boolean;
  readonly pid?: string;
  readonly reason?: string;
  /** Seconds; true for the default. */
  readonly wait?: string | true;
  readonly all?: boolean;
  readonly waiting?: boolean;
  readonly client?: string;
  readonly method?: string;
  readonly https?: boolean;
  readonly header?: readonly string[];
  /** The address of an instance's metrics; true for that of the configuration. */
  readonly live?: string | true;
  readonly health?: string;
  readonly healthStatus?: string;
  readonly healthText?: string;
  /** A share in percent. */
  readonly canary?: string;
  /** Times with their unit. */
  readonly healthTimeout?: string;
  readonly liveTimeout?: string;
  readonly queue?: string;
  /** A prefix of paths. */
  readonly path?: string;
  readonly certificates?: boolean;
  readonly after?: string;
  readonly dryRun?: boolean;
  readonly from?: string;
  readonly to?: string;
  readonly write?: boolean;
  readonly sort?: string;
  readonly limit?: string;
  readonly once?: boolean;
  readonly socket?: string;
  readonly owner?: string;
  readonly source?: string;
  readonly address?: string;
  readonly network?: string;
  readonly adopt?: boolean;
}

/** The part of the command line that a group of commands uses. */
export interface CommandContext extends Performer {
  readonly host: {
    readonly stdin?: Readable;
    readonly stdout: Writable;
    readonly stderr: Writable;
    readonly env: NodeJS.ProcessEnv;
    readonly cwd: string;
  };
  readonly out: Output;
  readonly err: Output;
  /** Those of the current command. */
  options(): CommandOptions;
  /** Prints the result of an operation. */
  run<Name extends OperationName>(
    name: Name,
    input: InputOf<Name>,
    report: (result: ResultOf<Name>) => Report,
  ): Promise<void>;
  /** The same for a change, which may have to be live before the command ends. */
  change<Name extends OperationName>(
    name: Name,
    input: InputOf<Name>,
    report: (result: ResultOf<Name>) => Report,
  ): Promise<void>;
  /** Does operations with two other stores. */
  withStores(
    urls: readonly [from: string, to: string],
    use: (from: Performer, to: Performer) => Promise<void>,
  ): Promise<void>;
  /** Of the operational log, for a command that runs until it is ended. */
  logOptions(): Pick<LogOptions, 'level' | 'format'>;
  /** Epoch milliseconds. */
  now(): number;
  print(report: Report): Promise<void>;
  complain(message: string): Promise<void>;
}

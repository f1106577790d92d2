import type { Log } from '../base/log.ts';
import type { HandedAddress } from '../processes/given-sockets.ts';
import { Successor, type SuccessorOptions } from '../processes/successor.ts';

type StartedProgram = Pick<Successor, 'outcome' | 'pid' | 'abort' | 'kill'>;

export interface UpgradeParts {
  readonly log: Log;
  /** The listening sockets of this process. */
  readonly handed: () => readonly HandedAddress[];
  /** Why this process cannot be replaced by another one; null if it can. */
  readonly obstacle: () => string | null;
  readonly env: NodeJS.ProcessEnv;
  /** The successor was stopped by a signal, and so is this process. */
  readonly onStop: SuccessorOptions['onStop'];
  /** Default: starts the program. */
  readonly start?: (options: SuccessorOptions) => StartedProgram;
}

/** Starts the program that is now on disk, and gives it the listening sockets. Until it serves, nothing changes here. */
export class Upgrade {
  private readonly parts: UpgradeParts;
  /** One that does not serve yet. */
  private successor: StartedProgram | null = null;
  /** The process id of the one that serves. */
  private servingPid: number | null = null;

  constructor(parts: UpgradeParts) {
    this.parts = parts;
  }

  /** @returns whether the new program serves. */
  async run(): Promise<boolean> {
    const { log, handed, obstacle, env, onStop, start = (options) => new Successor(options) } = this.parts;
    const reason = obstacle();
    if (reason !== null) {
      log.error(`nothing is changed: ${reason}`, { code: 'UPGRADE_FAILED' });
      return false;
    }
    log.info('SIGUSR2: starting the program that is now on disk');
    const successor = start({ addresses: handed(), env, onStop });
    this.successor = successor;
    const failure = await successor.outcome;
    this.successor = null;
    if (failure === null) {
      this.servingPid = successor.pid;
      log.info('the new program serves; requests and tunnels of this one may finish', { pid: successor.pid });
      return true;
    }
    log.error(`nothing is changed: the new program does not serve: ${failure}`, { code: 'UPGRADE_FAILED' });
    return false;
  }

  /** This process stops, and so does a successor that does not serve yet. */
  abort(): void {
    this.successor?.abort();
  }

  /** Like `abort`, at once. */
  kill(): void {
    this.successor?.kill();
  }

  /** Has the new program, which serves, read the configuration again. */
  reloadSuccessor(): void {
    const { servingPid } = this;
    if (servingPid === null) return;
    this.parts.log.info('SIGHUP: passed on to the new program', { pid: servingPid });
    try {
      process.kill(servingPid, 'SIGHUP');
    } catch (error) {
      this.parts.log.warn('the new program could not be signalled', { error });
    }
  }
}

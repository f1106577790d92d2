import { type ChildProcess, spawn } from 'node:child_process';
import { packageFile } from '../base/package-files.ts';
import { type HandedAddress, handedVariable } from './given-sockets.ts';
import { firstInheritedFd } from './worker-process.ts';

/** Messages of a primary to the one that has started it. */
type FromSuccessor =
  | { readonly kind: 'serving' }
  /** It was stopped by this signal, and so are its predecessors. `again`: by a second one. */
  | { readonly kind: 'stop'; readonly signal: NodeJS.Signals; readonly again: boolean };

/** How long a successor may take until it serves, in ms. */
const startMs = 240_000;

/** How long a successor that is given up may take to end by itself, in ms. */
const endMs = 5000;

/** Variables that concern one process of systemd's service only. */
const ownVariables = ['WATCHDOG_PID', 'LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES', 'NODE_CHANNEL_FD'];

export interface SuccessorOptions {
  readonly addresses: readonly HandedAddress[];
  readonly env: NodeJS.ProcessEnv;
  /** Called when it was stopped by a signal, which then concerns this process too. */
  readonly onStop: (signal: NodeJS.Signals, again: boolean) => void;
  /** Default: those of this process. */
  readonly args?: readonly string[];
  /** How long it may take to end by itself if it is given up, in ms. Default 5000. */
  readonly endMs?: number;
}

/** The primary that takes over from this one: the program as it now is on disk, with the same arguments. */
export class Successor {
  /** Resolves once it serves, with null, or with the reason why it never will. */
  readonly outcome: Promise<string | null>;
  private readonly child: ChildProcess;
  private readonly endMs: number;
  private isAborted = false;
  private killTimer: NodeJS.Timeout | undefined;

  constructor({ addresses, env, onStop, ...options }: SuccessorOptions) {
    this.endMs = options.endMs ?? endMs;
    const descriptors = addresses.flatMap((address) => address.descriptors);
    const handed = withChildDescriptors(addresses);
    // It takes over, and shares no other address: it is beside nobody.
    const args = (options.args ?? process.argv.slice(2)).filter((arg) => arg !== '--beside');
    this.child = spawn(programPath(env), args, {
      env: { ...inheritedEnv(env), [handedVariable]: JSON.stringify(handed) },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', ...descriptors],
    });
    this.outcome = this.settle(onStop);
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** Gives it up: ends it, if need be by force, since it holds the listening sockets. */
  abort(): void {
    this.isAborted = true;
    this.child.kill('SIGTERM');
    this.killTimer = setTimeout(() => this.kill(), this.endMs);
  }

  /** Ends it at once. */
  kill(): void {
    this.isAborted = true;
    this.child.kill('SIGKILL');
  }

  private settle(onStop: SuccessorOptions['onStop']): Promise<string | null> {
    const { child } = this;
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        child.kill('SIGKILL');
        resolve(`it did not serve within ${startMs / 1000} s`);
      }, startMs);
      const end = (reason: string | null): void => {
        clearTimeout(timer);
        clearTimeout(this.killTimer);
        resolve(reason);
      };
      child.once('error', ({ message }) => end(message));
      child.once('exit', (code, signal) => {
        end(this.isAborted ? 'it was ended' : `it ended with ${signal ?? `exit code ${code}`}; see its messages above`);
      });
      child.on('message', (message: FromSuccessor) => {
        if (message.kind === 'stop') {
          onStop(message.signal, message.again);
          return;
        }
        // It outlives this process.
        child.unref();
        child.channel?.unref();
        end(null);
      });
    });
  }
}

/** The primary before this one, if this one was started by an upgrade. */
export class Predecessor {
  /** @returns null if there is none. Call it before the variable is removed. */
  static fromEnvironment(env: NodeJS.ProcessEnv): Predecessor | null {
    if (env[handedVariable] === undefined || process.send === undefined) return null;
    process.channel?.unref();
    return new Predecessor();
  }

  /** This process serves: the predecessor stops accepting, finishes what is in progress, and ends. */
  serving(): void {
    this.send({ kind: 'serving' });
  }

  /** A signal stops this process, and thus the whole program. */
  stop(signal: NodeJS.Signals): void {
    this.send({ kind: 'stop', signal, again: false });
  }

  /** A second signal ends the whole program at once. */
  abort(): void {
    this.send({ kind: 'stop', signal: 'SIGTERM', again: true });
  }

  private send(message: FromSuccessor): void {
    if (process.connected) process.send?.(message, undefined, {}, () => {});
  }
}

/** The descriptors of the addresses as the child has them. */
function withChildDescriptors(addresses: readonly HandedAddress[]): HandedAddress[] {
  let fd = firstInheritedFd;
  return addresses.map((address) => ({ ...address, descriptors: address.descriptors.map(() => fd++) }));
}

function inheritedEnv(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const inherited = { ...env };
  for (const name of ownVariables) delete inherited[name];
  // bin/hipache has set it for the version that it belongs to.
  if (env['NODE_COMPILE_CACHE'] === env['HIPACHE_COMPILE_CACHE']) delete inherited['NODE_COMPILE_CACHE'];
  delete inherited['HIPACHE_COMPILE_CACHE'];
  return inherited;
}

/** The path with which the program was started, so that a link to it is followed again. */
function programPath(env: NodeJS.ProcessEnv): string {
  return env['HIPACHE_PROGRAM'] ?? packageFile('bin/hipache');
}

import { spawn } from 'node:child_process';
import type { Log } from '../base/log.ts';

/**
 * Tells systemd about the state of the service (sd_notify). Node has no datagram sockets of Unix, so the messages go
 * through systemd's own program, one after the other; the unit needs `NotifyAccess=all`. Does nothing without systemd.
 */
export class ServiceManager {
  private readonly env: NodeJS.ProcessEnv;
  private readonly log: Log;
  private readonly watchdogMs: number;
  private timer: NodeJS.Timeout | undefined;
  private sending: Promise<boolean> = Promise.resolve(true);

  constructor(env: NodeJS.ProcessEnv, log: Log) {
    this.env = env;
    this.log = log;
    const { WATCHDOG_USEC, WATCHDOG_PID } = env;
    const isMeant = WATCHDOG_PID === undefined || WATCHDOG_PID === String(process.pid);
    // systemd recommends half of the time that it allows.
    this.watchdogMs = isMeant ? (Number(WATCHDOG_USEC) || 0) / 2000 : 0;
  }

  /** Whether systemd would take the end of this process for that of the service, whatever process has taken over. */
  get isBoundToProcess(): boolean {
    return this.env['SYSTEMD_EXEC_PID'] === String(process.pid) && !this.isListening;
  }

  /** This process serves: it is the main one of the service. @returns whether systemd knows that. */
  ready(): Promise<boolean> {
    if (this.watchdogMs > 0) this.timer ??= setInterval(() => void this.notify('WATCHDOG=1'), this.watchdogMs);
    return this.notify('READY=1', `MAINPID=${process.pid}`);
  }

  /** A reload begins; `ready` ends it. */
  reloading(): void {
    void this.notify('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
  }

  /** The service ends. */
  stopping(): void {
    void this.notify('STOPPING=1');
  }

  /** Another process is the main one from now on. */
  close(): void {
    clearInterval(this.timer);
  }

  private get isListening(): boolean {
    return (this.env['NOTIFY_SOCKET'] ?? '') !== '';
  }

  private notify(...assignments: readonly string[]): Promise<boolean> {
    if (!this.isListening) return Promise.resolve(true);
    this.sending = this.sending.then(() => this.send(assignments));
    return this.sending;
  }

  /** The program waits until systemd has read the message. */
  private send(assignments: readonly string[]): Promise<boolean> {
    return new Promise((resolve) => {
      const child = spawn('systemd-notify', assignments, { env: this.env, stdio: 'ignore' });
      const end = (problem: string | null): void => {
        if (problem !== null) this.log.warn(`systemd was not notified: systemd-notify: ${problem}`);
        resolve(problem === null);
      };
      child.once('error', ({ message }) => end(message));
      child.once('exit', (code, signal) => end(code === 0 ? null : `ended with ${signal ?? `exit code ${code}`}`));
    });
  }
}

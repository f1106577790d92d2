import { spawn } from 'node:child_process';
import type { Log } from '../base/log.ts';

/** How long `systemd-notify` may take, in ms. Traffic does not depend on systemd, but the start waits for it. */
const notifyMs = 5000;

/**
 * Tells systemd about the state of the service (sd_notify). Node has no datagram sockets of Unix, so the messages go
 * through systemd's own program, one after the other; the unit needs `NotifyAccess=all`. Does nothing without systemd.
 */
export class ServiceManager {
  private readonly env: NodeJS.ProcessEnv;
  private readonly log: Pick<Log, 'warn'>;
  private readonly watchdogMs: number;
  private readonly notifyMs: number;
  private timer: NodeJS.Timeout | undefined;
  private sending: Promise<boolean> = Promise.resolve(true);
  /** Messages that are sent or wait. */
  private pending = 0;

  /** @param timeoutMs how long one message may take, in ms. */
  constructor(env: NodeJS.ProcessEnv, log: Pick<Log, 'warn'>, timeoutMs = notifyMs) {
    this.env = env;
    this.log = log;
    this.notifyMs = timeoutMs;
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
    if (this.watchdogMs > 0) this.timer ??= setInterval(() => this.live(), this.watchdogMs);
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

  /** A sign of life for the watchdog. It does not queue up behind messages that hang. */
  private live(): void {
    if (this.pending === 0) void this.notify('WATCHDOG=1');
  }

  private notify(...assignments: readonly string[]): Promise<boolean> {
    if (!this.isListening) return Promise.resolve(true);
    this.pending++;
    this.sending = this.sending.then(() => this.send(assignments)).finally(() => this.pending--);
    return this.sending;
  }

  /** The program waits until systemd has read the message. */
  private send(assignments: readonly string[]): Promise<boolean> {
    return new Promise((resolve) => {
      const child = spawn('systemd-notify', assignments, { env: this.env, stdio: 'ignore' });
      const end = (problem: string | null): void => {
        clearTimeout(timer);
        if (problem !== null) this.log.warn(`systemd was not notified: systemd-notify: ${problem}`);
        resolve(problem === null);
      };
      let isLate = false;
      const timer = setTimeout(() => {
        isLate = true;
        child.kill('SIGKILL');
      }, this.notifyMs);
      child.once('error', ({ message }) => end(message));
      child.once('exit', (code, signal) => {
        if (isLate) end(`it did not end within ${this.notifyMs / 1000} s and was killed`);
        else end(code === 0 ? null : `ended with ${signal ?? `exit code ${code}`}`);
      });
    });
  }
}

import { HipacheError } from '../base/errors.ts';
import type { DrainOrder, FromWorker, MarkReport, MetricValues, ToWorker, WorkerStart } from './messages.ts';

/** A worker, as its primary orders it about. */
export interface WorkerTasks {
  adopt(shares: readonly number[]): void;
  /** May be called again, with less time. @returns whether nothing had to be ended. */
  drain(order: DrainOrder): Promise<boolean>;
  reopenLogs(): void;
  tlsChanged(tls: unknown): void;
  values(): MetricValues;
  /** Writes what is to be written; the process ends after it. */
  close(): Promise<void>;
}

/** The worker's end of the connection to its primary. */
export class WorkerLink {
  private readonly build: (start: WorkerStart, link: WorkerLink) => Promise<WorkerTasks>;
  private tasks: WorkerTasks | null = null;
  private drainMs = 0;
  private ending: Promise<void> | null = null;

  /** @param build makes the worker; it serves when that resolves. HipacheErrors go to the primary. */
  constructor(build: (start: WorkerStart, link: WorkerLink) => Promise<WorkerTasks>) {
    this.build = build;
  }

  /** Obeys the primary until the process ends. */
  run(): void {
    // These reach all processes of a terminal or a service; what they mean for workers is the primary's to say.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1'] as const) process.on(signal, () => {});
    process.on('message', (message) => this.onMessage(message as ToWorker));
    process.once('disconnect', () => this.onOrphaned());
  }

  marked(marked: MarkReport): void {
    this.send({ kind: 'marked', marked });
  }

  overMemory(residentBytes: number): void {
    this.send({ kind: 'overMemory', residentBytes });
  }

  private onMessage(message: ToWorker): void {
    switch (message.kind) {
      case 'start':
        this.drainMs = message.start.config.server.drainSeconds * 1000;
        this.start(message.start);
        break;
      case 'adopt':
        this.tasks?.adopt(message.shares);
        break;
      case 'drain':
        this.drain(message.order);
        break;
      case 'tls':
        this.tasks?.tlsChanged(message.tls);
        break;
      case 'reopenLogs':
        this.tasks?.reopenLogs();
        break;
      case 'ping':
        this.send({ kind: 'pong', values: this.tasks?.values() ?? {} });
        break;
    }
  }

  private start(start: WorkerStart): void {
    this.build(start, this).then(
      (tasks) => {
        this.tasks = tasks;
        this.send({ kind: 'ready' });
        if (!process.connected) this.onOrphaned();
      },
      (error: Error) => {
        const code = error instanceof HipacheError ? error.code : 'WORKER_FAILED';
        const message = error instanceof HipacheError ? error.message : `a worker cannot start: ${error.stack}`;
        this.send({ kind: 'failed', code, message }, () => process.exit(1));
      },
    );
  }

  private drain(order: DrainOrder): void {
    const { tasks } = this;
    if (tasks === null) process.exit(0);
    const drained = tasks.drain(order);
    this.ending ??= drained.then(async (clean) => {
      await tasks.close();
      this.send({ kind: 'drained', clean, values: tasks.values() }, () => process.exit(0));
    });
  }

  /** The primary is gone, and nobody is left to replace this worker: it ends as if told to. */
  private onOrphaned(): void {
    if (this.ending === null) this.drain({ forMs: this.drainMs, closeCode: 1001 });
  }

  private send(message: FromWorker, then: () => void = ignore): void {
    if (process.send === undefined || !process.connected) then();
    else process.send(message, undefined, {}, then);
  }
}

function ignore(): void {}

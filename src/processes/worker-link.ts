import { performance } from 'node:perf_hooks';
import { HipacheError } from '../base/errors.ts';
import type { HookTarget, UsedHost } from '../base/hook-target.ts';
import type { QuestionSubject } from '../base/instance-question.ts';
import type {
  DrainOrder,
  FromWorker,
  ListenPlace,
  MarkReport,
  RecordText,
  TokenUse,
  ToWorker,
  WorkerPlace,
  WorkerReport,
  WorkerStart,
} from './messages.ts';

/** How long the workers of a primary that has gone may take to notice it, in ms. */
const orphanReleaseMs = 100;

/** A worker's tasks, as ordered by its primary. */
export interface WorkerTasks {
  adopt(place: WorkerPlace): void;
  /** Closes the sockets from which it does not accept, except those at these places. */
  release(kept: readonly ListenPlace[]): void;
  /** Can be called again with less time. @returns whether the worker did not have to abort anything. */
  drain(order: DrainOrder): Promise<boolean>;
  reopenLogs(): void;
  tlsChanged(tls: unknown): void;
  report(): WorkerReport;
  /** Answers a question of an operator. */
  answer(subject: QuestionSubject, question: unknown): Promise<unknown>;
  /** Writes what is pending. The process then exits. */
  close(): Promise<void>;
}

/** The worker's end of the connection to its primary. */
export class WorkerLink {
  private readonly build: (start: WorkerStart, link: WorkerLink) => Promise<WorkerTasks>;
  /** Receives the records asked for by `recall`, also before the worker serves. @param isLast no more follow. */
  onKnown: (records: readonly RecordText[], isLast: boolean) => void = ignore;
  /** Receives the keys of records that this worker has to read. */
  onVerify: (keys: readonly string[]) => void = ignore;
  /** Receives whether known routes are served that the store does not have. */
  onHold: (holdsRoutes: boolean) => void = ignore;
  /** Receives the reply to `askGuard`. */
  onJudged: () => void = ignore;
  /** Receives the tokens that other workers have taken. */
  onUses: (uses: readonly TokenUse[]) => void = ignore;
  /** Receives the number of instances that share the store. */
  onFleet: (instances: number) => void = ignore;
  /** Receives names whose certificates were looked after. */
  onCertificateLooked: (name: string) => void = ignore;
  private tasks: WorkerTasks | null = null;
  /** An order to release sockets that came before there were tasks. */
  private kept: readonly ListenPlace[] | null = null;
  /** The same for the order to reopen the logs. */
  private reopensLogs = false;
  private drainMs = 0;
  private ending: Promise<void> | null = null;
  /** The ends of the drain in progress, in monotonic ms; Infinity for none. */
  private ends = { tunnelsMs: Number.POSITIVE_INFINITY, requestsMs: Number.POSITIVE_INFINITY };

  /** @param build creates the worker, which serves once that resolves. HipacheErrors go to the primary. */
  constructor(build: (start: WorkerStart, link: WorkerLink) => Promise<WorkerTasks>) {
    this.build = build;
  }

  /** Follows the primary's orders until the process exits. */
  run(): void {
    // These signals reach all processes of a terminal or service. The primary decides what they mean for workers.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const) process.on(signal, ignore);
    process.on('message', (message) => this.onMessage(message as ToWorker));
    process.once('disconnect', () => this.onOrphaned());
  }

  marked(marked: MarkReport): void {
    this.send({ kind: 'marked', marked });
  }

  checked(patterns: readonly string[]): void {
    this.send({ kind: 'checked', patterns });
  }

  read(records: readonly RecordText[]): void {
    this.send({ kind: 'read', records });
  }

  recall(): void {
    this.send({ kind: 'recall' });
  }

  askGuard(): void {
    this.send({ kind: 'askGuard' });
  }

  uses(uses: readonly TokenUse[]): void {
    this.send({ kind: 'uses', uses });
  }

  asleep(pattern: string, target: HookTarget): void {
    this.send({ kind: 'asleep', pattern, target });
  }

  awake(pattern: string): void {
    this.send({ kind: 'awake', pattern });
  }

  used(hosts: readonly UsedHost[]): void {
    this.send({ kind: 'used', hosts });
  }

  certificateWanted(name: string, address: string): void {
    this.send({ kind: 'certificateWanted', name, address });
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
        this.tasks?.adopt(message.place);
        break;
      case 'release':
        this.release(message.kept);
        break;
      case 'drain':
        this.drain(message.order);
        break;
      case 'tls':
        this.tasks?.tlsChanged(message.tls);
        break;
      case 'reopenLogs':
        if (this.tasks === null) this.reopensLogs = true;
        else this.tasks.reopenLogs();
        break;
      case 'known':
        this.onKnown(message.records, message.isLast);
        break;
      case 'verify':
        this.onVerify(message.keys);
        break;
      case 'hold':
        this.onHold(message.holdsRoutes);
        break;
      case 'judged':
        this.onJudged();
        break;
      case 'ask':
        void this.answer(message.id, message.subject, message.question);
        break;
      case 'uses':
        this.onUses(message.uses);
        break;
      case 'fleet':
        this.onFleet(message.instances);
        break;
      case 'certificateLooked':
        this.onCertificateLooked(message.name);
        break;
      case 'ping':
        this.send({ kind: 'pong', report: this.tasks?.report() ?? { values: {}, drains: [] } });
        break;
    }
  }

  private async answer(id: number, subject: QuestionSubject, question: unknown): Promise<void> {
    const answer = await this.tasks?.answer(subject, question).catch(() => null);
    this.send({ kind: 'answer', id, answer: answer ?? null });
  }

  private start(start: WorkerStart): void {
    this.build(start, this).then(
      (tasks) => {
        this.tasks = tasks;
        if (this.kept !== null) this.release(this.kept);
        // The access log may have been opened before it was rotated.
        if (this.reopensLogs) tasks.reopenLogs();
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

  private release(kept: readonly ListenPlace[]): void {
    if (this.tasks === null) {
      this.kept = kept;
      return;
    }
    this.kept = null;
    this.tasks.release(kept);
    this.send({ kind: 'released' });
  }

  private drain(order: DrainOrder): void {
    const { tasks } = this;
    if (tasks === null) process.exit(0);
    const nowMs = performance.now();
    this.ends = { tunnelsMs: nowMs + order.forMs, requestsMs: nowMs + (order.requestsForMs ?? order.forMs) };
    const drained = tasks.drain(order);
    this.ending ??= drained.then(async (clean) => {
      await tasks.close();
      this.send({ kind: 'drained', clean, report: tasks.report() }, () => process.exit(0));
    });
  }

  /**
   * The primary has gone, and nobody can replace or end this worker: it drains within `drainMs`, and exits. First, all
   * workers close the sockets from which they do not accept, so that each socket is closed by the one that empties its
   * queue.
   */
  private onOrphaned(): void {
    if (this.ending === null) {
      this.tasks?.release([]);
      setTimeout(() => this.drainOrphaned(), orphanReleaseMs);
    } else {
      this.drainOrphaned();
    }
  }

  /** A replaced worker has no limit for its requests yet. One that a signal stops keeps the time that it has left. */
  private drainOrphaned(): void {
    const { drainMs, ends } = this;
    const nowMs = performance.now();
    const forMs = Math.min(drainMs, Math.max(0, ends.tunnelsMs - nowMs));
    const requestsForMs = Math.min(drainMs, Math.max(0, ends.requestsMs - nowMs));
    this.drain({ forMs, requestsForMs, closeCode: 1001 });
  }

  private send(message: FromWorker, then: () => void = ignore): void {
    if (process.send === undefined || !process.connected) then();
    else process.send(message, undefined, {}, then);
  }
}

function ignore(): void {}

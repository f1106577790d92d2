import { type ChildProcess, spawn } from 'node:child_process';
import type { HookTarget, UsedHost } from '../base/hook-target.ts';
import type { QuestionSubject } from '../base/instance-question.ts';
import type { Config } from '../config/config.ts';
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

/** The standard streams and IPC have the descriptors below. */
export const firstInheritedFd = 4;

export type WorkerState = 'starting' | 'ready' | 'draining' | 'gone';

/** How a worker ended. */
export interface WorkerEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Whether it was killed because it did not respond. */
  readonly wasStuck: boolean;
}

export interface WorkerHandler {
  onReady(worker: WorkerProcess): void;
  onReleased(worker: WorkerProcess): void;
  /** The worker has reported why it cannot start, and exits. */
  onFailed(worker: WorkerProcess, failure: WorkerFailure): void;
  onMarked(marked: MarkReport): void;
  onChecked(patterns: readonly string[]): void;
  onRead(worker: WorkerProcess, records: readonly RecordText[]): void;
  onRecall(worker: WorkerProcess): void;
  onAskGuard(worker: WorkerProcess): void;
  onUses(worker: WorkerProcess, uses: readonly TokenUse[]): void;
  onAsleep(pattern: string, target: HookTarget): void;
  onAwake(pattern: string): void;
  onUsed(hosts: readonly UsedHost[]): void;
  onCertificateWanted(name: string, address: string): void;
  onOverMemory(worker: WorkerProcess, residentBytes: number): void;
  onDrained(worker: WorkerProcess, clean: boolean): void;
  onReport(worker: WorkerProcess, report: WorkerReport): void;
  onGone(worker: WorkerProcess, end: WorkerEnd): void;
}

export type WorkerFailure = Pick<FromWorker & { kind: 'failed' }, 'code' | 'message'>;

export interface WorkerProgram {
  /** Path of the program that a worker runs. */
  readonly path: string;
  readonly env: NodeJS.ProcessEnv;
}

/**
 * Size of a semi-space for new objects, in MiB. V8's own choice makes a worker grow half as much again under 9,000
 * tunnels (11.4 instead of 7.6 KiB each, `npm run bench -- --only tunnels`); the CPU time of a small request is the
 * same.
 */
const heapOptions = ['--max-semi-space-size=4'];

let made = 0;

/** One worker as the primary sees it, from start to end. */
export class WorkerProcess {
  /** Never reused by this primary. */
  readonly id = ++made;
  readonly number: number;
  /** The configuration it was started with. */
  readonly config: Config;
  /** Monotonic ms. */
  readonly startedMs: number;
  state: WorkerState = 'starting';
  /** Orders to release sockets that it has not confirmed. */
  private releasing = 0;
  private readonly child: ChildProcess;
  private readonly handler: WorkerHandler;
  /** Unanswered heartbeats in a row. */
  private missed = 0;
  private awaitsPong = false;
  private wasStuck = false;
  private readonly pongs: (() => void)[] = [];
  /** By the id of their questions. */
  private readonly asking = new Map<number, (answer: unknown) => void>();
  private questions = 0;

  constructor(
    program: WorkerProgram,
    start: WorkerStart,
    descriptors: readonly number[],
    nowMs: number,
    handler: WorkerHandler,
  ) {
    this.number = start.number;
    this.config = start.config;
    this.startedMs = nowMs;
    this.handler = handler;
    this.child = spawn(process.execPath, [...process.execArgv, ...heapOptions, program.path], {
      env: program.env,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', ...descriptors],
      serialization: 'advanced',
    });
    this.child.on('message', (message) => this.onMessage(message as FromWorker));
    this.child.once('error', (error: NodeJS.ErrnoException) => {
      if (this.child.pid !== undefined) return;
      this.handler.onFailed(this, { code: 'WORKER_FAILED', message: `cannot start a worker: ${error.message}` });
      this.onExit(null, null);
    });
    this.child.once('exit', (code, signal) => this.onExit(code, signal));
    this.send({ kind: 'start', start });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  adopt(place: WorkerPlace): void {
    this.send({ kind: 'adopt', place });
  }

  tellTls(tls: unknown): void {
    this.send({ kind: 'tls', tls });
  }

  tellKnown(records: readonly RecordText[], isLast: boolean): void {
    this.send({ kind: 'known', records, isLast });
  }

  tellVerify(keys: readonly string[]): void {
    this.send({ kind: 'verify', keys });
  }

  tellHold(holdsRoutes: boolean): void {
    this.send({ kind: 'hold', holdsRoutes });
  }

  tellJudged(): void {
    this.send({ kind: 'judged' });
  }

  tellUses(uses: readonly TokenUse[]): void {
    this.send({ kind: 'uses', uses });
  }

  tellFleet(instances: number): void {
    this.send({ kind: 'fleet', instances });
  }

  tellCertificateLooked(name: string): void {
    this.send({ kind: 'certificateLooked', name });
  }

  /** Asks a question of an operator. @returns null if it does not answer in time, or cannot. */
  async ask(subject: QuestionSubject, question: unknown, timeoutMs: number): Promise<unknown> {
    if (this.state !== 'ready') return null;
    const id = ++this.questions;
    const { promise, resolve } = Promise.withResolvers<unknown>();
    this.asking.set(id, resolve);
    const timer = setTimeout(() => resolve(null), timeoutMs);
    this.send({ kind: 'ask', id, subject, question });
    const answer = await promise;
    clearTimeout(timer);
    this.asking.delete(id);
    return answer;
  }

  reopenLogs(): void {
    this.send({ kind: 'reopenLogs' });
  }

  /** Whether it has closed the sockets that it was to release. */
  get hasReleased(): boolean {
    return this.releasing === 0;
  }

  /** Makes it close the sockets from which it does not accept. @param kept where it keeps them all the same. */
  release(kept: readonly ListenPlace[]): void {
    this.releasing++;
    this.send({ kind: 'release', kept });
  }

  /**
   * Makes it stop accepting, end everything in progress as `order` says, and exit. A further call gives it less time.
   */
  drain(order: DrainOrder): void {
    if (this.state === 'gone') return;
    this.state = 'draining';
    this.send({ kind: 'drain', order });
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }

  /** Sends a heartbeat. @param missedMax unanswered heartbeats after which the worker is killed. */
  beat(missedMax: number): void {
    if (this.state === 'gone') return;
    if (!this.awaitsPong) {
      this.missed = 0;
      this.ping();
      return;
    }
    this.missed++;
    if (this.missed < missedMax || this.wasStuck) return;
    this.wasStuck = true;
    this.kill();
  }

  /** Requests a fresh report. If it resolves with true, the handler has received it. */
  async refresh(timeoutMs: number): Promise<boolean> {
    if (this.state === 'gone') return false;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => resolve(false), timeoutMs);
    this.pongs.push(() => resolve(true));
    if (!this.awaitsPong) this.ping();
    const reply = await promise;
    clearTimeout(timer);
    return reply;
  }

  private ping(): void {
    this.awaitsPong = true;
    this.send({ kind: 'ping' });
  }

  private send(message: ToWorker): void {
    // A worker that is exiting has no channel. Its end is noticed separately.
    if (this.child.connected) this.child.send(message, ignore);
  }

  private onMessage(message: FromWorker): void {
    if (this.state === 'gone') return;
    switch (message.kind) {
      case 'ready':
        if (this.state !== 'starting') break;
        this.state = 'ready';
        this.handler.onReady(this);
        break;
      case 'released':
        this.releasing--;
        this.handler.onReleased(this);
        break;
      case 'failed':
        this.handler.onFailed(this, message);
        break;
      case 'pong':
        this.awaitsPong = false;
        this.handler.onReport(this, message.report);
        for (const resolve of this.pongs.splice(0)) resolve();
        break;
      case 'drained':
        this.handler.onReport(this, message.report);
        this.handler.onDrained(this, message.clean);
        break;
      case 'marked':
        this.handler.onMarked(message.marked);
        break;
      case 'checked':
        this.handler.onChecked(message.patterns);
        break;
      case 'read':
        this.handler.onRead(this, message.records);
        break;
      case 'recall':
        this.handler.onRecall(this);
        break;
      case 'askGuard':
        this.handler.onAskGuard(this);
        break;
      case 'answer':
        this.asking.get(message.id)?.(message.answer);
        break;
      case 'uses':
        this.handler.onUses(this, message.uses);
        break;
      case 'asleep':
        this.handler.onAsleep(message.pattern, message.target);
        break;
      case 'awake':
        this.handler.onAwake(message.pattern);
        break;
      case 'used':
        this.handler.onUsed(message.hosts);
        break;
      case 'certificateWanted':
        this.handler.onCertificateWanted(message.name, message.address);
        break;
      case 'overMemory':
        this.handler.onOverMemory(this, message.residentBytes);
        break;
    }
  }

  private onExit(code: number | null, signal: NodeJS.Signals | null): void {
    if (this.state === 'gone') return;
    this.state = 'gone';
    this.handler.onGone(this, { code, signal, wasStuck: this.wasStuck });
  }
}

function ignore(): void {}

import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import type { FromAdmin, ToAdmin } from '../admin/messages.ts';
import { BackOff } from '../base/back-off.ts';
import type { InstanceSubject } from '../base/instance-question.ts';
import type { Log } from '../base/log.ts';
import { entryPoint } from '../base/package-files.ts';
import { parseAdminBind } from '../config/admin.ts';
import type { Config } from '../config/config.ts';
import { AdminSocket } from './admin-socket.ts';

/** Between two heartbeats, in ms, and how many may be missed. */
const beatMs = 5000;
const missedMax = 4;
/** Between two attempts to listen where another program does, in ms. */
const listenAgainMs = 5000;
/** The first attempts follow sooner, in ms, and are not worth a word. */
const listenSoonMs = 100;
const briefFailuresMax = 10;
/** How long one that is to end may take with what is under way, in ms: as long as a deploy. */
const endMsMax = 3_700_000;
/** After one that has lived so long, there is no pause, in ms. */
const stableMs = 60_000;
const pauseFigures = { firstMs: 100, longestMs: 30_000 };

/**
 * The admin API: its address, and the process that serves it once a client has come. Nothing else depends on that
 * process: if it ends, the next client gets another one, and if it hangs, it is killed.
 */
export class AdminProcess {
  private readonly log: Log;
  private readonly ask: (subject: InstanceSubject, question: unknown) => Promise<readonly unknown[]>;
  private readonly pauses = new BackOff(pauseFigures);
  /** Null while the API is off. */
  private config: Config | null = null;
  private socket: AdminSocket | null = null;
  private child: ChildProcess | null = null;
  private timer: NodeJS.Timeout | null = null;
  private problem = '';
  /** Attempts to listen, in a row. */
  private failures = 0;

  /** @param ask asks the workers. */
  constructor(log: Log, ask: AdminProcess['ask']) {
    this.log = log;
    this.ask = ask;
  }

  /** Listens as a configuration says. Requests that are under way may finish. */
  async follow(config: Config): Promise<void> {
    this.close();
    if (config.admin.bind === null) return;
    this.config = config;
    this.failures = 0;
    await this.listen(config);
  }

  /** Nobody can come any more; requests that are under way may finish. */
  close(): void {
    const { child, socket, timer } = this;
    this.config = null;
    this.child = null;
    this.socket = null;
    if (timer !== null) clearTimeout(timer);
    socket?.close();
    if (child === null) return;
    child.kill('SIGTERM');
    setTimeout(() => child.kill('SIGKILL'), endMsMax).unref();
  }

  private async listen(config: Config): Promise<void> {
    const bind = parseAdminBind(config.admin.bind);
    if (bind === null) return;
    try {
      const socket = await AdminSocket.open(bind, (client) => this.start(config, client));
      if (this.config !== config) {
        socket.close();
        return;
      }
      if (this.socket === null) this.log.info(`admin API on ${socket.url}`);
      this.socket = socket;
      this.problem = '';
      this.failures = 0;
    } catch (error) {
      const { message } = error as Error;
      // After a reload, the process before this one may have the address for a moment. An instance that replaces another one
      // gets it when that one stops.
      const isBrief = ++this.failures < briefFailuresMax;
      if (!isBrief && message !== this.problem) this.log.warn(`no admin API: ${message}`);
      if (!isBrief) this.problem = message;
      this.later(config, isBrief ? listenSoonMs : listenAgainMs);
    }
  }

  private later(config: Config, pauseMs: number): void {
    this.timer = setTimeout(() => void this.listen(config), pauseMs);
    this.timer.unref();
  }

  private start(config: Config, client: Socket): void {
    const { child: running, socket } = this;
    client.on('error', () => {});
    if (socket === null) {
      client.destroy();
      return;
    }
    if (running !== null) {
      // It came before this process had stopped to accept.
      send(running, { kind: 'client' }, client);
      return;
    }
    const startedMs = performance.now();
    const child = spawn(process.execPath, [...process.execArgv, entryPoint('admin/main')], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', socket.descriptor],
      serialization: 'advanced',
    });
    this.child = child;
    socket.release();
    const beats = this.watch(child);
    const ended = (why: string): void => {
      clearInterval(beats);
      if (this.child !== child) return;
      this.child = null;
      if (performance.now() - startedMs > stableMs) this.pauses.reset();
      this.log.warn(`the process of the admin API has ended: ${why}; the next client gets another one`);
      this.later(config, this.pauses.next());
    };
    child.once('exit', (code, signal) => ended(signal ?? `exit code ${code}`));
    // One that cannot be started has no exit.
    child.once('error', (error) => {
      if (child.pid === undefined) ended(error.message);
    });
    send(child, { kind: 'start', config });
    send(child, { kind: 'client' }, client);
  }

  /** Answers its questions, and kills it once it does not respond. */
  private watch(child: ChildProcess): NodeJS.Timeout {
    let missed = 0;
    child.on('message', (message: FromAdmin) => {
      missed = 0;
      if (message.kind === 'ask') void this.answer(child, message);
    });
    const beats = setInterval(() => {
      if (++missed > missedMax) child.kill('SIGKILL');
      else send(child, { kind: 'ping' });
    }, beatMs);
    return beats.unref();
  }

  private async answer(child: ChildProcess, { id, question, subject }: FromAdmin & { kind: 'ask' }): Promise<void> {
    const answers = await this.ask(subject, question).catch(() => []);
    send(child, { kind: 'answers', id, answers });
  }
}

function send(child: ChildProcess, message: ToAdmin, client?: Socket): void {
  // One that is exiting has no channel.
  if (child.connected) child.send(message, client, () => {});
  else client?.destroy();
}

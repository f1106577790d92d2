import { close, mkdirSync, open, openSync, write } from 'node:fs';
import { dirname } from 'node:path';
import { HipacheError } from '../base/errors.ts';
import type { Exchange } from '../proxy/exchange.ts';
import type { ProxyObserver } from '../proxy/observer.ts';
import type { AccessLine } from './access-line.ts';

export interface AccessLogOptions {
  /** A path, or `-` for the standard output. */
  readonly path: string;
  readonly line: AccessLine;
  /** Characters that may wait to be written; lines beyond are dropped and counted. */
  readonly bufferBytesMax: number;
  readonly epochMs: () => number;
  /** Told of a file that cannot be written or opened again, at most once until it works again. */
  readonly onProblem: (message: string) => void;
}

/** A batch is written when it has grown to this, or after `flushMs`. */
const batchBytes = 64 * 1024;
const flushMs = 200;
/** Pause after a write that failed, or that the other end was too slow for. */
const retryMs = 250;

/**
 * The access log of one worker: lines are gathered and written in batches, outside of the event loop, one write at a
 * time. A full disk or a slow reader never holds up a request: what does not fit the buffer is dropped and counted.
 */
export class AccessLog implements ProxyObserver {
  /** Lines that were dropped. */
  dropped = 0;
  private readonly options: AccessLogOptions;
  private fd: number;
  private lines = '';
  /** What a write that failed, or was not taken whole, left over. */
  private leftOver: Buffer | null = null;
  private timer: NodeJS.Timeout | null = null;
  private writing = false;
  private failing = false;
  private onIdle: (() => void)[] = [];
  private reopening = false;

  /** Opens the file, making its directory where needed. @throws HipacheError CONFIG_INVALID where that fails. */
  constructor(options: AccessLogOptions) {
    this.options = options;
    this.fd = openLog(options.path);
  }

  exchangeEnded(exchange: Exchange): void {
    if (this.lines.length >= this.options.bufferBytesMax) {
      this.dropped++;
      return;
    }
    this.lines += this.options.line(exchange, this.options.epochMs());
    if (this.lines.length >= batchBytes) this.writeOut();
    else this.timer ??= setTimeout(this.onTimer, flushMs);
  }

  /** Opens the path anew, for log rotation: what was logged before goes to the old file. */
  reopen(): void {
    if (this.options.path === '-' || this.reopening) return;
    this.reopening = true;
    const lines = this.lines;
    this.lines = '';
    this.whenIdle(() => this.reopenNow(lines));
    this.writeOut();
  }

  /** Writes what is left; resolves once it is written, or after `forMs` with the rest counted as dropped. */
  async close(forMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, forMs);
      const finish = (): void => {
        if (this.lines !== '' || this.leftOver !== null) {
          this.whenIdle(finish);
          this.writeOut();
          return;
        }
        clearTimeout(timer);
        resolve();
      };
      finish();
    });
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.dropped += countLines(this.lines);
    this.lines = '';
    if (this.options.path !== '-' && !this.writing) close(this.fd);
  }

  private readonly onTimer = (): void => {
    this.timer = null;
    this.writeOut();
  };

  private writeOut(): void {
    if (this.writing) return;
    if (this.leftOver === null) {
      if (this.lines === '') {
        this.idle();
        return;
      }
      this.leftOver = Buffer.from(this.lines, 'latin1');
      this.lines = '';
    }
    this.writing = true;
    write(this.fd, this.leftOver, this.onWritten);
  }

  private readonly onWritten = (error: NodeJS.ErrnoException | null, written: number): void => {
    this.writing = false;
    if (error !== null) {
      if (error.code !== 'EAGAIN' && !this.failing) {
        this.failing = true;
        this.options.onProblem(`the access log ${this.options.path} cannot be written: ${error.message}`);
      }
      this.timer ??= setTimeout(this.onTimer, retryMs);
      this.idle();
      return;
    }
    this.failing = false;
    const rest = this.leftOver!.subarray(written);
    this.leftOver = rest.length > 0 ? rest : null;
    if (this.leftOver !== null || this.lines.length >= batchBytes) this.writeOut();
    else this.idle();
  };

  private whenIdle(task: () => void): void {
    this.onIdle.push(task);
  }

  /** No write is under way. */
  private idle(): void {
    const tasks = this.onIdle;
    this.onIdle = [];
    for (const task of tasks) task();
  }

  private reopenNow(before: string): void {
    const oldFd = this.fd;
    const opened = (error: NodeJS.ErrnoException | null, fd: number): void => {
      this.reopening = false;
      if (error !== null) {
        this.options.onProblem(`the access log ${this.options.path} cannot be opened again: ${error.message}`);
      } else {
        this.fd = fd;
        close(oldFd);
      }
      this.writeOut();
    };
    const reopen = (): void => open(this.options.path, 'a', 0o644, opened);
    if (before === '') {
      reopen();
      return;
    }
    write(oldFd, before, null, 'latin1', reopen);
  }
}

function openLog(path: string): number {
  if (path === '-') return 1;
  try {
    mkdirSync(dirname(path), { recursive: true });
    return openSync(path, 'a', 0o644);
  } catch (error) {
    const hint =
      'make the directory writable, or set server.accessLog to another path, or to - for the standard output';
    throw new HipacheError(
      'CONFIG_INVALID',
      `the access log ${path} cannot be opened: ${(error as Error).message}; ${hint}`,
      {
        cause: error,
      },
    );
  }
}

function countLines(text: string): number {
  let lines = 0;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines++;
  return lines;
}

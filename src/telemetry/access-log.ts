import { close, fstatSync, mkdirSync, openSync, write } from 'node:fs';
import { dirname } from 'node:path';
import { HipacheError } from '../base/errors.ts';
import type { EndedExchange, ProxyObserver } from '../proxy/observer.ts';
import type { AccessLine } from './access-line.ts';

export interface AccessLogOptions {
  /** A path, or `-` for the standard output. */
  readonly path: string;
  readonly line: AccessLine;
  /** Bytes that may wait to be written; lines beyond are dropped and counted. */
  readonly bufferBytesMax: number;
  readonly epochMs: () => number;
  /** Reports a file that cannot be written, once until it works again, and one that cannot be opened again. */
  readonly onProblem: (message: string) => void;
}

/** A batch is written when it has grown to this, or after `flushMs`. */
const batchBytes = 64 * 1024;
const flushMs = 200;
/** Pause after a write that failed, or that the other end was too slow for. */
const retryMs = 250;
const standardOutput = 1;
/**
 * As much goes into a pipe at once or not at all, with any number of writers: PIPE_BUF of Linux. Workers share the standard
 * output, and no line may end inside another one.
 */
const pipeBytesMax = 4096;
const lineFeed = 0x0a;
/** Characters of each text in a line that would be longer than that: tried one after the other. */
const shorterChars = [500, 60];

/**
 * The access log of one worker: lines are gathered and written in batches, outside of the event loop, one write at a
 * time. A full disk or a slow reader never holds up a request: what does not fit the buffer is dropped and counted.
 */
export class AccessLog implements ProxyObserver {
  /** Lines that were dropped. */
  dropped = 0;
  private readonly options: AccessLogOptions;
  private fd: number;
  /** Bytes of one write, which then has only whole lines; Infinity for a file. */
  private readonly writeBytesMax: number;
  private lines = '';
  /** The batch that is being written: what is left of it. */
  private batch: Buffer | null = null;
  private timer: NodeJS.Timeout | null = null;
  private writing = false;
  private closed = false;
  private failing = false;
  /** Of `dropped`, how many have been reported. */
  private droppedBefore = 0;
  /** The next batch goes to the path opened anew. */
  private reopenNext = false;
  private onWrittenOut: (() => void) | null = null;

  /** Opens the file, making its directory where needed. @throws HipacheError CONFIG_INVALID where that fails. */
  constructor(options: AccessLogOptions) {
    this.options = options;
    this.fd = options.path === '-' ? standardOutput : openFirst(options.path);
    this.writeBytesMax = fstatSync(this.fd).isFile() ? Number.POSITIVE_INFINITY : pipeBytesMax;
  }

  exchangeEnded(exchange: EndedExchange): void {
    // A balancer that asks every second would fill the log; Hipache left these out too.
    if (exchange.isHealthCheck) return;
    if (this.closed) {
      this.dropped++;
      return;
    }
    if (this.lines.length >= this.options.bufferBytesMax) {
      if (this.dropped === this.droppedBefore) {
        this.options.onProblem(`the access log ${this.options.path} is too slow: lines are dropped`);
      }
      this.dropped++;
      return;
    }
    this.lines += this.line(exchange);
    if (this.lines.length >= batchBytes) this.writeOut();
    else this.writeLater(flushMs);
  }

  /** Opens the path anew, for log rotation: what is being written goes to the old file, the rest to the new one. */
  reopen(): void {
    if (this.options.path === '-') return;
    this.reopenNext = true;
    this.writeOut();
  }

  /** Writes what is left; resolves once it is written, or after `forMs` with the rest counted as dropped. */
  async close(forMs: number): Promise<void> {
    const timeout = Promise.withResolvers<void>();
    const timer = setTimeout(timeout.resolve, forMs);
    const written = new Promise<void>((resolve) => {
      this.onWrittenOut = resolve;
    });
    this.writeOut();
    await Promise.race([written, timeout.promise]);
    clearTimeout(timer);
    this.closed = true;
    if (this.timer !== null) clearTimeout(this.timer);
    this.dropped += countLines(this.lines) + (this.batch === null ? 0 : countLines(this.batch.latin1Slice()));
    this.lines = '';
    if (this.fd !== standardOutput && !this.writing) close(this.fd);
  }

  private line(exchange: EndedExchange): string {
    const { line, epochMs } = this.options;
    const nowMs = epochMs();
    let text = line(exchange, nowMs);
    for (const charsMax of shorterChars) {
      if (text.length <= this.writeBytesMax) break;
      text = line(exchange, nowMs, charsMax);
    }
    return text;
  }

  private writeLater(afterMs: number): void {
    this.timer ??= setTimeout(this.onTimer, afterMs);
  }

  private readonly onTimer = (): void => {
    this.timer = null;
    this.writeOut();
  };

  private writeOut(): void {
    if (this.writing) return;
    if (this.batch === null) {
      if (this.reopenNext) this.openAgain();
      if (this.lines === '') {
        this.onWrittenOut?.();
        return;
      }
      this.batch = Buffer.from(this.lines, 'latin1');
      this.lines = '';
    }
    this.writing = true;
    write(this.fd, this.batch, 0, this.writableBytes(this.batch), this.onWritten);
  }

  private writableBytes(batch: Buffer): number {
    if (batch.length <= this.writeBytesMax) return batch.length;
    return batch.lastIndexOf(lineFeed, this.writeBytesMax - 1) + 1 || batch.length;
  }

  private readonly onWritten = (error: NodeJS.ErrnoException | null, written: number): void => {
    this.writing = false;
    if (error !== null) {
      // EAGAIN: a pipe whose reader is slow.
      if (error.code !== 'EAGAIN' && !this.failing) {
        this.failing = true;
        this.options.onProblem(`the access log ${this.options.path} cannot be written: ${error.message}`);
      }
      if (this.closed) return;
      // The disk may be full of the old file, which the operator has removed.
      if (this.reopenNext) this.openAgain();
      this.writeLater(retryMs);
      return;
    }
    this.failing = false;
    if (this.dropped > this.droppedBefore) {
      this.options.onProblem(`${this.dropped - this.droppedBefore} access log lines were dropped`);
      this.droppedBefore = this.dropped;
    }
    const rest = this.batch?.subarray(written);
    this.batch = rest === undefined || rest.length === 0 ? null : rest;
    if (this.batch !== null || this.lines.length >= batchBytes || this.onWrittenOut !== null) this.writeOut();
    else if (this.reopenNext) this.openAgain();
  };

  private openAgain(): void {
    this.reopenNext = false;
    try {
      const fd = openLog(this.options.path);
      close(this.fd);
      this.fd = fd;
    } catch (error) {
      this.options.onProblem(
        `the access log ${this.options.path} cannot be opened again: ${(error as Error).message}; the old file is used`,
      );
    }
  }
}

function openFirst(path: string): number {
  try {
    mkdirSync(dirname(path), { recursive: true });
    return openLog(path);
  } catch (error) {
    const hint = 'make the directory writable, or set server.accessLog to another path, or to "-" for standard output';
    throw new HipacheError(
      'CONFIG_INVALID',
      `the access log ${path} cannot be opened: ${(error as Error).message}; ${hint}`,
      { cause: error },
    );
  }
}

function openLog(path: string): number {
  return openSync(path, 'a', 0o644);
}

function countLines(text: string): number {
  let lines = 0;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines++;
  return lines;
}

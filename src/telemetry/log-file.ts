import { close, constants, fstat, fstatSync, mkdirSync, open, openSync, write } from 'node:fs';
import { dirname } from 'node:path';
import { BackOff } from '../base/back-off.ts';
import { HipacheError } from '../base/errors.ts';
import type { LineSink, LineSinkOptions } from './line-sink.ts';

interface LogFileOptions extends LineSinkOptions {
  /** A path, or `-` for the standard output. */
  readonly path: string;
}

/** Size in bytes at which a batch is written, at the latest after `flushMs`. */
const batchBytes = 64 * 1024;
const flushMs = 200;
/** A FIFO without a reader cannot be opened, and must not be waited for: open(2) would block. */
const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK;
const mode = 0o644;
/** Pauses between attempts to open a path that has no reader. */
const openPauses = { firstMs: 250, longestMs: 5000 };
/** How long lines wait for a new file to be opened. After that, they go on to the old one, if there is one. */
const openWaitMs = 1000;
/** Pause after a write that failed, or for which the reader was too slow. */
const retryMs = 250;
const standardOutput = 1;
/**
 * Linux writes at most PIPE_BUF bytes to a pipe atomically, with any number of writers. Workers share the standard
 * output, and no line may be split by another one.
 */
const pipeBytesMax = 4096;
const lineFeed = 0x0a;

/**
 * A file, a FIFO or the standard output. Lines are collected and written in batches, outside of the event loop, one write at
 * a time. A full disk, a slow or missing reader, or a file system that hangs never delays a request: lines that do not fit
 * the buffer are dropped and counted.
 */
export class LogFile implements LineSink {
  dropped = 0;
  private readonly options: LogFileOptions;
  /** Null while the path cannot be opened: it is a FIFO without a reader. */
  private fd: number | null;
  /** Largest write in bytes, with only whole lines; Infinity for a file. */
  private writeBytesMax: number;
  private opening = false;
  /** Opened, and used once the current batch is written, or cannot be. */
  private next: { readonly fd: number; readonly isFile: boolean } | null = null;
  /** Whether lines wait until the path is open again. */
  private waitsForOpen = false;
  private openTimer: NodeJS.Timeout | null = null;
  private readonly openPauses = new BackOff(openPauses);
  private hasNoReader = false;
  private lines = '';
  /** The unwritten rest of the current batch. */
  private batch: Buffer | null = null;
  private timer: NodeJS.Timeout | null = null;
  private writing = false;
  private closed = false;
  private failing = false;
  /** How many of `dropped` have been reported. */
  private droppedBefore = 0;
  /** Whether to reopen the path before the next batch. */
  private reopenNext = false;
  private onWrittenOut: (() => void) | null = null;

  /** Opens the file, and creates its directory if needed. @throws HipacheError CONFIG_INVALID if that fails. */
  constructor(options: LogFileOptions) {
    this.options = options;
    this.fd = options.path === '-' ? standardOutput : openFirst(options.path);
    this.writeBytesMax = this.fd !== null && fstatSync(this.fd).isFile() ? Number.POSITIVE_INFINITY : pipeBytesMax;
    if (this.fd === null) this.onNoReader();
  }

  get lineBytesMax(): number {
    return this.writeBytesMax;
  }

  takes(): boolean {
    if (!this.closed && this.lines.length < this.options.bufferBytesMax) return true;
    if (!this.closed && this.dropped === this.droppedBefore) {
      this.options.onProblem(`the access log ${this.options.path} is too slow: dropping lines`);
    }
    this.dropped++;
    return false;
  }

  write(line: string): void {
    this.lines += line;
    if (this.lines.length >= batchBytes) this.writeOut();
    else this.writeLater(flushMs);
  }

  /**
   * Reopens the path, for log rotation: the current batch goes to the old file, and everything later to the new one.
   */
  reopen(): void {
    if (this.options.path === '-') return;
    this.reopenNext = true;
    this.writeOut();
  }

  /** Writes what is left. Resolves once it is written, or after `forMs` with the rest counted as dropped. */
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
    if (this.openTimer !== null) clearTimeout(this.openTimer);
    this.dropped += countLines(this.lines) + (this.batch === null ? 0 : countLines(this.batch.latin1Slice()));
    this.lines = '';
    if (this.next !== null) close(this.next.fd);
    if (this.fd !== null && this.fd !== standardOutput && !this.writing) close(this.fd);
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
      this.useNext();
      if (this.reopenNext) this.openAgain();
      if (this.waitsForOpen) return;
      if (this.lines === '' || this.fd === null) {
        this.onWrittenOut?.();
        return;
      }
      this.batch = Buffer.from(this.lines, 'latin1');
      this.lines = '';
    }
    // A batch that has no file any more was to be written to a FIFO.
    if (this.fd === null) return;
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
      // EAGAIN: a pipe with a slow reader.
      if (error.code !== 'EAGAIN' && !this.failing) {
        this.failing = true;
        this.options.onProblem(`cannot write the access log ${this.options.path}: ${error.message}`);
      }
      if (this.closed) return;
      this.useNext();
      // The disk may be full because of the old file, which the operator has removed.
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

  /** Opens the path outside of the event loop: its file system may hang. */
  private openAgain(): void {
    if (this.opening || this.closed) return;
    this.reopenNext = false;
    this.opening = true;
    this.waitsForOpen = true;
    if (this.openTimer !== null) clearTimeout(this.openTimer);
    this.openTimer = setTimeout(() => this.goOn(), openWaitMs);
    open(this.options.path, flags, mode, (error, fd) => {
      if (error !== null) this.onOpened(error, null, false);
      else fstat(fd, (statError, stats) => this.onOpened(statError, fd, statError === null && stats.isFile()));
    });
  }

  private onOpened(error: NodeJS.ErrnoException | null, fd: number | null, isFile: boolean): void {
    this.opening = false;
    if (this.closed) {
      if (fd !== null) close(fd);
      return;
    }
    if (error === null && fd !== null) this.keepNext({ fd, isFile });
    else if (this.fd === null || error?.code === 'ENXIO') this.onNoReader(error);
    else {
      this.options.onProblem(
        `cannot reopen the access log ${this.options.path}: ${error?.message}; still using the old file`,
      );
    }
    this.goOn();
  }

  private keepNext(next: { readonly fd: number; readonly isFile: boolean }): void {
    if (this.next !== null) close(this.next.fd);
    this.next = next;
    if (!this.writing && this.failing) this.useNext();
  }

  /** Never during a write, which would go to whatever file gets the number of the closed one. */
  private useNext(): void {
    if (this.next === null) return;
    if (this.fd !== null) close(this.fd);
    this.fd = this.next.fd;
    this.writeBytesMax = this.next.isFile ? Number.POSITIVE_INFINITY : pipeBytesMax;
    this.next = null;
    this.openPauses.reset();
    if (this.hasNoReader) this.options.onProblem(`the access log ${this.options.path} can be written again`);
    this.hasNoReader = false;
  }

  /** Keeps the old file if there is one, and tries again later. */
  private onNoReader(error: NodeJS.ErrnoException | null = null): void {
    if (!this.hasNoReader) {
      const problem = error === null || error.code === 'ENXIO' ? 'it is a FIFO without a reader' : error.message;
      const meanwhile = this.fd === null ? 'lines beyond the buffer are dropped' : 'still using the old file';
      this.options.onProblem(`cannot open the access log ${this.options.path}: ${problem}; ${meanwhile}, trying again`);
    }
    this.hasNoReader = true;
    setTimeout(() => {
      this.reopenNext = true;
      this.writeOut();
    }, this.openPauses.next()).unref();
  }

  private goOn(): void {
    this.waitsForOpen = false;
    if (this.openTimer !== null) clearTimeout(this.openTimer);
    this.openTimer = null;
    this.writeOut();
  }
}

/** Null for a FIFO without a reader. */
function openFirst(path: string): number | null {
  try {
    mkdirSync(dirname(path), { recursive: true });
    return openSync(path, flags, mode);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENXIO') return null;
    const hint = 'make the directory writable, or set server.accessLog to another path or to "-" for standard output';
    throw new HipacheError(
      'CONFIG_INVALID',
      `cannot open the access log ${path}: ${(error as Error).message}; ${hint}`,
      { cause: error },
    );
  }
}

function countLines(text: string): number {
  let lines = 0;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines++;
  return lines;
}

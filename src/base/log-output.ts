import { fstatSync, write } from 'node:fs';

/** Unwritten text, in characters. Lines beyond it are dropped. */
const waitingMax = 1024 * 1024;
/** A pipe that has no room at present is tried again after this time, in ms. */
const retryMs = 50;
/** Linux writes at most this number of bytes to a pipe at once, so that no line is split by another process's. */
const pipeBytesMax = 4096;

export interface LogOutputOptions {
  /** Default: the standard output. */
  readonly fd?: number;
  /** Called once everything that waited is written, with the number of those that were dropped. */
  readonly onDropped?: (lines: number) => void;
}

/**
 * Writes lines outside of the event loop, one write at a time. A reader that is slow, stalled or gone never delays
 * the process: lines that do not fit are dropped. `process.stdout` blocks instead, whenever another process that shares the
 * descriptor has ended, since Node then makes it blocking again.
 */
export class LogOutput {
  private readonly fd: number;
  private readonly onDropped: (lines: number) => void;
  private readonly batchBytesMax: number;
  private waiting: string[] = [];
  private waitingChars = 0;
  private dropped = 0;
  /** The unwritten rest of the current batch. */
  private batch: Buffer | null = null;
  private isWriting = false;
  private hasNoReader = false;
  private onIdle: (() => void) | null = null;

  constructor({ fd = 1, onDropped = () => {} }: LogOutputOptions = {}) {
    this.fd = fd;
    this.onDropped = onDropped;
    this.batchBytesMax = isFile(fd) ? Number.POSITIVE_INFINITY : pipeBytesMax;
  }

  /** @param line with its line feed. */
  write(line: string): void {
    if (this.hasNoReader) return;
    if (this.waitingChars + line.length > waitingMax) {
      this.dropped++;
      return;
    }
    this.waiting.push(line);
    this.waitingChars += line.length;
    this.writeOut();
  }

  /**
   * Waits until everything is written.
   * @returns false if that takes longer than `forMs`. The process then cannot exit: it would wait for the write.
   */
  async close(forMs: number): Promise<boolean> {
    if (!this.isWriting) return true;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.onIdle = () => resolve(true);
    const timer = setTimeout(() => resolve(false), forMs);
    const isWritten = await promise;
    clearTimeout(timer);
    return isWritten;
  }

  private writeOut(): void {
    if (this.isWriting) return;
    this.batch ??= this.takeBatch();
    if (this.batch === null) {
      this.onIdle?.();
      return;
    }
    this.isWriting = true;
    write(this.fd, this.batch, 0, this.batch.length, null, (error, written) => this.onWritten(error, written));
  }

  /** Whole lines, at least one. */
  private takeBatch(): Buffer | null {
    let text = '';
    let taken = 0;
    for (const line of this.waiting) {
      if (taken > 0 && Buffer.byteLength(text) + Buffer.byteLength(line) > this.batchBytesMax) break;
      text += line;
      taken++;
    }
    this.waiting.splice(0, taken);
    this.waitingChars -= text.length;
    return taken === 0 ? null : Buffer.from(text);
  }

  private onWritten(error: NodeJS.ErrnoException | null, written: number): void {
    if (error?.code === 'EAGAIN') {
      setTimeout(() => this.goOn(), retryMs);
      return;
    }
    if (error === null && this.batch !== null && written < this.batch.length) {
      this.batch = this.batch.subarray(written);
    } else {
      this.batch = null;
      // A full disk may have room later; a reader that has gone never comes back.
      if (error?.code === 'EPIPE' || error?.code === 'EBADF') this.giveUp();
    }
    if (error === null && this.dropped > 0 && this.waiting.length === 0) {
      const lines = this.dropped;
      this.dropped = 0;
      this.onDropped(lines);
    }
    this.goOn();
  }

  private goOn(): void {
    this.isWriting = false;
    this.writeOut();
  }

  private giveUp(): void {
    this.hasNoReader = true;
    this.waiting = [];
    this.waitingChars = 0;
  }
}

function isFile(fd: number): boolean {
  try {
    return fstatSync(fd).isFile();
  } catch {
    // It is closed: the first write reports that.
    return false;
  }
}

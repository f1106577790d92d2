import type { Writable } from 'node:stream';

/** The result of a command: as text for people, and as data. */
export interface Report {
  readonly text: string;
  readonly json: unknown;
}

/**
 * The output of a command. A reader that goes away (`| head`) is not an error: nothing is written from then on, and
 * `closed` is true. It waits while the reader is slow, so that a million lines are never held in memory.
 */
export class Output {
  private readonly stream: Writable;
  private hasEnded = false;
  private failure: Error | null = null;

  /** Handles errors of `stream` from now on, for as long as the stream exists. */
  constructor(stream: Writable) {
    this.stream = stream;
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') this.failure = error;
      this.hasEnded = true;
    });
  }

  /** Whether the reader has gone, so that further output is pointless. */
  get closed(): boolean {
    return this.hasEnded;
  }

  /** Writes, and resolves once more can be written. If it failed, `flush` throws. */
  async write(text: string): Promise<void> {
    if (!this.hasEnded && !this.stream.write(text)) await this.written();
  }

  /**
   * Resolves once everything written has left the process, or the reader has gone.
   * @throws the stream's error, such as a full disk, but not if the reader has gone.
   */
  async flush(): Promise<void> {
    if (!this.hasEnded) await this.written();
    if (this.failure !== null) throw this.failure;
  }

  private written(): Promise<void> {
    // The callback is called on failure too, after the `error` event.
    return new Promise((resolve) => {
      this.stream.write('', () => resolve());
    });
  }
}

/** Pads columns to their widest cell, two blanks apart, without blanks at the line ends. */
export function alignedLines(rows: readonly (readonly string[])[], widthMax = 60): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, Math.min(cell.length, widthMax));
    }
  }
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** The same as one text. */
export function alignColumns(rows: readonly (readonly string[])[]): string {
  return alignedLines(rows)
    .map((line) => `${line}\n`)
    .join('');
}

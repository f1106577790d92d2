import type { Writable } from 'node:stream';

/** What a command has done or found: a text for a person, and the same as data. */
export interface Report {
  readonly text: string;
  readonly json: unknown;
}

/**
 * The output of a command. A reader that goes away (`| head`) is not an error: from then on nothing is written and
 * `closed` is true. Waits while the reader is slow, so that a million lines are never held in memory.
 */
export class Output {
  private readonly stream: Writable;
  private hasEnded = false;
  private failure: Error | null = null;

  /** Listens for errors of `stream` from now on, for as long as the stream lives. */
  constructor(stream: Writable) {
    this.stream = stream;
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') this.failure = error;
      this.hasEnded = true;
    });
  }

  /** Whether nobody reads any more, so that there is no sense in going on. */
  get closed(): boolean {
    return this.hasEnded;
  }

  /** Writes, and resolves once more may be written. `flush` throws if it failed. */
  async write(text: string): Promise<void> {
    if (!this.hasEnded && !this.stream.write(text)) await this.written();
  }

  /**
   * Resolves once everything written has left the process, or nobody reads it.
   * @throws the error of the stream, such as a full disk; a reader that has gone is none.
   */
  async flush(): Promise<void> {
    if (!this.hasEnded) await this.written();
    if (this.failure !== null) throw this.failure;
  }

  private written(): Promise<void> {
    // The callback is called on failure as well, after the `error` event.
    return new Promise((resolve) => {
      this.stream.write('', () => resolve());
    });
  }
}

/** Columns, each as wide as its widest cell, two blanks between; no blanks at the ends of the lines. */
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

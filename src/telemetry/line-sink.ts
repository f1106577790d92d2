/** Where the lines of a log go. It never makes the caller wait: what it cannot take is dropped, and counted. */
export interface LineSink {
  /** Lines dropped so far. */
  readonly dropped: number;
  /** The longest line in bytes, with its line feed; Infinity: no limit. */
  readonly lineBytesMax: number;
  /** Whether there is room for another line. If not, counts one as dropped. */
  takes(): boolean;
  /** @param line latin1, with its line feed, of at most `lineBytesMax`; only after `takes` returned true. */
  write(line: string): void;
  /** Begins anew: for a file after its rotation, for a server to find its present address. */
  reopen(): void;
  /** Writes what is left. Resolves once it is written, or after `forMs` with the rest counted as dropped. */
  close(forMs: number): Promise<void>;
}

export interface LineSinkOptions {
  /** Bytes that may wait to be written; further lines are dropped and counted. */
  readonly bufferBytesMax: number;
  /** Reports what keeps lines from being written, once until it works again. */
  readonly onProblem: (message: string) => void;
}

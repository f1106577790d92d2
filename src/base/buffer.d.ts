interface Buffer {
  /** `toString('latin1')` calls this in the end. Every Node has it, but its types do not. */
  latin1Slice(start?: number, end?: number): string;
}

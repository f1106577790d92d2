interface Buffer {
  /** `toString('latin1')` calls this, after detours; not in Node's types, but in every Node. */
  latin1Slice(start?: number, end?: number): string;
}

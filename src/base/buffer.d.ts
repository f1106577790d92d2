interface Buffer {
  /** What `toString('latin1')` calls, without its detours; not in Node's types, but in every Node. */
  latin1Slice(start?: number, end?: number): string;
}

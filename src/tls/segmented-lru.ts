interface Held<Value> {
  readonly value: Value;
  readonly bytes: number;
}

/** Of the bytes, one part in so many is left to values that were used once. */
const probationShare = 8;

/**
 * Values by key, bounded in number and bytes. A value is on probation until it is used a second time, and only then counts
 * among those that stay. So a flood of keys that are used once throws out one another, not what is used all the time.
 */
export class SegmentedLru<Value> {
  private readonly entriesMax: number;
  private readonly bytesMax: number;
  private readonly stayingBytesMax: number;
  private readonly onGone: (key: string, value: Value) => void;
  private readonly stayingEntriesMax: number;
  /** Both in the order of their last use, oldest first. */
  private readonly probation = new Map<string, Held<Value>>();
  private readonly staying = new Map<string, Held<Value>>();
  private stayingBytes = 0;
  /** Of all values. */
  bytes = 0;
  evictions = 0;

  /**
   * @param bytesMax default: no bound.
   * @param onGone called with each value that it does not have any more, for whatever reason.
   */
  constructor(
    entriesMax: number,
    bytesMax = Number.POSITIVE_INFINITY,
    onGone: (key: string, value: Value) => void = ignore,
  ) {
    this.entriesMax = entriesMax;
    this.bytesMax = bytesMax;
    this.onGone = onGone;
    this.stayingEntriesMax = stayingPart(entriesMax);
    this.stayingBytesMax = stayingPart(bytesMax);
  }

  get size(): number {
    return this.probation.size + this.staying.size;
  }

  /** All values, in no order. */
  *values(): Generator<Value> {
    for (const values of [this.probation, this.staying]) for (const { value } of values.values()) yield value;
  }

  /** The value, without counting as a use. */
  peek(key: string): Value | undefined {
    return (this.staying.get(key) ?? this.probation.get(key))?.value;
  }

  use(key: string): Value | undefined {
    const held = this.staying.get(key);
    if (held !== undefined) {
      this.staying.delete(key);
      this.staying.set(key, held);
      return held.value;
    }
    const onProbation = this.probation.get(key);
    if (onProbation === undefined) return undefined;
    this.probation.delete(key);
    this.stay(key, onProbation);
    return onProbation.value;
  }

  /** Adds a value, or replaces one, whose use it takes over. It may push out others; one that is too large is not kept. */
  set(key: string, value: Value, bytes = 0): void {
    const stays = this.staying.has(key);
    const replaced = this.take(key);
    if (bytes <= this.bytesMax) {
      this.bytes += bytes;
      if (stays) this.stay(key, { value, bytes });
      else this.probation.set(key, { value, bytes });
      while (this.size > this.entriesMax || this.bytes > this.bytesMax) this.evict(key);
    }
    if (replaced !== undefined) this.onGone(key, replaced);
  }

  delete(key: string): void {
    const value = this.take(key);
    if (value !== undefined) this.onGone(key, value);
  }

  private take(key: string): Value | undefined {
    const held = this.staying.get(key) ?? this.probation.get(key);
    if (held === undefined) return undefined;
    this.bytes -= held.bytes;
    if (this.staying.delete(key)) this.stayingBytes -= held.bytes;
    else this.probation.delete(key);
    return held.value;
  }

  private stay(key: string, held: Held<Value>): void {
    this.staying.set(key, held);
    this.stayingBytes += held.bytes;
    while (this.staying.size > this.stayingEntriesMax || this.stayingBytes > this.stayingBytesMax) {
      const [oldest] = this.staying;
      if (oldest === undefined) return;
      this.staying.delete(oldest[0]);
      this.stayingBytes -= oldest[1].bytes;
      this.probation.set(...oldest);
    }
  }

  /** @param added the key that others make room for. */
  private evict(added: string): void {
    for (const values of [this.probation, this.staying]) {
      for (const key of values.keys()) {
        if (key === added) continue;
        this.evictions++;
        this.delete(key);
        return;
      }
    }
  }
}

function stayingPart(max: number): number {
  return max === Number.POSITIVE_INFINITY ? max : max - Math.ceil(max / probationShare);
}

function ignore(): void {}

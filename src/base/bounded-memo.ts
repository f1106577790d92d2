/** Results that are remembered by a text. It forgets all of them when their number or their texts get too large. */
export class BoundedMemo<Value> {
  private readonly entriesMax: number;
  private readonly charsMax: number;
  private readonly values = new Map<string, Value>();
  private chars = 0;

  /** @param charsMax of all keys together, in UTF-16 units; a longer key is not remembered. */
  constructor(entriesMax: number, charsMax: number) {
    this.entriesMax = entriesMax;
    this.charsMax = charsMax;
  }

  /** @param make is called if the value is not remembered. */
  get(key: string, make: () => Value): Value {
    if (this.values.has(key)) return this.values.get(key) as Value;
    const value = make();
    if (key.length <= this.charsMax) this.remember(key, value);
    return value;
  }

  private remember(key: string, value: Value): void {
    if (this.values.size >= this.entriesMax || this.chars + key.length > this.charsMax) {
      this.values.clear();
      this.chars = 0;
    }
    this.values.set(key, value);
    this.chars += key.length;
  }
}

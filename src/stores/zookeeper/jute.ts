/*
 * Jute, the encoding of ZooKeeper's messages (zookeeper.jute): numbers in network order, texts and buffers behind their
 * length of 32 bits, which is -1 for null.
 */

/** Builds one message. */
export class JuteWriter {
  private readonly parts: Buffer[] = [];

  int(value: number): this {
    const bytes = Buffer.allocUnsafe(4);
    bytes.writeInt32BE(value);
    this.parts.push(bytes);
    return this;
  }

  long(value: bigint): this {
    const bytes = Buffer.allocUnsafe(8);
    bytes.writeBigInt64BE(value);
    this.parts.push(bytes);
    return this;
  }

  bool(value: boolean): this {
    this.parts.push(Buffer.of(value ? 1 : 0));
    return this;
  }

  buffer(value: Buffer): this {
    this.int(value.length);
    this.parts.push(value);
    return this;
  }

  text(value: string): this {
    return this.buffer(Buffer.from(value));
  }

  /** The message behind its length. */
  packet(): Buffer {
    const length = this.parts.reduce((sum, part) => sum + part.length, 0);
    const head = Buffer.allocUnsafe(4);
    head.writeInt32BE(length);
    return Buffer.concat([head, ...this.parts], length + 4);
  }
}

/** Reads one message. @throws RangeError if it is shorter than its fields. */
export class JuteReader {
  private readonly bytes: Buffer;
  private at = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  int(): number {
    const value = this.bytes.readInt32BE(this.at);
    this.at += 4;
    return value;
  }

  long(): bigint {
    const value = this.bytes.readBigInt64BE(this.at);
    this.at += 8;
    return value;
  }

  bool(): boolean {
    const value = this.bytes.readUInt8(this.at);
    this.at += 1;
    return value !== 0;
  }

  /** Empty for null. */
  buffer(): Buffer {
    const length = Math.max(0, this.int());
    if (length > this.bytes.length - this.at) throw new RangeError('a buffer goes beyond its message');
    const value = this.bytes.subarray(this.at, this.at + length);
    this.at += length;
    return value;
  }

  text(): string {
    return this.buffer().toString();
  }

  texts(): string[] {
    const count = this.int();
    const texts: string[] = [];
    for (let i = 0; i < count; i++) texts.push(this.text());
    return texts;
  }
}

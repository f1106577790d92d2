import { HeaderField, headerNumberOf } from './header-field.ts';
import { decodeHuffman } from './huffman.ts';
import { staticTable } from './static-table.ts';

/** Receives the fields of a block in their order. */
export interface FieldSink {
  onField(field: HeaderField): void;
}

/** The default of SETTINGS_HEADER_TABLE_SIZE, in bytes (RFC 9113 section 6.5.2). */
const tableBytesDefault = 4096;

/** No index or length may have more than this many bytes after its first one: 28 bits. */
const integerBytesMax = 4;

/** Where texts are decoded; grows to the longest block that was seen. */
let scratch = Buffer.allocUnsafeSlow(4096);

/**
 * The decoder of one direction of a connection (RFC 7541). What it decodes may be huge in comparison with its block: who uses it
 * limits blocks and counts what comes out.
 */
export class HpackDecoder {
  /** The dynamic table: a ring of a power of two, whose newest entry is at `newest`. */
  private entries: (HeaderField | undefined)[] = [];
  private newest = -1;
  private count = 0;
  private bytes = 0;
  /** The limit that the encoder has chosen, and the one that was announced to it. */
  private bytesMax: number;
  private readonly announcedMax: number;
  private block: Buffer = scratch;
  private at = 0;
  private end = 0;

  /** @param announcedMax the SETTINGS_HEADER_TABLE_SIZE that the encoder knows. */
  constructor(announcedMax = tableBytesDefault) {
    this.announcedMax = announcedMax;
    this.bytesMax = announcedMax;
  }

  /** Decodes the whole block `bytes[start, end)`. @returns false if it is invalid: the connection is of no more use. */
  decode(bytes: Buffer, start: number, end: number, sink: FieldSink): boolean {
    const isValid = this.decodeBlock(bytes, start, end, sink);
    // Bytes that nobody needs any more must not be kept by a connection that is idle.
    this.block = scratch;
    return isValid;
  }

  private decodeBlock(bytes: Buffer, start: number, end: number, sink: FieldSink): boolean {
    this.block = bytes;
    this.at = start;
    this.end = end;
    // A Huffman code has at least 5 bits, and the decoder needs two bytes to spare.
    const longest = Math.ceil(((end - start) * 8) / 5) + 2;
    if (longest > scratch.length) scratch = Buffer.allocUnsafeSlow(longest);
    let isFirst = true;
    while (this.at < end) {
      const byte = bytes[this.at] as number;
      if (byte >= 0x80) {
        const field = this.entry(this.integer(7));
        if (field === undefined) return false;
        sink.onField(field);
      } else if (byte < 0x40 && byte >= 0x20) {
        // RFC 7541 section 4.2: only at the begin of a block.
        const bytesMax = this.integer(5);
        if (!isFirst || bytesMax < 0 || bytesMax > this.announcedMax) return false;
        this.bytesMax = bytesMax;
        this.evict(bytesMax);
        continue;
      } else {
        const field = this.literal(byte >= 0x40 ? 6 : 4);
        if (field === null) return false;
        if (byte >= 0x40) this.insert(field);
        sink.onField(field);
      }
      isFirst = false;
    }
    return true;
  }

  /** @param prefixBits of the index of its name. @returns null if it is invalid. */
  private literal(prefixBits: number): HeaderField | null {
    const index = this.integer(prefixBits);
    let name: string;
    let number: number;
    if (index === 0) {
      const read = this.text();
      if (read === null) return null;
      name = read;
      number = headerNumberOf(name);
    } else {
      const named = this.entry(index);
      if (named === undefined) return null;
      ({ name, number } = named);
    }
    const value = this.text();
    return value === null ? null : new HeaderField(name, value, number);
  }

  private entry(index: number): HeaderField | undefined {
    if (index <= staticTable.length) return staticTable[index - 1];
    const age = index - staticTable.length - 1;
    return age < this.count ? this.entries[(this.newest - age) & (this.entries.length - 1)] : undefined;
  }

  /** RFC 7541 section 5.1. @returns -1 if it is cut off or too large. */
  private integer(prefixBits: number): number {
    const { block, end } = this;
    const prefixMax = (1 << prefixBits) - 1;
    let value = (block[this.at++] as number) & prefixMax;
    if (value < prefixMax) return value;
    for (let shift = 0; shift < integerBytesMax * 7; shift += 7) {
      if (this.at >= end) return -1;
      const byte = block[this.at++] as number;
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return -1;
  }

  /** RFC 7541 section 5.2. @returns null if it is invalid. */
  private text(): string | null {
    const { block } = this;
    if (this.at >= this.end) return null;
    const isHuffman = (block[this.at] as number) >= 0x80;
    const length = this.integer(7);
    const start = this.at;
    if (length < 0 || length > this.end - start) return null;
    this.at = start + length;
    if (!isHuffman) return block.latin1Slice(start, this.at);
    const textEnd = decodeHuffman(block, start, this.at, scratch, 0);
    return textEnd < 0 ? null : scratch.latin1Slice(0, textEnd);
  }

  /** RFC 7541 section 4.4: an entry that is larger than the table empties it. */
  private insert(field: HeaderField): void {
    const { size } = field;
    this.evict(this.bytesMax - size);
    if (size > this.bytesMax) return;
    if (this.count === this.entries.length) this.grow();
    this.newest = (this.newest + 1) & (this.entries.length - 1);
    this.entries[this.newest] = field;
    this.count++;
    this.bytes += size;
  }

  /** Drops the oldest entries until no more than `bytesMax` is left. */
  private evict(bytesMax: number): void {
    while (this.bytes > bytesMax && this.count > 0) {
      const oldest = (this.newest - this.count + 1) & (this.entries.length - 1);
      this.bytes -= (this.entries[oldest] as HeaderField).size;
      this.entries[oldest] = undefined;
      this.count--;
    }
  }

  private grow(): void {
    const { count, entries, newest } = this;
    const grown: (HeaderField | undefined)[] = new Array(Math.max(8, entries.length * 2)).fill(undefined);
    for (let age = 0; age < count; age++) grown[count - 1 - age] = entries[(newest - age) & (entries.length - 1)];
    this.entries = grown;
    this.newest = count - 1;
  }
}

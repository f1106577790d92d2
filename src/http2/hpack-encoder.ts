import { encodeHuffman, huffmanLength } from './huffman.ts';
import { staticNames, staticTable } from './static-table.ts';

/** How a field is written. */
export const Indexing = {
  /** It stays the same from message to message: the peer keeps it. */
  KEEP: 0,
  /** It differs from message to message. */
  NONE: 1,
  /** No intermediary may keep it (RFC 7541 section 7.1.3): its value could be guessed by the length of what is sent. */
  NEVER: 2,
} as const;
export type Indexing = (typeof Indexing)[keyof typeof Indexing];

/** The table of a peer that allows more is not used beyond this, in bytes. */
const tableBytesMax = 4096;
/** RFC 7541 section 4.1 adds so much to the bytes of name and value. */
const overheadBytes = 32;
/** `name: value` to the index of the static table; names alone are in `staticNames`. */
const staticFields: ReadonlyMap<string, number> = new Map(
  staticTable.flatMap(({ name, value }, position) => (value === '' ? [] : [[`${name}: ${value}`, position + 1]])),
);

/** Where blocks are written. */
let out = Buffer.allocUnsafeSlow(4096);

/** The encoder of one direction of a connection (RFC 7541). A block is latin1 text, one character a byte. */
export class HpackEncoder {
  /** Differs whenever a block that was encoded before would mean something else. */
  generation = 0;
  /** `name: value` of the entries of the dynamic table to the number of insertions until each; null if nothing is in it. */
  private lines: Map<string, number> | null = null;
  private insertions = 0;
  private bytes = 0;
  private bytesMax = tableBytesMax;
  /** The lowest limit since the last block, which has to be announced; -1 if it did not change. */
  private announced = -1;
  private length = 0;

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  setTableBytesMax(bytes: number): void {
    const bytesMax = Math.min(bytes, tableBytesMax);
    if (bytesMax === this.bytesMax && this.announced < 0) return;
    this.announced = this.announced < 0 ? bytesMax : Math.min(this.announced, bytesMax);
    this.bytesMax = bytesMax;
    this.evict(this.announced);
    this.generation++;
  }

  begin(): void {
    this.length = 0;
    const { announced, bytesMax } = this;
    if (announced < 0) return;
    // RFC 7541 section 4.2: the lowest one, then the present one.
    this.integer(0x20, 5, announced);
    if (announced !== bytesMax) this.integer(0x20, 5, bytesMax);
    this.announced = -1;
    // A block that is sent once more would announce it once more.
    this.generation++;
  }

  /** @param name in lower case. */
  add(name: string, value: string, indexing: Indexing): void {
    const line = `${name}: ${value}`;
    const known = staticFields.get(line) ?? this.indexOf(line);
    if (known !== undefined && indexing !== Indexing.NEVER) {
      this.integer(0x80, 7, known);
      return;
    }
    const size = line.length - 2 + overheadBytes;
    // Nothing is thrown out for it: fields that take turns would cost an insertion each time.
    const isKept = indexing === Indexing.KEEP && this.bytes + size <= this.bytesMax;
    const nameIndex = staticNames.get(name) ?? 0;
    if (isKept) this.integer(0x40, 6, nameIndex);
    else this.integer(indexing === Indexing.NEVER ? 0x10 : 0, 4, nameIndex);
    if (nameIndex === 0) this.text(name);
    this.text(value);
    if (isKept) this.insert(line, size);
  }

  end(): string {
    return out.latin1Slice(0, this.length);
  }

  private indexOf(line: string): number | undefined {
    const inserted = this.lines?.get(line);
    return inserted === undefined ? undefined : staticTable.length + 1 + this.insertions - inserted;
  }

  private insert(line: string, size: number): void {
    this.lines ??= new Map();
    this.lines.set(line, ++this.insertions);
    this.bytes += size;
    this.generation++;
  }

  private evict(bytesMax: number): void {
    const { lines } = this;
    if (lines === null || this.bytes <= bytesMax) return;
    // A map keeps the order of insertion.
    for (const line of lines.keys()) {
      lines.delete(line);
      this.bytes -= line.length - 2 + overheadBytes;
      if (this.bytes <= bytesMax) return;
    }
  }

  private text(text: string): void {
    const { length } = text;
    const packed = huffmanLength(text);
    this.reserve(Math.min(packed, length) + 8);
    if (packed < length) {
      this.integer(0x80, 7, packed);
      this.length = encodeHuffman(text, out, this.length);
    } else {
      this.integer(0, 7, length);
      this.length += out.write(text, this.length, 'latin1');
    }
  }

  /** RFC 7541 section 5.1. @param pattern the bits above the prefix. */
  private integer(pattern: number, prefixBits: number, value: number): void {
    this.reserve(8);
    const prefixMax = (1 << prefixBits) - 1;
    if (value < prefixMax) {
      out[this.length++] = pattern | value;
      return;
    }
    out[this.length++] = pattern | prefixMax;
    let rest = value - prefixMax;
    for (; rest >= 0x80; rest >>>= 7) out[this.length++] = (rest & 0x7f) | 0x80;
    out[this.length++] = rest;
  }

  private reserve(bytes: number): void {
    if (this.length + bytes <= out.length) return;
    const grown = Buffer.allocUnsafeSlow((this.length + bytes) * 2);
    out.copy(grown, 0, 0, this.length);
    out = grown;
  }
}

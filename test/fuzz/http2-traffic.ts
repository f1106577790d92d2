import { Flag, FrameType, frameHead, pingFrame, resetFrame, windowUpdateFrame } from '../../src/http2/frame.ts';
import { HpackEncoder, type Indexing } from '../../src/http2/hpack-encoder.ts';
import { frame } from '../helpers/http2-frames.ts';
import type { FieldPair } from '../helpers/python-h2.ts';

/** Fields that messages may have, and some that none may. */
export const goodFields: readonly FieldPair[] = pairs(
  ...['accept=*/*', 'cookie=a=1', 'cookie=b=2', 'te=trailers', 'x-a=1', 'user-agent=fuzz', 'priority=u=1, i'],
  ...['x-empty=', 'x-high=\xff'],
);
const oddFields = pairs(
  ...['connection=close', 'transfer-encoding=chunked', 'upgrade=h2c', 'keep-alive=1', 'proxy-connection=close'],
  ...[
    'te=gzip',
    'host=b.test',
    'host=A.TEST:443',
    'host=',
    ':unknown=1',
    ':status=200',
    ':status=103',
    ':path=',
    ':=x',
  ],
  ...[':protocol=websocket', '=x', 'a b=x', 'X-Upper=x', 'x\xe9=x', 'x-nul=\0', 'x-lf=a\nb', 'x-cr=a\r', 'x-blank= x'],
  ...['x-tab=x\t', 'x-vt=\x0b', 'content_length=5', 'expect=x', 'expect=100-continue', 'sec-websocket-key=x'],
);
const lengths = ['0', '1', '2', '3', '05', '+5', '5,5', '', '-1', ' 5', '1_0', '99999999999999999999'];
const methods = ['GET', 'POST', 'HEAD', 'OPTIONS', 'CONNECT', 'G@T', 'get'];
const paths = ['/', '/a?b', '*', 'a', '/a b', '/\xff', '/#x', 'https://a.test/'];
const statuses = ['200', '204', '304', '404', '103', '100', '101', '2000', 'x', ''];

/** Settings with values that are allowed and some that are not. */
const settings = pairs(
  ...['1=0', '1=100', '1=65536', '2=0', '2=1', '2=2', '3=0', '3=100', '4=0', '4=100', '4=65535', '4=2147483647'],
  ...['4=2147483648', '5=16384', '5=16383', '5=16777215', '5=16777216', '6=0', '6=100', '8=0', '8=1', '8=2'],
  ...['9=1', '99=1', '0=0'],
).map(([setting, value]) => [Number(setting), Number(value)] as const);

/** @param lines `name=value`. */
function pairs(...lines: readonly string[]): FieldPair[] {
  return lines.map((line) => {
    const [name = ''] = line.split('=');
    return [name, line.slice(name.length + 1)];
  });
}

interface TrafficOptions {
  readonly toServer: boolean;
  /** How many streams a client has opened, for the traffic to it. */
  readonly opened?: number;
  /** Where most paths of requests begin. */
  readonly place?: string;
  /** Whether most frames are good ones, in their order. */
  readonly isCalm: boolean;
}

/** Makes the frames of a peer: good ones and odd ones, of which some are changed afterwards. */
export class Traffic {
  private readonly random: () => number;
  private readonly toServer: boolean;
  private readonly place: string;
  private readonly isCalm: boolean;
  private readonly encoder = new HpackEncoder();
  private lastStream: number;
  /** Streams of which the head has come, and those that go on behind it. */
  private readonly begun = new Set<number>();
  private readonly open = new Set<number>();

  constructor(random: () => number, { isCalm, opened = 0, place = '/', toServer }: TrafficOptions) {
    this.random = random;
    this.toServer = toServer;
    this.place = place;
    this.isCalm = isCalm;
    this.lastStream = toServer ? -1 : opened * 2 - 1;
  }

  /** Frames as they are on the wire, behind the preface of a client. */
  bytes(): Buffer {
    const frames = [this.odd(60) ? this.one() : this.settingsFrame()];
    for (let left = this.below(14); left >= 0; left--) frames.push(this.one());
    const isChanged = !this.isCalm || this.below(4) === 0;
    for (let changes = isChanged ? this.below(6) - 3 : 0; changes > 0; changes--) this.reorder(frames);
    const bytes = Buffer.from(frames.join(''), 'latin1');
    for (let changes = isChanged ? this.below(8) - 5 : 0; changes > 0; changes--) this.corrupt(bytes);
    const end = this.odd(10) ? this.below(bytes.length) : bytes.length;
    if (!this.odd(30)) return bytes.subarray(0, end);
    return Buffer.concat([bytes.subarray(0, end), Buffer.from(this.text(this.below(60)), 'latin1')]);
  }

  below(bound: number): number {
    return Math.floor(this.random() * bound);
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  /** One time in so many; in calm traffic, less often. */
  private odd(oneIn: number): boolean {
    return this.below(oneIn) === 0 && (!this.isCalm || this.below(6) === 0);
  }

  /** The block of a section. */
  block(fields: readonly FieldPair[]): string {
    this.encoder.begin();
    for (const [name, value] of fields) this.encoder.add(name, value, this.below(3) as Indexing);
    return this.encoder.end();
  }

  private text(length: number): string {
    return String.fromCharCode(...Array.from({ length }, () => this.below(256)));
  }

  private one(): string {
    const kind = this.below(40);
    if (this.begun.size === 0 || kind < 14) return this.headersFrames();
    if (kind < 30 && (this.toServer ? this.isCalm && this.open.size === 0 : this.begun.size < 3)) {
      return this.headersFrames();
    }
    if (kind < 24) return this.dataFrame();
    if (kind < 26) return this.reset();
    if (kind < 30) return windowUpdateFrame(this.below(3) === 0 ? 0 : this.stream(), this.increment());
    if (kind < 32) return this.settingsFrame();
    if (kind < 33) return frame(FrameType.SETTINGS, Flag.ACK, 0);
    if (kind < 36) return pingFrame(this.below(3) === 0, '12345678');
    if (kind < 38) return frame(FrameType.PRIORITY, 0, this.stream(), this.priority());
    return this.odd(3) ? this.rareFrame() : this.dataFrame();
  }

  private reset(): string {
    const stream = this.stream();
    this.open.delete(stream);
    return resetFrame(stream, this.below(14));
  }

  private rareFrame(): string {
    switch (this.below(8)) {
      case 0:
        return frame(FrameType.GOAWAY, 0, 0, `\0\0\0${String.fromCharCode(this.below(8))}\0\0\0\0bye`);
      case 1:
        return frame(FrameType.PUSH_PROMISE, Flag.END_HEADERS, this.stream(), `\0\0\0\x02${this.block([])}`);
      case 2:
        return frame(FrameType.CONTINUATION, Flag.END_HEADERS, this.stream(), this.block(goodFields.slice(0, 2)));
      case 3:
        return frame(
          FrameType.PRIORITY_UPDATE,
          0,
          this.below(4) === 0 ? 1 : 0,
          `\0\0\0${this.pick(['\0', '\x01', '\x03'])}u=1`,
        );
      case 4:
        return frame(10 + this.below(20), this.below(256), this.stream(), this.text(this.below(20)));
      case 5:
        return frame(FrameType.DATA, this.below(2), this.stream(), 'x'.repeat(16_384 + this.below(2)));
      case 6:
        return frame(this.below(11), this.below(64), this.below(8), this.text(this.below(12)));
      default:
        return this.block(goodFields);
    }
  }

  /** One that goes on, in calm traffic; else one that was begun, mostly; rarely the next one, or any. */
  private stream(): number {
    if (this.odd(80)) return this.below(12);
    if (this.odd(80)) return this.lastStream + 2;
    if (this.isCalm && this.open.size > 0) return this.pick([...this.open]);
    return Math.max(1, this.lastStream - 2 * this.below(3));
  }

  private increment(): number {
    return this.odd(20) ? this.pick([0, 0x7fff_ffff, 0x7fff_0000]) : this.pick([1, 100, 65_535, 1_000_000]);
  }

  private priority(): string {
    return `\0\0\0${String.fromCharCode(this.odd(2) ? this.below(12) : 0)}\x10`;
  }

  private settingsFrame(): string {
    const chosen = new Map<number, number>();
    for (let left = this.below(4); left > 0; left--) {
      const [setting, value] = this.pick(settings);
      // A connection that ends at once shows little.
      if (this.isAllowed(setting, value) || this.odd(20)) chosen.set(setting, value);
    }
    let body = '';
    for (const [setting, value] of chosen) {
      body += String.fromCharCode(setting >>> 8, setting & 255, value >>> 24, (value >>> 16) & 255);
      body += String.fromCharCode((value >>> 8) & 255, value & 255);
    }
    return frame(FrameType.SETTINGS, 0, 0, body);
  }

  private isAllowed(setting: number, value: number): boolean {
    if (setting === 2) return this.toServer && value <= 1;
    if (setting === 5) return value >= 16_384 && value <= 0xff_ffff;
    return value <= (setting === 8 ? 1 : 0x7fff_ffff);
  }

  private dataFrame(): string {
    const { toServer } = this;
    const length = this.below(12) === 0 ? this.pick([99, 100, 101, 1000, 1001, this.below(2000)]) : this.below(4);
    const stream = this.stream();
    const flags = this.below(3) === 0 ? Flag.END_STREAM : 0;
    if (flags !== 0) this.open.delete(stream);
    const text = (toServer ? 'x' : 'y').repeat(length);
    if (this.below(5) > 0) return frame(FrameType.DATA, flags, stream, text);
    const padding = this.below(6);
    // Sometimes more than there is.
    const said = this.odd(10) ? padding + length + this.below(2) : padding;
    const payload = String.fromCharCode(said) + text + '\0'.repeat(padding);
    return frame(FrameType.DATA, flags | Flag.PADDED, stream, payload);
  }

  private headersFrames(): string {
    const isNew =
      this.toServer && (this.begun.size === 0 || this.below(10) < 7 || (this.isCalm && this.open.size === 0));
    if (isNew) this.lastStream += this.below(12) === 0 ? 4 : 2;
    const stream = isNew ? this.lastStream : this.toServer ? this.stream() : this.unanswered();
    const isTrailers = !isNew && (this.toServer || this.begun.has(stream)) && !this.odd(8);
    const fields = isTrailers ? this.changed(this.extras()) : this.toServer ? this.request() : this.response();
    const endsStream = isTrailers ? !this.odd(8) : this.below(2) === 0 && !fields[0]?.[1].startsWith('1');
    const isFinal = this.toServer || !/^1/.test(fields[0]?.[1] ?? '');
    if (isFinal || !this.isCalm) this.begun.add(stream);
    if (endsStream) this.open.delete(stream);
    else if (isFinal) this.open.add(stream);
    return this.section(stream, this.block(fields), endsStream ? Flag.END_STREAM : 0);
  }

  /** A stream of a client without a response, if there is any. */
  private unanswered(): number {
    for (let stream = 1; this.isCalm && stream <= this.lastStream; stream += 2) {
      if (!this.begun.has(stream)) return stream;
    }
    return this.stream();
  }

  /** A header block in its frames. */
  private section(stream: number, block: string, endFlag: number): string {
    let flags = endFlag;
    let head = '';
    let tail = '';
    if (this.below(6) === 0) {
      flags |= Flag.PADDED;
      tail = '\0'.repeat(this.below(5));
      head = String.fromCharCode(this.odd(8) ? this.below(256) : tail.length);
    }
    if (this.below(8) === 0) {
      flags |= Flag.PRIORITY;
      head += this.priority();
    }
    const parts = this.below(4) === 0 ? this.below(4) : 0;
    const cuts = Array.from({ length: parts }, () => this.below(block.length + 1)).sort((a, b) => a - b);
    const pieces = [0, ...cuts].map((from, i) => block.slice(from, cuts[i] ?? block.length));
    const first = head + (pieces[0] ?? '') + tail;
    let out = frameHead(first.length, FrameType.HEADERS, flags | (parts === 0 ? Flag.END_HEADERS : 0), stream) + first;
    for (const [i, piece] of pieces.slice(1).entries()) {
      if (this.odd(30)) out += this.one();
      out += frame(FrameType.CONTINUATION, i === parts - 1 ? Flag.END_HEADERS : 0, stream, piece);
    }
    return out;
  }

  private request(): FieldPair[] {
    const fields: FieldPair[] = [
      [':method', this.odd(5) ? this.pick(methods) : this.pick(['GET', 'POST'])],
      [':scheme', this.odd(20) ? this.pick(['http', 'ftp', '', 'HTTPS']) : 'https'],
      [':path', this.odd(8) ? this.pick(paths) : `${this.place}${this.below(100)}`],
      [':authority', this.odd(20) ? this.pick(['', 'A.test:443', 'u@a.test', 'b.test']) : 'a.test'],
      ...this.extras(),
    ];
    return this.changed(fields);
  }

  private response(): FieldPair[] {
    const status = this.odd(4) ? this.pick(statuses) : '200';
    return this.changed([[':status', status], ...this.extras()]);
  }

  private extras(): FieldPair[] {
    const fields = Array.from({ length: this.below(4) }, () => this.pick(goodFields));
    if (this.odd(5)) fields.push(['content-length', this.pick(lengths.slice(0, 4))]);
    else if (this.odd(25)) fields.push(['content-length', this.pick(lengths)]);
    return fields;
  }

  /** Some sections are not as they should be. */
  private changed(fields: FieldPair[]): FieldPair[] {
    if (fields.length === 0 || !this.odd(8)) return fields;
    const at = this.below(fields.length);
    const kind = this.below(4);
    if (kind === 0) fields.splice(at, 1);
    else if (kind === 1) fields.push(fields[at] as FieldPair);
    else fields.splice(kind === 2 ? at : fields.length, 0, this.pick(oddFields));
    return fields;
  }

  private reorder(frames: string[]): void {
    const at = 1 + this.below(frames.length - 1);
    const kind = this.below(4);
    if (kind === 0) frames.splice(at, 1);
    else if (kind === 1) frames.splice(at, 0, frames[at] ?? '');
    else if (kind === 2) frames.splice(this.below(frames.length + 1), 0, ...frames.splice(at, 1));
    else frames[at] = (frames[at] ?? '').slice(0, -1);
  }

  /** Changes a byte: of the head of a frame as often as of a payload. */
  private corrupt(bytes: Buffer): void {
    const heads = frameStarts(bytes);
    const head = this.pick(heads) ?? 0;
    const at = this.below(2) === 0 ? this.below(bytes.length) : Math.min(bytes.length - 1, head + this.below(9));
    bytes[at] = this.below(2) === 0 ? this.below(256) : (bytes[at] as number) ^ (1 << this.below(8));
  }
}

/** Where frames begin, as far as they are whole, and where the rest begins. */
export function frameStarts(bytes: Buffer): number[] {
  const starts = [0];
  for (let at = 0; at + 9 <= bytes.length; ) {
    at += 9 + bytes.readUIntBE(at, 3);
    if (at <= bytes.length) starts.push(at);
  }
  return starts;
}

import { Flag, FrameType, frameBytesDefault, frameHeadBytes, Http2Error, Setting, windowBytesMax } from './frame.ts';
import type { HeaderField } from './header-field.ts';
import { type FieldSink, HpackDecoder } from './hpack-decoder.ts';

/** The recipient of the frames of a connection. Views of bytes are valid only during the call. */
export interface FrameSink {
  /** A frame begins, of whatever type: what it costs can be counted. */
  onFrame(type: number): void;
  /** A DATA frame begins. @param length the flow-control size of the frame, padding included. */
  onDataFrame(stream: number, length: number): void;
  onData(stream: number, bytes: Buffer, start: number, end: number): void;
  onDataEnd(stream: number, endsStream: boolean): void;
  /** A whole header section. @param fields belong to the sink from now on. @param isTooLarge fields are missing then. */
  onHeaders(stream: number, fields: readonly HeaderField[], isTooLarge: boolean, endsStream: boolean): void;
  onReset(stream: number, code: number): void;
  /** A frame is an error of its stream, whatever the state of that. */
  onStreamError(stream: number, error: Http2Error, detail: string): void;
  /** Checked settings, in their order; the sink acknowledges them. */
  onSettings(settings: readonly (readonly [setting: number, value: number])[]): void;
  onSettingsAck(): void;
  /** @param payload 8 bytes as latin1 text. */
  onPing(isAck: boolean, payload: string): void;
  onGoAway(lastStream: number, code: number, debug: string): void;
  /** @param increment 0 is an error of the stream. */
  onWindowUpdate(stream: number, increment: number): void;
  /** RFC 9218 section 7.1. */
  onPriorityUpdate(stream: number, value: string): void;
}

/** Limits of one header section, inclusive. */
export interface SectionLimits {
  /** Of its block as it is sent. A longer one ends the connection, because it cannot be decoded. */
  readonly blockBytesMax: number;
  /** Of its fields, each with the 32 bytes that RFC 9113 section 10.5.1 adds. */
  readonly listBytesMax: number;
  readonly fieldsMax: number;
}

const IN_HEAD = 0;
const IN_PAYLOAD = 1;
const IN_DATA = 2;
/** The payload is passed over: padding, or a frame of an unknown type. */
const SKIPPING = 3;

const goAwayDebugMax = 256;

/**
 * Reads the frames of one connection, byte by byte as they come, strictly by RFC 9113. Finds the errors of the connection that
 * do not depend on its streams; the sink looks at those.
 */
export class Http2FrameReader implements FieldSink {
  /** Set once the connection cannot be read further. */
  error: Http2Error = Http2Error.NO_ERROR;
  errorDetail = '';
  private readonly sink: FrameSink;
  private readonly limits: SectionLimits;
  private readonly decoder: HpackDecoder;
  private isStopped = false;
  private state = IN_HEAD;
  private isFirst = true;
  /** The head or payload that has come in part, and how much of it; null for none. */
  private partial: Buffer | null = null;
  private partialLength = 0;
  private length = 0;
  private type = 0;
  private flags = 0;
  private stream = 0;
  /** Of the payload: bytes that are still to come, and how many of those are padding. */
  private remaining = 0;
  private padding = 0;
  /** The stream whose header block continues; 0 for none. */
  private continued = 0;
  private continuedFlags = 0;
  private block: Buffer | null = null;
  private blockLength = 0;
  private fields: HeaderField[] = [];
  private listBytes = 0;
  private isTooLarge = false;

  constructor(sink: FrameSink, limits: SectionLimits, decoder = new HpackDecoder()) {
    this.sink = sink;
    this.limits = limits;
    this.decoder = decoder;
  }

  /** @returns false if the connection cannot be read further: `error` says why. */
  read(bytes: Buffer, start: number, end: number): boolean {
    let at = start;
    while (this.error === Http2Error.NO_ERROR && !this.isStopped) {
      switch (this.state) {
        case IN_HEAD:
          if (at === end) return true;
          at = this.readHead(bytes, at, end);
          break;
        case IN_PAYLOAD:
          if (at === end && this.length > 0) return true;
          at = this.readPayload(bytes, at, end);
          break;
        case IN_DATA:
          if (at === end && this.remaining > this.padding) return true;
          at = this.readData(bytes, at, end);
          break;
        default: {
          const passed = Math.min(this.remaining, end - at);
          at += passed;
          this.remaining -= passed;
          if (this.remaining > 0) return true;
          this.state = IN_HEAD;
          if (this.type === FrameType.DATA) this.sink.onDataEnd(this.stream, (this.flags & Flag.END_STREAM) !== 0);
        }
      }
    }
    return false;
  }

  /** The sink has found an error of the connection. */
  fail(error: Http2Error, detail: string): void {
    if (this.error !== Http2Error.NO_ERROR) return;
    this.error = error;
    this.errorDetail = detail;
  }

  /** Nothing more is read, not even the rest of the present bytes. */
  stop(): void {
    this.isStopped = true;
  }

  onField(field: HeaderField): void {
    this.listBytes += field.size;
    if (this.listBytes > this.limits.listBytesMax || this.fields.length >= this.limits.fieldsMax)
      this.isTooLarge = true;
    else this.fields.push(field);
  }

  private readHead(bytes: Buffer, start: number, end: number): number {
    let head = bytes;
    let at = start;
    let next = start + frameHeadBytes;
    if (this.partialLength > 0 || end - start < frameHeadBytes) {
      this.partial ??= Buffer.allocUnsafe(frameHeadBytes);
      const taken = Math.min(frameHeadBytes - this.partialLength, end - start);
      bytes.copy(this.partial, this.partialLength, start, start + taken);
      this.partialLength += taken;
      next = start + taken;
      if (this.partialLength < frameHeadBytes) return next;
      head = this.partial;
      at = 0;
      this.partial = null;
      this.partialLength = 0;
    }
    this.length = ((head[at] as number) << 16) | ((head[at + 1] as number) << 8) | (head[at + 2] as number);
    this.type = head[at + 3] as number;
    this.flags = head[at + 4] as number;
    // The highest bit is reserved.
    this.stream = head.readUInt32BE(at + 5) & windowBytesMax;
    this.remaining = this.length;
    this.checkHead();
    if (this.error === Http2Error.NO_ERROR) this.sink.onFrame(this.type);
    return next;
  }

  /** Finds the errors that head and state alone show, and sets the state for the payload. */
  private checkHead(): void {
    const { flags, length, stream, type } = this;
    const isFirst = this.isFirst;
    this.isFirst = false;
    this.state = IN_PAYLOAD;
    if (length > frameBytesDefault) this.fail(Http2Error.FRAME_SIZE_ERROR, `frame of ${length} bytes`);
    else if (isFirst && (type !== FrameType.SETTINGS || (flags & Flag.ACK) !== 0)) this.violated('no settings first');
    else if (this.continued !== 0 && (type !== FrameType.CONTINUATION || stream !== this.continued)) {
      this.violated('header block interrupted');
    } else if (type === FrameType.DATA) {
      if (stream === 0) this.violated('DATA on stream 0');
      else this.beginData();
    } else if (type > FrameType.CONTINUATION && type !== FrameType.PRIORITY_UPDATE) this.state = SKIPPING;
  }

  private beginData(): void {
    this.state = IN_DATA;
    this.padding = 0;
    if ((this.flags & Flag.PADDED) !== 0) {
      if (this.length === 0) this.fail(Http2Error.FRAME_SIZE_ERROR, 'DATA without its padding');
      // The length of the padding comes first.
      this.padding = -1;
    }
  }

  private readData(bytes: Buffer, start: number, end: number): number {
    const { sink, stream } = this;
    let at = start;
    if (this.remaining === this.length) sink.onDataFrame(stream, this.length);
    if (this.padding < 0) {
      this.padding = bytes[at++] as number;
      this.remaining--;
      if (this.padding > this.remaining) {
        this.violated('padding longer than its frame');
        return at;
      }
    }
    const taken = Math.min(this.remaining - this.padding, end - at);
    if (taken > 0) {
      sink.onData(stream, bytes, at, at + taken);
      at += taken;
      this.remaining -= taken;
    }
    if (this.remaining === this.padding) this.state = SKIPPING;
    return at;
  }

  /** Takes a payload as a whole, from `bytes` if it is there in one piece. */
  private readPayload(bytes: Buffer, start: number, end: number): number {
    const { length } = this;
    if (this.partialLength === 0 && end - start >= length) {
      this.state = IN_HEAD;
      this.take(bytes, start, start + length);
      return start + length;
    }
    this.partial ??= Buffer.allocUnsafe(length);
    const taken = Math.min(length - this.partialLength, end - start);
    bytes.copy(this.partial, this.partialLength, start, start + taken);
    this.partialLength += taken;
    if (this.partialLength === length) {
      const { partial } = this;
      this.partial = null;
      this.partialLength = 0;
      this.state = IN_HEAD;
      this.take(partial, 0, length);
    }
    return start + taken;
  }

  private take(bytes: Buffer, start: number, end: number): void {
    switch (this.type) {
      case FrameType.HEADERS:
        this.takeHeaders(bytes, start, end);
        break;
      case FrameType.CONTINUATION:
        if (this.continued === 0) this.violated('CONTINUATION without HEADERS');
        else this.takeBlock(bytes, start, end, (this.flags & Flag.END_HEADERS) !== 0);
        break;
      case FrameType.PRIORITY:
        // Their scheme is deprecated (RFC 9113 section 5.3.2).
        if (this.hasStream() && this.length !== 5) {
          this.sink.onStreamError(this.stream, Http2Error.FRAME_SIZE_ERROR, `PRIORITY of ${this.length} bytes`);
        }
        break;
      case FrameType.RST_STREAM:
        if (this.hasStream() && this.hasLength(4)) this.sink.onReset(this.stream, bytes.readUInt32BE(start));
        break;
      case FrameType.SETTINGS:
        this.takeSettings(bytes, start);
        break;
      case FrameType.PUSH_PROMISE:
        this.violated('PUSH_PROMISE');
        break;
      case FrameType.PING:
        if (this.hasNoStream() && this.hasLength(8)) {
          this.sink.onPing((this.flags & Flag.ACK) !== 0, bytes.latin1Slice(start, end));
        }
        break;
      case FrameType.GOAWAY:
        this.takeGoAway(bytes, start, end);
        break;
      case FrameType.WINDOW_UPDATE:
        this.takeWindowUpdate(bytes, start);
        break;
      case FrameType.PRIORITY_UPDATE:
        this.takePriorityUpdate(bytes, start, end);
        break;
    }
  }

  /** Without padding and priority. */
  private takeHeaders(bytes: Buffer, start: number, end: number): void {
    if (!this.hasStream()) return;
    const { flags } = this;
    let blockStart = start;
    let blockEnd = end;
    if ((flags & Flag.PADDED) !== 0) {
      blockEnd -= end > start ? (bytes[start] as number) : 0;
      blockStart++;
    }
    if ((flags & Flag.PRIORITY) !== 0) blockStart += 5;
    if (blockStart > blockEnd) {
      this.violated('padding longer than its frame');
      return;
    }
    this.continuedFlags = flags;
    this.takeBlock(bytes, blockStart, blockEnd, (flags & Flag.END_HEADERS) !== 0);
  }

  /** A header block, or a part of one. */
  private takeBlock(bytes: Buffer, start: number, end: number, isLast: boolean): void {
    if (this.blockLength + end - start > this.limits.blockBytesMax) {
      this.fail(Http2Error.ENHANCE_YOUR_CALM, `header block of more than ${this.limits.blockBytesMax} bytes`);
      return;
    }
    if (isLast && this.blockLength === 0) {
      this.decode(bytes, start, end);
      return;
    }
    const length = this.blockLength + end - start;
    if (this.block === null || this.block.length < length) {
      const grown = Buffer.allocUnsafe(Math.min(this.limits.blockBytesMax, length * 2));
      this.block?.copy(grown, 0, 0, this.blockLength);
      this.block = grown;
    }
    bytes.copy(this.block, this.blockLength, start, end);
    this.blockLength = length;
    this.continued = this.stream;
    if (isLast) this.decode(this.block, 0, length);
  }

  private decode(bytes: Buffer, start: number, end: number): void {
    this.continued = 0;
    this.block = null;
    this.blockLength = 0;
    if (!this.decoder.decode(bytes, start, end, this)) {
      this.fail(Http2Error.COMPRESSION_ERROR, 'header block');
      return;
    }
    const { fields, isTooLarge } = this;
    this.fields = [];
    this.listBytes = 0;
    this.isTooLarge = false;
    this.sink.onHeaders(this.stream, fields, isTooLarge, (this.continuedFlags & Flag.END_STREAM) !== 0);
  }

  private takeSettings(bytes: Buffer, start: number): void {
    if (!this.hasNoStream()) return;
    if ((this.flags & Flag.ACK) !== 0) {
      if (this.hasLength(0)) this.sink.onSettingsAck();
      return;
    }
    if (this.length % 6 !== 0) {
      this.fail(Http2Error.FRAME_SIZE_ERROR, `SETTINGS of ${this.length} bytes`);
      return;
    }
    const settings: [number, number][] = [];
    for (let at = start; at < start + this.length; at += 6) {
      const setting = bytes.readUInt16BE(at);
      const value = bytes.readUInt32BE(at + 2);
      if (!this.isAllowed(setting, value)) return;
      settings.push([setting, value]);
    }
    this.sink.onSettings(settings);
  }

  private isAllowed(setting: number, value: number): boolean {
    const isFlag = setting === Setting.ENABLE_PUSH || setting === Setting.ENABLE_CONNECT_PROTOCOL;
    if (isFlag && value > 1) this.violated(`setting ${setting} of ${value}`);
    else if (setting === Setting.INITIAL_WINDOW_SIZE && value > windowBytesMax) {
      this.fail(Http2Error.FLOW_CONTROL_ERROR, `initial window of ${value} bytes`);
    } else if (setting === Setting.MAX_FRAME_SIZE && (value < frameBytesDefault || value > 0xff_ffff)) {
      this.violated(`frames of ${value} bytes`);
    }
    return this.error === Http2Error.NO_ERROR;
  }

  private takeGoAway(bytes: Buffer, start: number, end: number): void {
    if (!this.hasNoStream()) return;
    if (this.length < 8) {
      this.fail(Http2Error.FRAME_SIZE_ERROR, `GOAWAY of ${this.length} bytes`);
      return;
    }
    const debug = bytes.latin1Slice(start + 8, Math.min(end, start + 8 + goAwayDebugMax));
    this.sink.onGoAway(bytes.readUInt32BE(start) & windowBytesMax, bytes.readUInt32BE(start + 4), debug);
  }

  private takeWindowUpdate(bytes: Buffer, start: number): void {
    if (!this.hasLength(4)) return;
    const increment = bytes.readUInt32BE(start) & windowBytesMax;
    if (increment === 0 && this.stream === 0) this.violated('WINDOW_UPDATE of 0');
    else this.sink.onWindowUpdate(this.stream, increment);
  }

  private takePriorityUpdate(bytes: Buffer, start: number, end: number): void {
    if (!this.hasNoStream()) return;
    if (this.length < 4) {
      this.fail(Http2Error.FRAME_SIZE_ERROR, `PRIORITY_UPDATE of ${this.length} bytes`);
      return;
    }
    const stream = bytes.readUInt32BE(start) & windowBytesMax;
    if (stream === 0) this.violated('PRIORITY_UPDATE of stream 0');
    else this.sink.onPriorityUpdate(stream, bytes.latin1Slice(start + 4, end));
  }

  private hasLength(length: number): boolean {
    if (this.length !== length) this.fail(Http2Error.FRAME_SIZE_ERROR, `frame ${this.type} of ${this.length} bytes`);
    return this.length === length;
  }

  private hasStream(): boolean {
    if (this.stream === 0) this.violated(`frame ${this.type} on stream 0`);
    return this.stream !== 0;
  }

  private hasNoStream(): boolean {
    if (this.stream !== 0) this.violated(`frame ${this.type} on a stream`);
    return this.stream === 0;
  }

  private violated(detail: string): void {
    this.fail(Http2Error.PROTOCOL_ERROR, detail);
  }
}

import { errorName, FrameType, frameHead, settingsFrame } from '../../src/http2/frame.ts';
import { type FrameSink, Http2FrameReader } from '../../src/http2/frame-reader.ts';
import type { HeaderField } from '../../src/http2/header-field.ts';
import { HpackEncoder, Indexing } from '../../src/http2/hpack-encoder.ts';

/** A frame of any content. @param payload latin1. */
export function frame(type: number, flags: number, stream: number, payload = ''): string {
  return frameHead(payload.length, type, flags, stream) + payload;
}

/** A header block without the dynamic table. @param lines `name: value`, in their order. */
export function block(...lines: readonly string[]): string {
  const encoder = new HpackEncoder();
  encoder.begin();
  for (const line of lines) {
    const colon = line.indexOf(': ', 1);
    encoder.add(line.slice(0, colon), line.slice(colon + 2), Indexing.NONE);
  }
  return encoder.end();
}

export const get: readonly string[] = [':method: GET', ':scheme: https', ':path: /', ':authority: a.example'];
export const post: readonly string[] = [':method: POST', ...get.slice(1)];

/** END_STREAM and END_HEADERS. */
export function headers(stream: number, lines: readonly string[], endsStream = true): string {
  return frame(FrameType.HEADERS, endsStream ? 5 : 4, stream, block(...lines));
}

export function data(stream: number, text: string, endsStream = false): string {
  return frame(FrameType.DATA, endsStream ? 1 : 0, stream, text);
}

export const noSettings: string = settingsFrame([]);

const limits = { blockBytesMax: 1_000_000, listBytesMax: 1_000_000, fieldsMax: 10_000 };

/** Reads the frames of a peer, and describes each in a line. */
export class FrameLines implements FrameSink {
  readonly lines: string[] = [];
  /** Bytes of data, by stream. */
  readonly dataBytes = new Map<number, number>();
  private readonly reader = new Http2FrameReader(this, limits);

  /** @throws if they are no frames. */
  read(bytes: Buffer): void {
    if (!this.reader.read(bytes, 0, bytes.length)) throw new Error(this.reader.errorDetail);
  }

  onFrame(): void {}

  onDataFrame(): void {}

  onData(stream: number, bytes: Buffer, start: number, end: number): void {
    const text = bytes.toString('latin1', start, end);
    this.dataBytes.set(stream, (this.dataBytes.get(stream) ?? 0) + text.length);
    this.lines.push(`DATA ${stream} ${text.length > 40 ? `${text.length} bytes` : text}`);
  }

  onDataEnd(stream: number, endsStream: boolean): void {
    if (endsStream) this.lines.push(`END ${stream}`);
  }

  onHeaders(stream: number, fields: readonly HeaderField[], _isTooLarge: boolean, endsStream: boolean): void {
    const shown = fields.filter(({ name }) => name !== 'date').map(({ name, value }) => `${name}: ${value}`);
    this.lines.push(`HEADERS ${stream} ${shown.join(', ')}`);
    if (endsStream) this.lines.push(`END ${stream}`);
  }

  onReset(stream: number, code: number): void {
    this.lines.push(`RST_STREAM ${stream} ${errorName(code)}`);
  }

  onStreamError(stream: number, error: number): void {
    this.lines.push(`error of ${stream}: ${errorName(error)}`);
  }

  onSettings(): void {
    this.lines.push('SETTINGS');
  }

  onSettingsAck(): void {
    this.lines.push('SETTINGS ack');
  }

  onPing(isAck: boolean, payload: string): void {
    this.lines.push(`PING ${isAck ? 'ack ' : ''}${payload}`);
  }

  onGoAway(lastStream: number, code: number): void {
    this.lines.push(`GOAWAY ${lastStream} ${errorName(code)}`);
  }

  onWindowUpdate(stream: number, increment: number): void {
    this.lines.push(`WINDOW_UPDATE ${stream} ${increment}`);
  }

  onPriorityUpdate(stream: number, value: string): void {
    this.lines.push(`PRIORITY_UPDATE ${stream} ${value}`);
  }
}

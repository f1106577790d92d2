import assert from 'node:assert/strict';
import type { HeaderField } from '../../src/http2/header-field.ts';
import { Session } from '../../src/http2/session.ts';
import type { SessionOptions, SessionOutput, SessionOwner } from '../../src/http2/session-options.ts';
import type { Http2Stream, StreamHandler } from '../../src/http2/stream.ts';
import { FrameLines, noSettings } from './http2-frames.ts';

export const sideOptions: SessionOptions = {
  isServer: true,
  limits: { blockBytesMax: 10_000, listBytesMax: 10_000, fieldsMax: 100 },
  streamsMax: 3,
  streamWindowBytes: 1000,
  connectionWindowBytes: 70_000,
  takesProtocols: true,
  nowMs: () => 0,
};

/** One side of a connection, without a socket: the frames that it sends, and what its streams get. */
export class Side implements SessionOwner {
  readonly session: Session;
  readonly streams: Http2Stream[] = [];
  /** Calls of the handlers of streams. */
  readonly events: string[] = [];
  readonly closed: number[] = [];
  private output = '';
  private readonly reader = new FrameLines();

  constructor(changes: Partial<SessionOptions> = {}) {
    const append = (text: string): void => {
      this.output += text;
    };
    const appendFramed: SessionOutput['appendFramed'] = (head, bytes, start, end) =>
      append(head + bytes.toString('latin1', start, end));
    this.session = new Session({ append, appendFramed }, this, { ...sideOptions, ...changes });
    this.session.start();
    this.sent();
  }

  /** @returns whether the connection goes on. */
  receive(...frames: readonly string[]): boolean {
    const bytes = Buffer.from(frames.join(''), 'latin1');
    return this.session.read(bytes, 0, bytes.length);
  }

  /** The frames since the last call, in lines. */
  sent(): string[] {
    const before = this.reader.lines.length;
    this.reader.read(Buffer.from(this.output, 'latin1'));
    this.output = '';
    return this.reader.lines.slice(before);
  }

  /** A stream of this number, which goes on. */
  stream(id: number): Http2Stream {
    return this.session.streams.get(id) as Http2Stream;
  }

  onStream(stream: Http2Stream, fields: readonly HeaderField[], isTooLarge: boolean, endsStream: boolean): void {
    this.streams.push(stream);
    const path = fields.find(({ name }) => name === ':path')?.value;
    this.events.push(`${stream.id} ${path}${isTooLarge ? ' too large' : ''}${endsStream ? ' end' : ''}`);
    stream.handler = this.handlerOf(stream);
  }

  handlerOf({ id }: Http2Stream): StreamHandler {
    const tell = (event: string): void => void this.events.push(`${id} ${event}`);
    return {
      onFields: (fields, _isTooLarge, endsStream) =>
        tell(`fields ${fields.map(({ name }) => name).join(' ')}${endsStream ? ' end' : ''}`),
      onData: (_bytes, start, end) => tell(`data ${end - start}`),
      onFlush: () => {},
      onEnd: () => tell('end'),
      onDrain: () => tell('drain'),
      onClosed: () => void this.closed.push(id),
      onReset: (code, detail, cause) => tell(`reset ${code} ${detail}${cause === 'refused' ? ' unprocessed' : ''}`),
    };
  }

  onOutput(): void {}
  onPingAck(): void {}
  onInternalError(error: Error): void {
    throw error;
  }
  onSettings(): void {}
  onGoAway(): void {}
}

/** A server whose client has sent its settings. */
export function server(changes: Partial<SessionOptions> = {}, settings = noSettings): Side {
  const side = new Side(changes);
  side.receive(settings);
  assert.deepEqual(side.sent(), ['SETTINGS ack']);
  return side;
}

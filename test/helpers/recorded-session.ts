import { parseContentLength } from '../../src/http/content-length.ts';
import { type FrameSink, Http2FrameReader } from '../../src/http2/frame-reader.ts';
import { type HeaderField, isInformational, Pseudo } from '../../src/http2/header-field.ts';
import { Http2RequestHead } from '../../src/http2/request-head.ts';
import { Session } from '../../src/http2/session.ts';
import type { SessionOptions, SessionOwner } from '../../src/http2/session-options.ts';
import type { Http2Stream, StreamHandler } from '../../src/http2/stream.ts';
import { readTrailers } from '../../src/http2/trailers.ts';
import type { FieldPair, Http2Action, Http2Event } from './python-h2.ts';

const limits = { blockBytesMax: 1_000_000, listBytesMax: 1_000_000, fieldsMax: 10_000 };

/** What happened on one side since the last look. */
export interface Recorded {
  readonly events: readonly Http2Event[];
  readonly actions: readonly Http2Action[];
  /** Why requests or trailers were refused as malformed. */
  readonly refusals: readonly string[];
  /** Payloads of pings that were acknowledged. */
  readonly pings: readonly string[];
  /** The bytes that were written, as latin1 text. */
  readonly written: string;
}

/** Reacts to the head of a message, and to its end. */
export type React = (stream: Http2Stream, moment: 'head' | 'end') => void;

/** One side of a connection, without a socket, with all that it reads and writes. */
export class RecordedSession implements SessionOwner {
  readonly session: Session;
  /** Bodies that have come, by stream. */
  readonly bodies = new Map<number, string>();
  private readonly isServer: boolean;
  private readonly react: React;
  private events: Http2Event[] = [];
  private refusals: string[] = [];
  private written = '';
  private readonly actions = new ActionReader();

  constructor(options: Omit<SessionOptions, 'limits' | 'nowMs' | 'takesProtocols'>, react: React) {
    this.isServer = options.isServer;
    this.react = react;
    const append = (text: string): void => {
      this.written += text;
    };
    const appendFramed = (head: string, bytes: Buffer, start: number, end: number): void =>
      append(head + bytes.latin1Slice(start, end));
    const all = { ...options, limits, takesProtocols: true, nowMs: () => 0 };
    this.session = new Session({ append, appendFramed }, this, all);
    this.session.start();
  }

  take(): Recorded {
    const { events, refusals, written } = this;
    this.events = [];
    this.refusals = [];
    this.written = '';
    return { events, refusals, written, ...this.actions.read(written) };
  }

  /** Reads bytes, which are overwritten afterwards as those of a socket are. @returns whether the connection goes on. */
  read(bytes: Buffer): boolean {
    const copy = Buffer.from(bytes);
    const goesOn = this.session.read(copy, 0, copy.length);
    copy.fill(0);
    return goesOn;
  }

  /** Begins a request of a client. */
  request(block: string, endsStream: boolean): Http2Stream | null {
    const stream = this.session.open();
    if (stream === null) return null;
    stream.handler = this.handlerOf(stream);
    if (endsStream) stream.sendOnlyFields(block);
    else stream.sendFields(block);
    return stream;
  }

  onStream(stream: Http2Stream, fields: readonly HeaderField[], isTooLarge: boolean, endsStream: boolean): void {
    const head = new Http2RequestHead(fields, isTooLarge, endsStream, 8192);
    stream.handler = this.handlerOf(stream);
    if (head.refusal !== '') {
      this.refuse(stream, head.refusal);
      return;
    }
    if (head.protocol === null) stream.expectedBytes = head.bodyLength;
    this.hear(['headers', stream.id, pairsOf(fields)]);
    if (endsStream) this.hear(['end', stream.id]);
    this.react(stream, 'head');
    if (endsStream) this.react(stream, 'end');
  }

  onOutput(): void {}

  onPingAck(): void {
    this.hear(['ping ack']);
  }

  onInternalError(error: Error): void {
    throw error;
  }

  onSettings(): void {
    this.hear(['settings']);
  }

  onGoAway(): void {}

  private handlerOf(stream: Http2Stream): StreamHandler {
    const { id } = stream;
    let isTrailers = false;
    return {
      onFields: (fields, _isTooLarge, endsStream) => {
        if (this.isServer && readTrailers(fields) === null) {
          this.refuse(stream, 'trailers');
          return;
        }
        if (!this.isServer) {
          const problem = responseProblem(stream, fields, isTrailers);
          isTrailers ||= !isInformational(fields);
          if (problem !== null) {
            this.refuse(stream, problem);
            return;
          }
        }
        this.hear(['headers', id, pairsOf(fields)]);
        if (endsStream) this.ended(stream);
        else this.react(stream, 'head');
      },
      onData: (bytes, start, end) => {
        const text = bytes.latin1Slice(start, end);
        this.bodies.set(id, (this.bodies.get(id) ?? '') + text);
        const last = this.events.at(-1);
        if (last?.[0] === 'data' && last[1] === id) this.events[this.events.length - 1] = ['data', id, last[2] + text];
        else this.hear(['data', id, text]);
      },
      onFlush: () => {},
      onEnd: () => this.ended(stream),
      onDrain: () => {},
      onReset: (code, detail) => {
        if (detail === 'reset') this.hear(['reset', id, code]);
      },
      onClosed: () => {},
    };
  }

  private ended(stream: Http2Stream): void {
    this.hear(['end', stream.id]);
    this.react(stream, 'end');
  }

  private refuse(stream: Http2Stream, why: string): void {
    this.refusals.push(why);
    stream.reset(1);
  }

  private hear(event: Http2Event): void {
    this.events.push(event);
  }
}

function pairsOf(fields: readonly HeaderField[]): FieldPair[] {
  return fields.map(({ name, value }) => [name, value]);
}

/** As the user of a client does. @returns why the section is malformed; null if it is not. */
function responseProblem(stream: Http2Stream, fields: readonly HeaderField[], isTrailers: boolean): string | null {
  const pseudo = fields.filter(({ number }) => number < 0);
  if (isTrailers) return pseudo.length > 0 ? 'response' : null;
  if (pseudo.length !== 1 || fields[0]?.number !== Pseudo.STATUS) return 'response';
  for (const { name, value } of fields) {
    if (name !== 'content-length') continue;
    const length = parseContentLength(value);
    if (length < 0) return 'content length';
    stream.expectedBytes = length;
  }
  return null;
}

/** Reads what a side writes. */
class ActionReader implements FrameSink {
  private readonly found: Http2Action[] = [];
  private readonly pings: string[] = [];
  private text = '';
  private readonly reader = new Http2FrameReader(this, limits);

  /** @throws if the text is not frames. */
  read(text: string): { actions: Http2Action[]; pings: string[] } {
    const bytes = Buffer.from(text, 'latin1');
    if (!this.reader.read(bytes, 0, bytes.length)) throw new Error(`not frames: ${this.reader.errorDetail}`);
    return { actions: this.found.splice(0), pings: this.pings.splice(0) };
  }

  onDataFrame(): void {
    this.text = '';
  }

  onData(_stream: number, bytes: Buffer, start: number, end: number): void {
    this.text += bytes.latin1Slice(start, end);
  }

  onDataEnd(stream: number, endsStream: boolean): void {
    this.found.push(['data', stream, this.text, endsStream]);
  }

  onHeaders(stream: number, fields: readonly HeaderField[], _isTooLarge: boolean, endsStream: boolean): void {
    this.found.push(['headers', stream, pairsOf(fields), endsStream]);
  }

  onReset(stream: number, code: number): void {
    this.found.push(['reset', stream, code]);
  }

  onWindowUpdate(stream: number, increment: number): void {
    this.found.push(['window', stream, increment]);
  }

  onPing(isAck: boolean, payload: string): void {
    if (isAck) this.pings.push(payload);
  }

  onStreamError(_stream: number, _error: number, detail: string): void {
    throw new Error(detail);
  }

  onFrame(): void {}
  onSettings(): void {}
  onSettingsAck(): void {}
  onGoAway(): void {}
  onPriorityUpdate(): void {}
}

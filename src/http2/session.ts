import { Budget, emptyDataCost, lateFrameCost, resetCost } from './budget.ts';
import { FedStreams } from './fed-streams.ts';
import {
  Flag,
  FrameType,
  frameBytesDefault,
  frameHead,
  goAwayFrame,
  Http2Error,
  headersFrames,
  pingFrame,
  resetFrame,
  Setting,
  settingsAckFrame,
  settingsFrame,
  windowBytesDefault,
  windowBytesMax,
  windowUpdateFrame,
} from './frame.ts';
import { type FrameSink, Http2FrameReader } from './frame-reader.ts';
import { type HeaderField, isInformational } from './header-field.ts';
import { HpackEncoder } from './hpack-encoder.ts';
import { PeerSettings } from './peer-settings.ts';
import { readPriority } from './priority.ts';
import { ReceiveWindow } from './receive-window.ts';
import type { SessionOptions, SessionOutput, SessionOwner } from './session-options.ts';
import { Http2Stream, type ResetCause } from './stream.ts';
import { StreamNumbers } from './stream-numbers.ts';
import { WaitingStreams } from './waiting-streams.ts';

/**
 * One HTTP/2 connection (RFC 9113), without its socket: the settings, the windows, the streams and their states. Both roles are here,
 * since they differ in who begins streams. Errors of the connection end it by GOAWAY.
 */
export class Session implements FrameSink {
  readonly encoder = new HpackEncoder();
  readonly streams = new Map<number, Http2Stream>();
  private readonly budget: Budget;
  /** Whether the socket takes more. */
  isFlowing = true;
  /** Bytes that the peer accepts on the whole connection. */
  sendWindow = windowBytesDefault;
  /** The largest payload that the peer accepts, as far as it is used. */
  readonly frameBytesMax = frameBytesDefault;
  readonly peer = new PeerSettings();
  /** The code with which this side has ended the connection; null as long as it has not. */
  ended: Http2Error | null = null;
  endedDetail = '';
  private readonly output: SessionOutput;
  private readonly owner: SessionOwner;
  private readonly options: SessionOptions;
  private readonly reader: Http2FrameReader;
  private readonly waiting = new WaitingStreams();
  private readonly receiveWindow: ReceiveWindow;
  private readonly numbers: StreamNumbers;
  /** Bytes of data in the present frame. */
  private frameBytes = 0;
  private readonly fed = new FedStreams();

  constructor(output: SessionOutput, owner: SessionOwner, options: SessionOptions) {
    this.output = output;
    this.owner = owner;
    this.options = options;
    this.budget = new Budget(options.nowMs, options.budget);
    this.reader = new Http2FrameReader(this, options.limits);
    this.receiveWindow = new ReceiveWindow(options.connectionWindowBytes, (increment) =>
      this.queue(windowUpdateFrame(0, increment)),
    );
    this.numbers = new StreamNumbers(options.isServer);
  }

  /** Queues what begins a connection of this side, without the preface of a client. */
  start(): void {
    const { connectionWindowBytes, isServer, limits, streamsMax, streamWindowBytes, takesProtocols } = this.options;
    const settings: [number, number][] = [
      [Setting.INITIAL_WINDOW_SIZE, streamWindowBytes],
      [Setting.MAX_HEADER_LIST_SIZE, limits.listBytesMax],
    ];
    if (isServer) {
      settings.push([Setting.MAX_CONCURRENT_STREAMS, streamsMax], [Setting.NO_RFC7540_PRIORITIES, 1]);
      if (takesProtocols) settings.push([Setting.ENABLE_CONNECT_PROTOCOL, 1]);
    } else {
      settings.push([Setting.ENABLE_PUSH, 0]);
    }
    this.output.append(settingsFrame(settings));
    const increment = connectionWindowBytes - windowBytesDefault;
    if (increment > 0) this.output.append(windowUpdateFrame(0, increment));
    this.owner.onOutput();
  }

  /** @returns false if the connection has ended. */
  read(bytes: Buffer, start: number, end: number): boolean {
    if (this.ended !== null) return false;
    const isReadable = this.reader.read(bytes, start, end);
    this.fed.flush();
    if (!isReadable) this.end(this.reader.error, this.reader.errorDetail);
    return this.ended === null;
  }

  /** Begins a stream of this side, a client. @returns null if there are no more numbers for streams. */
  open(): Http2Stream | null {
    const id = this.numbers.take();
    return id === null ? null : this.add(id);
  }

  /** Whether there are numbers left for streams of this side. */
  get canOpen(): boolean {
    return this.numbers.hasNext;
  }

  /** Announces that no further streams of the peer are taken. @param acceptsLate those that are under way. */
  goAway(acceptsLate: boolean): void {
    if (!acceptsLate) this.numbers.acceptNoMore();
    this.queue(goAwayFrame(acceptsLate ? windowBytesMax : this.numbers.lastOfPeer, Http2Error.NO_ERROR));
  }

  /** `onPingAck` follows. */
  ping(): void {
    this.queue(pingFrame(false, '\0\0\0\0\0\0\0\0'));
  }

  /** Ends the connection: the peer learns why, and all streams fail. */
  end(code: Http2Error, detail: string): void {
    if (this.ended !== null) return;
    this.ended = code;
    this.endedDetail = detail;
    // Nothing that follows in the same read may begin any more, and nothing may follow the GOAWAY.
    this.reader.stop();
    this.output.append(goAwayFrame(this.numbers.lastOfPeer, code));
    this.owner.onOutput();
    this.abandon(code, detail);
  }

  /** All streams fail: nothing comes any more. */
  abandon(code: number, detail: string): void {
    for (const stream of this.streams.values()) this.failed(stream, code, detail, 'connection');
  }

  /** The socket takes more, or a window has opened: goes on with what waits. */
  pump(): void {
    if (!this.isFlowing || this.waiting.isEmpty || this.sendWindow <= 0) return;
    this.waiting.pump();
    this.owner.onOutput();
  }

  /** To be called once the socket has taken what was queued, and once it is flowing again. */
  settle(): void {
    if (!this.isFlowing) return;
    this.waiting.tellDrained();
    if (this.waiting.hasMore) this.pump();
  }

  /** The socket was slow and is not any more: all streams may go on. */
  resume(): void {
    this.isFlowing = true;
    this.pump();
    for (const stream of this.streams.values()) stream.tellDrained();
  }

  /** Writes a frame of data, which is not too long for one and for both windows. */
  sendFrame(stream: Http2Stream, data: string, endsStream: boolean): void {
    const { length } = data;
    stream.sendWindow -= length;
    this.sendWindow -= length;
    this.budget.sentData(length);
    this.queue(frameHead(length, FrameType.DATA, endsStream ? Flag.END_STREAM : 0, stream.id) + data);
  }

  /** The same for bytes, which do not end the stream. */
  sendBytes(stream: Http2Stream, bytes: Buffer, start: number, end: number): void {
    const length = end - start;
    stream.sendWindow -= length;
    this.sendWindow -= length;
    this.budget.sentData(length);
    if (this.ended !== null) return;
    this.output.appendFramed(frameHead(length, FrameType.DATA, 0, stream.id), bytes, start, end);
    this.owner.onOutput();
  }

  sendHeaders({ id }: Http2Stream, block: string, endsStream: boolean): void {
    this.queue(headersFrames(block, endsStream ? Flag.END_STREAM : 0, id, this.frameBytesMax));
  }

  wait(stream: Http2Stream): void {
    this.waiting.add(stream);
  }

  resetStream(stream: Http2Stream, code: number): void {
    if (!this.streams.has(stream.id)) return;
    this.sendReset(stream.id, code);
    this.forget(stream);
  }

  /** Gives the peer the window of what was taken, half of a window at a time. */
  credit(stream: Http2Stream): void {
    const { keptBytes, owedBytes } = stream;
    if (!stream.isPaused) {
      stream.keptBytes = 0;
      this.receiveWindow.release(keptBytes);
    }
    if (stream.isPaused || stream.hasReceivedEnd || owedBytes * 2 < this.options.streamWindowBytes) return;
    stream.owedBytes = 0;
    stream.receiveWindow += owedBytes;
    this.queue(windowUpdateFrame(stream.id, owedBytes));
  }

  closeIfDone(stream: Http2Stream): void {
    if (!stream.hasSentEnd || !this.streams.has(stream.id)) return;
    if (stream.hasReceivedEnd) {
      this.budget.messageEnded();
      this.forget(stream);
    } else if (stream.resetsAtEnd) {
      // RFC 9113 section 8.1: the response is complete without the rest of its request.
      this.resetStream(stream, Http2Error.NO_ERROR);
    }
  }

  onFrame(type: number): void {
    if (!this.budget.payForFrame(type)) this.exhausted();
  }

  onDataFrame(id: number, length: number): void {
    if (!this.receiveWindow.take(length)) {
      this.reader.fail(Http2Error.FLOW_CONTROL_ERROR, 'the window of the connection');
      return;
    }
    this.frameBytes = 0;
    const stream = this.known(id, 'DATA', length > 0);
    if (stream === null) return;
    if (stream.hasReceivedEnd) {
      this.fail(stream, Http2Error.STREAM_CLOSED, 'DATA behind the end');
      return;
    }
    if (!stream.hasReceivedHead) {
      this.fail(stream, Http2Error.PROTOCOL_ERROR, 'DATA before the head');
      return;
    }
    stream.receiveWindow -= length;
    stream.owedBytes += length;
    if (stream.isPaused) {
      stream.keptBytes += length;
      this.receiveWindow.keep(length);
    }
    if (stream.receiveWindow < 0) this.fail(stream, Http2Error.FLOW_CONTROL_ERROR, 'the window of the stream');
  }

  onData(id: number, bytes: Buffer, start: number, end: number): void {
    const stream = this.streams.get(id);
    this.frameBytes += end - start;
    if (stream === undefined) return;
    this.budget.exchanged(end - start);
    if (stream.expectedBytes >= 0) {
      stream.expectedBytes -= end - start;
      if (stream.expectedBytes < 0) {
        this.fail(stream, Http2Error.PROTOCOL_ERROR, 'more data than its content length');
        return;
      }
    }
    if (stream.stopsReceiving) return;
    this.fed.add(stream);
    stream.handler?.onData(bytes, start, end);
  }

  onDataEnd(id: number, endsStream: boolean): void {
    // Also one of padding alone.
    if (this.frameBytes === 0 && !endsStream && !this.budget.pay(emptyDataCost)) this.exhausted();
    const stream = this.streams.get(id);
    if (stream === undefined) return;
    if (endsStream) this.receivedEnd(stream);
    if (!this.streams.has(id)) return;
    if (!endsStream) {
      this.credit(stream);
      return;
    }
    if (!stream.stopsReceiving) stream.handler?.onEnd();
    this.closeIfDone(stream);
  }

  onHeaders(id: number, fields: readonly HeaderField[], isTooLarge: boolean, endsStream: boolean): void {
    const stream = this.streams.get(id);
    if (stream === undefined) {
      if (this.options.isServer) this.accept(id, fields, isTooLarge, endsStream);
      else this.known(id, 'HEADERS');
      return;
    }
    if (stream.hasReceivedEnd) {
      this.fail(stream, Http2Error.STREAM_CLOSED, 'HEADERS behind the end');
      return;
    }
    if (stream.hasReceivedHead && !endsStream) {
      this.fail(stream, Http2Error.PROTOCOL_ERROR, 'trailers that do not end the stream');
      return;
    }
    stream.hasReceivedHead ||= !isInformational(fields);
    // RFC 9113 section 8.1.
    if (endsStream && !stream.hasReceivedHead) this.fail(stream, Http2Error.PROTOCOL_ERROR, 'the end before the head');
    else if (endsStream) this.receivedEnd(stream);
    if (!this.streams.has(id)) return;
    if (!stream.stopsReceiving) stream.handler?.onFields(fields, isTooLarge, endsStream);
    if (endsStream) this.closeIfDone(stream);
    else this.fed.add(stream);
  }

  onReset(id: number, code: number): void {
    if (this.numbers.isIdle(id)) {
      this.reader.fail(Http2Error.PROTOCOL_ERROR, 'RST_STREAM of an idle stream');
      return;
    }
    const stream = this.streams.get(id);
    // One that has ended on both sides costs nothing more; for others, work was begun in vain.
    if (!this.budget.pay(resetCost)) this.exhausted();
    else if (stream !== undefined) {
      this.failed(stream, code, 'reset', code === Http2Error.REFUSED_STREAM ? 'refused' : 'peer');
    }
  }

  onStreamError(id: number, error: Http2Error, detail: string): void {
    const stream = this.known(id, detail);
    if (stream !== null) this.fail(stream, error, detail);
  }

  onSettings(settings: readonly (readonly [setting: number, value: number])[]): void {
    const { windowBytes } = this.peer;
    this.peer.apply(settings, this.encoder);
    if (!this.options.isServer && settings.some(([setting, value]) => setting === Setting.ENABLE_PUSH && value === 1)) {
      this.reader.fail(Http2Error.PROTOCOL_ERROR, 'push of a server');
    }
    this.changeWindows(this.peer.windowBytes - windowBytes);
    this.queue(settingsAckFrame);
    this.pump();
    this.owner.onSettings();
  }

  onSettingsAck(): void {}

  onPing(isAck: boolean, payload: string): void {
    if (isAck) this.owner.onPingAck();
    else this.queue(pingFrame(true, payload));
  }

  onGoAway(lastStream: number, code: number, debug: string): void {
    // First, so that no request is tried again here.
    this.owner.onGoAway(code, debug);
    if (this.options.isServer) return;
    for (const stream of this.streams.values()) {
      if (stream.id > lastStream) this.failed(stream, code, 'the peer goes away', 'refused');
    }
  }

  onWindowUpdate(id: number, increment: number): void {
    if (id === 0) {
      this.sendWindow += increment;
      if (this.sendWindow > windowBytesMax) {
        this.reader.fail(Http2Error.FLOW_CONTROL_ERROR, 'the window of the connection overflows');
      } else {
        this.pump();
      }
      return;
    }
    const stream = this.streams.get(id);
    if (stream === undefined) {
      if (this.numbers.isIdle(id)) this.reader.fail(Http2Error.PROTOCOL_ERROR, 'WINDOW_UPDATE of an idle stream');
      return;
    }
    stream.sendWindow += increment;
    if (increment === 0) this.fail(stream, Http2Error.PROTOCOL_ERROR, 'WINDOW_UPDATE of 0');
    else if (stream.sendWindow > windowBytesMax) {
      this.fail(stream, Http2Error.FLOW_CONTROL_ERROR, 'the window of the stream overflows');
    } else {
      this.pump();
    }
  }

  onPriorityUpdate(id: number, value: string): void {
    const stream = this.streams.get(id);
    if (!this.options.isServer) this.reader.fail(Http2Error.PROTOCOL_ERROR, 'PRIORITY_UPDATE of a server');
    else if (stream !== undefined) this.setPriority(stream, value);
  }

  /** @param value of a field or a frame (RFC 9218 section 4). */
  setPriority(stream: Http2Stream, value: string): void {
    const { urgency } = stream;
    readPriority(value, stream);
    if (stream.urgency !== urgency) this.waiting.move(stream, urgency);
  }

  /** The peer begins a stream. */
  private accept(id: number, fields: readonly HeaderField[], isTooLarge: boolean, endsStream: boolean): void {
    const { numbers } = this;
    if (!numbers.isOfPeer(id)) {
      this.reader.fail(Http2Error.PROTOCOL_ERROR, 'a stream of the wrong side');
      return;
    }
    if (!numbers.isIdle(id)) {
      this.known(id, 'HEADERS');
      return;
    }
    numbers.lastOfPeer = id;
    if (!numbers.isAccepted(id)) {
      if (!this.budget.pay(lateFrameCost)) this.exhausted();
      return;
    }
    if (this.streams.size >= this.options.streamsMax) {
      this.sendReset(id, Http2Error.REFUSED_STREAM);
      if (!this.budget.pay(resetCost)) this.exhausted();
      return;
    }
    const stream = this.add(id);
    stream.hasReceivedHead = true;
    stream.hasReceivedEnd = endsStream;
    this.owner.onStream(stream, fields, isTooLarge, endsStream);
  }

  private add(id: number): Http2Stream {
    const stream = new Http2Stream(this, id, this.peer.windowBytes, this.options.streamWindowBytes);
    this.streams.set(id, stream);
    return stream;
  }

  /** @returns null if the stream is not open; the peer may not know that yet. */
  private known(id: number, what: string, isData = false): Http2Stream | null {
    const stream = this.streams.get(id);
    if (stream !== undefined) return stream;
    if (this.numbers.isIdle(id)) {
      this.reader.fail(Http2Error.PROTOCOL_ERROR, `${what} on an idle stream`);
    } else if (this.numbers.mayBeLate(id)) {
      // Some may have been under way: of a response that nobody wants any more, a whole window in frames of any size.
      if (!(isData && !this.options.isServer) && !this.budget.pay(lateFrameCost)) this.exhausted();
    } else {
      // RFC 9113 section 5.1, closed.
      this.sendReset(id, Http2Error.STREAM_CLOSED);
      if (!this.budget.pay(resetCost)) this.exhausted();
    }
    return null;
  }

  /** RFC 9113 section 8.1.1: a body shorter than its content length makes the message malformed. */
  private receivedEnd(stream: Http2Stream): void {
    stream.hasReceivedEnd = true;
    // The body is with the handler, as a whole: it is bounded by the streams that may be open.
    this.receiveWindow.release(stream.keptBytes);
    stream.keptBytes = 0;
    if (stream.expectedBytes > 0) this.fail(stream, Http2Error.PROTOCOL_ERROR, 'less data than its content length');
  }

  /** An error of the peer that concerns one stream. */
  private fail(stream: Http2Stream, code: Http2Error, detail: string): void {
    this.sendReset(stream.id, code);
    this.failed(stream, code, detail, 'violation');
    if (!this.budget.pay(resetCost)) this.exhausted();
  }

  private failed(stream: Http2Stream, code: number, detail: string, cause: ResetCause): void {
    this.streams.delete(stream.id);
    try {
      stream.handler?.onReset(code, detail, cause);
    } catch (error) {
      // The other streams are not concerned.
      this.owner.onInternalError(error as Error);
    } finally {
      this.release(stream);
    }
  }

  private forget(stream: Http2Stream): void {
    if (this.streams.delete(stream.id)) this.release(stream);
  }

  private release(stream: Http2Stream): void {
    this.waiting.delete(stream);
    this.receiveWindow.release(stream.keptBytes);
    stream.keptBytes = 0;
    stream.drop();
  }

  private sendReset(id: number, code: number): void {
    this.queue(resetFrame(id, code));
    this.numbers.wasReset(id);
  }

  private exhausted(): void {
    this.reader.fail(Http2Error.ENHANCE_YOUR_CALM, 'too many frames or resets in proportion to requests');
  }

  /** RFC 9113 section 6.9.2. */
  private changeWindows(by: number): void {
    for (const stream of this.streams.values()) {
      stream.sendWindow += by;
      if (stream.sendWindow > windowBytesMax) {
        this.reader.fail(Http2Error.FLOW_CONTROL_ERROR, 'the window of a stream overflows');
      }
    }
  }

  private queue(text: string): void {
    if (this.ended !== null) return;
    this.output.append(text);
    this.owner.onOutput();
  }
}

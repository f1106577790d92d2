import type { TestContext } from 'node:test';
import { pingFrame, preface } from '../../src/http2/frame.ts';
import { FrameLines, noSettings } from './http2-frames.ts';
import { type BackendPeer, RawBackend } from './raw-backend.ts';
import { until } from './until.ts';

/** One connection to a backend that speaks HTTP/2 in literal frames. */
export class Http2Peer {
  readonly raw: BackendPeer;
  private readonly frames = new FrameLines();
  private length = 0;

  constructor(raw: BackendPeer) {
    this.raw = raw;
  }

  /** @internal Reads what has come since the last call. */
  read(): readonly string[] {
    if (this.raw.received.length < preface.length) return [];
    if (this.length === 0) this.length = preface.length;
    const before = this.frames.lines.length;
    const text = this.raw.received.slice(this.length);
    this.length += text.length;
    this.frames.read(Buffer.from(text, 'latin1'));
    return this.frames.lines.slice(before);
  }

  /** The frames that have come, in lines, without those of the connection and the updates of windows. */
  get lines(): readonly string[] {
    return this.frames.lines.filter((line) => !/^(SETTINGS|WINDOW_UPDATE|PING)/.test(line));
  }

  get all(): readonly string[] {
    return this.frames.lines;
  }

  /** How many bytes of data have come on a stream. */
  dataBytes(stream: number): number {
    return this.frames.dataBytes.get(stream) ?? 0;
  }

  send(...frames: readonly string[]): void {
    this.raw.send(frames.join(''));
  }

  async expect(line: string | RegExp): Promise<void> {
    const is = (found: string): boolean => (typeof line === 'string' ? found === line : line.test(found));
    await until(`${line} at the backend`, () => this.frames.lines.some(is));
  }
}

interface Http2BackendOptions {
  /** The frame with which it begins. Default: no settings. */
  readonly settings?: string;
  /** Whether it acknowledges pings. Default: true. */
  readonly pongs?: boolean;
}

/** A backend that speaks HTTP/2 in literal frames. */
export class Http2Backend {
  readonly peers: Http2Peer[] = [];
  private readonly raw: RawBackend;
  private onLine: (peer: Http2Peer, line: string) => void = () => {};

  private constructor(raw: RawBackend, { pongs = true, settings = noSettings }: Http2BackendOptions) {
    this.raw = raw;
    const known = new Map<BackendPeer, Http2Peer>();
    raw.onBytes((bytes) => {
      let peer = known.get(bytes);
      if (peer === undefined) {
        peer = new Http2Peer(bytes);
        known.set(bytes, peer);
        this.peers.push(peer);
        peer.send(settings);
      }
      for (const line of peer.read()) {
        if (pongs && line.startsWith('PING ') && !line.startsWith('PING ack')) {
          peer.send(pingFrame(true, line.slice('PING '.length)));
        }
        this.onLine(peer, line);
      }
    });
  }

  /** Starts one, which stops with the test. */
  static async start(test: TestContext, options: Http2BackendOptions = {}): Promise<Http2Backend> {
    const raw = await RawBackend.start();
    test.after(() => raw.stop());
    return new Http2Backend(raw, options);
  }

  get url(): string {
    return this.raw.url.replace('http:', 'h2c:');
  }

  get peer(): Http2Peer {
    const [first] = this.peers;
    if (first === undefined) throw new Error('no connection to the backend');
    return first;
  }

  /** Calls `react` for every frame, as a line. */
  onFrame(react: (peer: Http2Peer, line: string) => void): void {
    this.onLine = react;
  }

  /** Calls `respond` for every request that is complete, with its stream. */
  serve(respond: (stream: number, peer: Http2Peer) => void): void {
    this.onLine = (peer, line) => {
      const [, stream] = /^END (\d+)$/.exec(line) ?? [];
      if (stream !== undefined) respond(Number(stream), peer);
    };
  }

  async connections(count: number): Promise<void> {
    await until(`${count} connections to the backend`, () => this.peers.length >= count);
  }
}

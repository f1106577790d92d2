import { pingFrame, preface } from '../../src/http2/frame.ts';
import { FrameLines, noSettings } from './http2-frames.ts';
import type { RawClient } from './raw-client.ts';
import { until } from './until.ts';

/** A client of HTTP/2 that sends literal frames. */
export class Http2Client {
  readonly raw: RawClient;
  private readonly frames = new FrameLines();

  constructor(raw: RawClient) {
    this.raw = raw;
    raw.socket.on('data', (bytes: Buffer) => {
      const before = this.frames.lines.length;
      this.frames.read(bytes);
      for (const line of this.frames.lines.slice(before)) {
        if (line.startsWith('PING ') && !line.startsWith('PING ack'))
          raw.send(pingFrame(true, line.slice('PING '.length)));
      }
    });
    raw.send(preface + noSettings);
  }

  /** The frames that have come, in lines, without those of the connection and the updates of windows. */
  get lines(): readonly string[] {
    return this.frames.lines.filter((line) => !/^(SETTINGS|WINDOW_UPDATE)/.test(line));
  }

  /** How many bytes of data have come on a stream. */
  dataBytes(stream: number): number {
    return this.frames.dataBytes.get(stream) ?? 0;
  }

  get all(): readonly string[] {
    return this.frames.lines;
  }

  send(...frames: readonly string[]): void {
    this.raw.send(frames.join(''));
  }

  /** Waits for a frame. */
  async expect(line: string | RegExp): Promise<void> {
    const is = (found: string): boolean => (typeof line === 'string' ? found === line : line.test(found));
    await until(`${line} among ${this.frames.lines.join(' | ')}`, () => this.frames.lines.some(is) || this.raw.closed);
    if (!this.frames.lines.some(is)) throw new Error(`no ${line}, but ${this.frames.lines.join(' | ')}`);
  }

  /** The response of a stream: its status, and its body in one. @returns null if the stream was reset. */
  async response(
    stream: number,
  ): Promise<{ readonly status: number; readonly head: string; readonly body: string } | null> {
    await this.expect(new RegExp(`^(END ${stream}$|RST_STREAM ${stream} |GOAWAY)`));
    const head = this.lines.find((line) => line.startsWith(`HEADERS ${stream} :status`));
    if (head === undefined) return null;
    const body = this.lines
      .filter((line) => line.startsWith(`DATA ${stream} `))
      .map((line) => line.split(' ').slice(2).join(' '));
    return { status: Number(/:status: (\d+)/.exec(head)?.[1]), head, body: body.join('') };
  }
}

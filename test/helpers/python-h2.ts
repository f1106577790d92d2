import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

export type FieldPair = readonly [name: string, value: string];

/** What a connection has read. */
export type Http2Event =
  | readonly ['headers', stream: number, fields: readonly FieldPair[]]
  | readonly ['data', stream: number, text: string]
  | readonly ['end', stream: number]
  | readonly ['reset', stream: number, code: number]
  | readonly ['ping', payload: string]
  | readonly ['ping ack']
  | readonly ['settings'];

/** What a connection has written, apart from what it has to by what it reads. */
export type Http2Action =
  | readonly ['headers', stream: number, fields: readonly FieldPair[], endsStream: boolean]
  | readonly ['data', stream: number, text: string, endsStream: boolean]
  | readonly ['window', stream: number, increment: number]
  | readonly ['reset', stream: number, code: number];

/** A connection of python3-h2 in one role: bytes that it reads, in hexadecimal, and what it is to write. */
export interface Conversation {
  readonly isServer: boolean;
  readonly streamWindowBytes: number;
  readonly streamsMax: number;
  readonly steps: readonly (string | Http2Action)[];
}

/** What it makes of one step. */
export interface Heard {
  readonly events: readonly Http2Event[];
  /** Streams that it has reset. */
  readonly resets: readonly number[];
  /** Why it ends the connection; null if it does not. */
  readonly error: string | null;
}

export interface Answer {
  /** By step; the last one has the error, if there is any. */
  readonly heard: readonly Heard[];
  /** What it may still send, by open stream, and by 0 for the connection; null after an error. */
  readonly windows: Readonly<Record<string, number>> | null;
}

/** A process of Debian's own Python with python3-h2, which repeats conversations. */
export class PythonH2 {
  private readonly child: ChildProcessWithoutNullStreams;
  private received = Buffer.alloc(0);
  private errors = '';
  private readonly waiting: { resolve(answers: Answer[]): void; reject(error: Error): void }[] = [];

  constructor(test: TestContext) {
    this.child = spawn('/usr/bin/python3', [fileURLToPath(new URL('python-h2.py', import.meta.url))]);
    this.child.stdout.on('data', (bytes: Buffer) => this.read(bytes));
    this.child.stderr.on('data', (bytes: Buffer) => {
      this.errors += bytes.toString();
    });
    this.child.stdin.on('error', () => {});
    this.child.on('close', () => {
      for (const { reject } of this.waiting) reject(new Error(`python3-h2 has ended: ${this.errors}`));
    });
    test.after(() => this.child.stdin.end());
  }

  /** @returns the answers in the order of the conversations. */
  repeat(conversations: readonly Conversation[]): Promise<Answer[]> {
    const body = Buffer.from(JSON.stringify(conversations));
    const head = Buffer.alloc(4);
    head.writeUInt32BE(body.length);
    this.child.stdin.write(Buffer.concat([head, body]));
    return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
  }

  private read(bytes: Buffer): void {
    this.received = Buffer.concat([this.received, bytes]);
    while (this.received.length >= 4) {
      const end = 4 + this.received.readUInt32BE(0);
      if (this.received.length < end) return;
      const answers = JSON.parse(this.received.toString('utf8', 4, end)) as Answer[];
      this.received = this.received.subarray(end);
      this.waiting.shift()?.resolve(answers);
    }
  }
}

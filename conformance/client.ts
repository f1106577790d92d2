import { connect, type Socket } from 'node:net';
import { Changes } from './waiting.ts';
import { listOf, readResponse, statusOf, type WireMessage } from './wire.ts';

/** A client that sends literal bytes and reads responses strictly. */
export class ConformanceClient {
  readonly changes = new Changes();
  /** All bytes received, as Latin-1. */
  received = '';
  /** All bytes sent. */
  sent = '';
  /** Complete responses, informational ones too, in order. */
  readonly responses: WireMessage[] = [];
  /** Why what came cannot be read, if so. */
  fault: string | null = null;
  /** Whether the connection has ended: in an orderly way, or by a reset. */
  end: 'open' | 'closed' | 'reset' = 'open';
  /** How much of the bytes is complete responses. */
  read = 0;
  /** Whether the body of a request was not sent, since its response had come. */
  isUnfinished = false;
  /** Whether what follows is the content of a tunnel. */
  switched = false;
  private readonly socket: Socket;
  private readonly toHead: boolean;

  /** @param toHead whether the first final response is to HEAD. */
  private constructor(socket: Socket, toHead: boolean) {
    this.socket = socket;
    this.toHead = toHead;
    socket.on('data', (bytes: Buffer) => {
      this.received += bytes.toString('latin1');
      this.parse();
      this.changes.changed();
    });
    socket.on('end', () => this.ended('closed'));
    socket.on('error', () => this.ended('reset'));
    socket.on('close', () => this.ended('closed'));
  }

  static async connect(port: number, toHead: boolean): Promise<ConformanceClient> {
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new ConformanceClient(socket, toHead);
  }

  get finals(): readonly WireMessage[] {
    return this.responses.filter(({ startLine }) => statusOf(startLine) >= 200 || statusOf(startLine) === 101);
  }

  /** Bytes behind the last complete response. */
  get rest(): string {
    return this.received.slice(this.read);
  }

  /** Whether the last response says that no further request is read. */
  get announcesEnd(): boolean {
    const last = this.finals.at(-1);
    if (last === undefined) return false;
    const options = listOf(last.fields, 'connection');
    return options.includes('close') || (last.startLine.startsWith('HTTP/1.0') && !options.includes('keep-alive'));
  }

  send(bytes: string): void {
    if (bytes === '') return;
    this.sent += bytes;
    this.socket.write(bytes, 'latin1');
  }

  /** Closes the sending side. */
  leave(): void {
    this.socket.end();
  }

  close(): void {
    this.socket.destroy();
  }

  private ended(how: 'closed' | 'reset'): void {
    if (this.end !== 'open') return;
    this.end = how;
    this.parse();
    this.changes.changed();
  }

  private parse(): void {
    while (this.fault === null && !this.switched && this.read < this.received.length) {
      const toHead = this.toHead && this.finals.length === 0;
      const message = readResponse(this.rest, { toHead, ended: this.end === 'closed' });
      if (message.kind === 'bad') this.fault = message.why;
      if (message.kind !== 'message') return;
      this.responses.push(message);
      this.read += message.length;
      this.switched = statusOf(message.startLine) === 101;
    }
  }
}

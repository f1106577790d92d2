import { connect, type Socket } from 'node:net';
import { until } from './until.ts';

/** A client that sends literal bytes and records literal bytes. */
export class RawClient {
  readonly socket: Socket;
  /** All bytes received, as latin1. */
  received = '';
  /** Whether the other side has half-closed. */
  ended = false;
  closed = false;
  /** Whether the connection was reset. */
  reset = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (bytes: Buffer) => {
      this.received += bytes.toString('latin1');
    });
    socket.on('end', () => {
      this.ended = true;
    });
    socket.on('close', () => {
      this.closed = true;
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNRESET' || error.code === 'EPIPE') this.reset = true;
    });
  }

  static async connect(port: number, localAddress?: string): Promise<RawClient> {
    const socket = connect({
      host: '127.0.0.1',
      port,
      allowHalfOpen: true,
      noDelay: true,
      ...(localAddress === undefined ? {} : { localAddress }),
    });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new RawClient(socket);
  }

  send(text: string): void {
    this.socket.write(text, 'latin1');
  }

  /** Waits until `text` has been received. */
  async expect(text: string | RegExp): Promise<void> {
    const found = (): boolean => (typeof text === 'string' ? this.received.includes(text) : text.test(this.received));
    const state = (): string =>
      `${this.closed ? 'closed' : this.reset ? 'reset' : this.ended ? 'ended' : 'open'}, received ${JSON.stringify(this.received.slice(-500))}`;
    await until(String(text), () => found() || this.closed).catch(() => {});
    if (!found()) throw new Error(`waited in vain for ${text}: ${state()}`);
  }

  async untilEnded(): Promise<void> {
    await until('the end of the connection', () => this.ended || this.closed);
  }

  /** The statuses of all responses so far. */
  get statuses(): number[] {
    return [...this.received.matchAll(/HTTP\/1\.[01] (\d{3})/g)].map(([, status]) => Number(status));
  }

  close(): void {
    this.socket.destroy();
  }
}

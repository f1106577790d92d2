import { createServer, type Server, type Socket } from 'node:net';
import { type BackendReply, ok } from './case.ts';
import { Changes } from './waiting.ts';
import { listOf, readRequest, type WireMessage, type WirePart } from './wire.ts';

/** How long a proxy may take to close a connection that the backend has ended, in ms. */
const closeMsMax = 1000;

/** A path that the proxies are asked for between the cases; the response has it as its body. */
export const markerPaths = ['/marker', '/sync'] as const;

/** A connection of a proxy to the backend. */
interface BackendConnection {
  readonly socket: Socket;
  /** All that has come, as Latin-1. */
  received: string;
  /** All that was sent. */
  sent: string;
  /** How much of it is complete requests. */
  read: number;
  /** The reply to the request that is under way, once its head is complete. */
  reply: BackendReply | null;
  /** Whether the request that is under way need not be recorded any more. */
  isCounted: boolean;
  /** Of the last request whose reply has one. */
  idle: string | null;
  state: 'http' | 'tunnel' | 'done';
}

/** The requests of one case, as they came. */
export interface Capture {
  /** Complete requests but markers, in order. */
  readonly requests: WireMessage[];
  /** Why what came cannot be read, if so. */
  fault: string | null;
}

/** A strict backend that records the bytes of each request and responds as the case says. */
export class CapturingBackend {
  capture: Capture = { requests: [], fault: null };
  readonly connections = new Set<BackendConnection>();
  readonly changes = new Changes();
  private readonly server: Server;
  private replies: readonly (string | BackendReply)[] = [];
  private replied = 0;
  /** The connections of this case, and those that it found. */
  private log: BackendConnection[] = [];

  private constructor() {
    this.server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.accept(socket));
  }

  static async start(port: number): Promise<CapturingBackend> {
    const backend = new CapturingBackend();
    await new Promise<void>((resolve, reject) => {
      backend.server.once('error', reject);
      backend.server.listen(port, '127.0.0.1', resolve);
    });
    return backend;
  }

  /** Begins a case. */
  begin(replies: readonly (string | BackendReply)[]): void {
    this.capture = { requests: [], fault: null };
    this.replies = replies;
    this.replied = 0;
    this.log = [...this.connections];
  }

  /** The bytes of each connection of the case. */
  transcript(): readonly { readonly received: string; readonly sent: string }[] {
    return this.log.filter(({ received }) => received !== '').map(({ received, sent }) => ({ received, sent }));
  }

  /** Sends what is to come on idle connections. @returns whether there was any. */
  sendIdle(): boolean {
    const idle = [...this.connections].filter(({ idle }) => idle !== null);
    for (const connection of idle) {
      send(connection, connection.idle ?? '');
      connection.idle = null;
    }
    return idle.length > 0;
  }

  /** Ends every connection, and waits until the proxy has noticed: the next case begins without any. */
  async endAll(): Promise<void> {
    for (const { socket } of this.connections) socket.end();
    await this.changes.until(() => this.connections.size === 0, closeMsMax);
    for (const { socket } of this.connections) socket.destroy();
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    for (const { socket } of this.connections) socket.destroy();
    await closed;
  }

  private accept(socket: Socket): void {
    const connection: BackendConnection = {
      ...{ socket, received: '', sent: '', read: 0, reply: null, isCounted: false, idle: null, state: 'http' },
    };
    this.connections.add(connection);
    this.log.push(connection);
    socket.on('data', (bytes: Buffer) => {
      connection.received += bytes.toString('latin1');
      this.read(connection);
      this.changes.changed();
    });
    socket.on('end', () => socket.end());
    socket.on('error', () => {});
    socket.on('close', () => {
      this.connections.delete(connection);
      this.changes.changed();
    });
  }

  private read(connection: BackendConnection): void {
    while (connection.state === 'http') {
      const rest = connection.received.slice(connection.read);
      if (rest === '') return;
      const message = readRequest(rest);
      if (message.kind === 'bad') {
        this.refuse(connection, message.why);
        return;
      }
      if (message.kind === 'more' && message.head === null) return;
      const { startLine } = message.kind === 'more' ? (message.head ?? { startLine: '' }) : message;
      const marker = markerPaths.find(
        (path) => startLine === `GET ${path} HTTP/1.1` || startLine === `GET ${path} HTTP/1.0`,
      );
      if (connection.reply === null) this.begun(connection, message, marker);
      if (message.kind === 'more') return;
      connection.read += message.length;
      if (!connection.isCounted) this.capture.requests.push(message);
      this.complete(connection);
    }
    if (connection.state === 'tunnel') this.echo(connection);
  }

  /** The head of a request is complete. */
  private begun(connection: BackendConnection, message: WireMessage | WirePart, marker: string | undefined): void {
    const given = marker === undefined ? (this.replies[this.replied++] ?? ok()) : ok(marker);
    connection.reply = typeof given === 'string' ? { end: given } : given;
    connection.isCounted = marker !== undefined;
    const head = message.kind === 'more' ? message.head : message;
    if (connection.reply.continues && head !== null && listOf(head.fields, 'expect').includes('100-continue')) {
      send(connection, 'HTTP/1.1 100 Continue\r\n\r\n');
    }
    if (connection.reply.head === undefined) return;
    send(connection, connection.reply.head);
    // The body of a request that has its response need not come.
    if (head !== null && !connection.isCounted && /HTTP\/1\.1 [2-5]/.test(connection.reply.head)) {
      connection.isCounted = true;
      this.capture.requests.push({ ...head, kind: 'message', body: '', trailers: [] });
    }
  }

  private complete(connection: BackendConnection): void {
    const { end, idle, after, isSplit } = connection.reply ?? {};
    connection.reply = null;
    connection.idle = idle ?? connection.idle;
    if (isSplit) void sendSplit(connection, end ?? '');
    else if (end !== undefined) send(connection, end);
    if (after !== undefined) {
      connection.state = 'done';
      if (after === 'close') connection.socket.end();
      // Not before the bytes have left.
      else setImmediate(() => connection.socket.resetAndDestroy());
    } else if (end?.includes('HTTP/1.1 101 ')) {
      connection.state = 'tunnel';
    }
  }

  private echo(connection: BackendConnection): void {
    const bytes = connection.received.slice(connection.read);
    connection.read = connection.received.length;
    if (bytes !== '') send(connection, bytes);
  }

  private refuse(connection: BackendConnection, why: string): void {
    this.capture.fault ??= why;
    connection.state = 'done';
    send(connection, 'HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
    connection.socket.end();
  }
}

function send(connection: BackendConnection, bytes: string): void {
  connection.sent += bytes;
  connection.socket.write(bytes, 'latin1');
}

/** Sends byte by byte, each in a segment of its own if the system can. */
async function sendSplit(connection: BackendConnection, bytes: string): Promise<void> {
  for (const byte of bytes) {
    send(connection, byte);
    await new Promise(setImmediate);
  }
}

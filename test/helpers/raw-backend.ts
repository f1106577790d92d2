import { createServer, type Server, type Socket } from 'node:net';
import { type ReferenceMessage, readRequest } from './reference-parser.ts';
import { until } from './until.ts';

/** One connection to a raw backend. */
export class BackendPeer {
  readonly socket: Socket;
  /** All bytes received, as latin1. */
  received = '';
  /** The complete requests among them, if the backend serves. */
  readonly requests: ReferenceMessage[] = [];
  /** How much of the received bytes these are. */
  servedLength = 0;
  ended = false;
  closed = false;
  reset = false;

  constructor(socket: Socket, onData: (peer: BackendPeer) => void) {
    this.socket = socket;
    socket.on('data', (bytes: Buffer) => {
      this.received += bytes.toString('latin1');
      onData(this);
    });
    socket.on('end', () => {
      this.ended = true;
    });
    socket.on('close', () => {
      this.closed = true;
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNRESET') this.reset = true;
    });
  }

  send(text: string): void {
    this.socket.write(text, 'latin1');
  }

  /** Waits until the proxy has ended or reset the connection. */
  async untilClosed(): Promise<void> {
    await until('the end of the connection to the backend', () => this.ended || this.closed);
  }
}

/** A backend that does not speak HTTP: it records the bytes that reach it, and sends what the test asks for. */
export class RawBackend {
  readonly peers: BackendPeer[] = [];
  private readonly server: Server;
  private onData: (peer: BackendPeer) => void = () => {};

  private constructor() {
    this.server = createServer({ allowHalfOpen: true }, (socket) => {
      this.peers.push(new BackendPeer(socket, (peer) => this.onData(peer)));
    });
  }

  /** @param address an IP address, or the absolute path of a Unix socket. @param port 0 for a free one. */
  static async start(address = '127.0.0.1', port = 0): Promise<RawBackend> {
    const backend = new RawBackend();
    const place = address.startsWith('/') ? { path: address } : { host: address, port };
    await new Promise<void>((resolve) => backend.server.listen(place, resolve));
    return backend;
  }

  get port(): number {
    const address = this.server.address();
    if (address === null || typeof address === 'string') throw new Error('the backend does not listen');
    return address.port;
  }

  get url(): string {
    const address = this.server.address();
    if (typeof address === 'string') return `http+unix://${encodeURIComponent(address)}`;
    return `http://127.0.0.1:${this.port}`;
  }

  /** Everything that has reached this backend, over all connections. */
  get received(): string {
    return this.peers.map((peer) => peer.received).join('');
  }

  /** The complete requests of all connections, if the backend serves. */
  get requests(): ReferenceMessage[] {
    return this.peers.flatMap(({ requests }) => requests);
  }

  /** Answers every complete head without a body with `response`, on each connection. */
  respondToEach(response: string): void {
    const answered = new Map<BackendPeer, number>();
    this.onData = (peer) => {
      const heads = peer.received.split('\r\n\r\n').length - 1;
      const done = answered.get(peer) ?? 0;
      answered.set(peer, heads);
      for (let count = done; count < heads; count++) peer.send(response);
    };
  }

  /** Answers every complete request, with or without a body, with the result of `response`; empty for no response. */
  serve(response: (request: ReferenceMessage, peer: BackendPeer) => string): void {
    this.onData = (peer) => {
      for (;;) {
        const message = readRequest(peer.received.slice(peer.servedLength));
        if (message.kind !== 'message') return;
        peer.servedLength += message.length;
        peer.requests.push(message);
        const text = response(message, peer);
        if (text !== '') peer.send(text);
      }
    };
  }

  /** Calls `react` with the connection whenever bytes have arrived. */
  onBytes(react: (peer: BackendPeer) => void): void {
    this.onData = react;
  }

  /** Waits until `text` has arrived. */
  async receive(text: string | RegExp): Promise<void> {
    const found = (): boolean => (typeof text === 'string' ? this.received.includes(text) : text.test(this.received));
    await until(`${text} at the backend`, found);
  }

  async peer(index = 0): Promise<BackendPeer> {
    await until(`connection ${index} to the backend`, () => this.peers.length > index);
    return this.peers[index] as BackendPeer;
  }

  async stop(): Promise<void> {
    for (const { socket } of this.peers) socket.destroy();
    if (!this.server.listening) return;
    await new Promise<void>((resolve) => {
      this.server.close(() => resolve());
    });
  }
}

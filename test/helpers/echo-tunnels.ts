import { WebSocket, WebSocketServer } from 'ws';
import { until } from './until.ts';

/** A WebSocket backend that sends back what it gets. */
export class EchoBackend {
  /** The codes with which its connections were closed. */
  readonly closeCodes: number[] = [];
  private readonly server: WebSocketServer;

  private constructor() {
    this.server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    this.server.on('connection', (socket) => {
      socket.on('message', (data) => socket.send(data));
      socket.on('error', () => {});
      socket.on('close', (code) => this.closeCodes.push(code));
    });
  }

  static async start(): Promise<EchoBackend> {
    const backend = new EchoBackend();
    await until('the echo backend to listen', () => backend.server.address() !== null);
    return backend;
  }

  get url(): string {
    const address = this.server.address();
    if (address === null || typeof address === 'string') throw new Error('the backend does not listen');
    return `http://127.0.0.1:${address.port}`;
  }

  stop(): void {
    for (const socket of this.server.clients) socket.terminate();
    this.server.close();
  }
}

/** A WebSocket through a proxy to an `EchoBackend`. */
export class EchoTunnel {
  /** Its own port. */
  readonly port: number;
  /** The code with which it was closed; null while it is open. */
  closeCode: number | null = null;
  private readonly socket: WebSocket;
  private echoes = 0;

  private constructor(socket: WebSocket, port: number) {
    this.socket = socket;
    this.port = port;
    socket.on('message', () => {
      this.echoes++;
    });
    socket.on('error', () => {});
    socket.on('close', (code) => {
      this.closeCode = code;
    });
  }

  /** Opens a tunnel. @throws if it cannot be opened. */
  static async open(port: number, host: string): Promise<EchoTunnel> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`, { headers: { host }, handshakeTimeout: 30_000 });
    let ownPort = 0;
    socket.once('upgrade', (response) => {
      ownPort = response.socket.localPort ?? 0;
    });
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    return new EchoTunnel(socket, ownPort);
  }

  /** Sends a message and waits until it is back. @throws if the tunnel has ended. */
  async echo(): Promise<void> {
    const before = this.echoes;
    this.socket.send('still there?');
    await until('the echo', () => this.echoes > before || this.closeCode !== null);
    if (this.closeCode !== null) throw new Error(`the tunnel was closed with ${this.closeCode}`);
  }

  /** Ends it without a Close. */
  close(): void {
    this.socket.terminate();
  }
}

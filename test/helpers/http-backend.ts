import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

export type Responder = (request: IncomingMessage, response: ServerResponse) => void;

/** A well-behaved HTTP backend. */
export class HttpBackend {
  requests = 0;
  private readonly server: Server;

  private constructor(respond: Responder) {
    this.server = createServer((request, response) => {
      this.requests++;
      respond(request, response);
    });
    this.server.keepAliveTimeout = 60_000;
  }

  /** @param respond default: responds to everything with the text `name`. */
  static async start(name: string, respond?: Responder): Promise<HttpBackend> {
    const backend = new HttpBackend(
      respond ?? ((request, response) => request.resume().on('end', () => response.end(name))),
    );
    await new Promise<void>((resolve) => backend.server.listen(0, '127.0.0.1', resolve));
    return backend;
  }

  get port(): number {
    const address = this.server.address();
    if (address === null || typeof address === 'string') throw new Error('the backend does not listen');
    return address.port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Ends its connections and stops listening. */
  async stop(): Promise<void> {
    this.server.closeAllConnections();
    if (!this.server.listening) return;
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }
}

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

export type Answerer = (request: IncomingMessage, response: ServerResponse) => void;

/** A well-behaved HTTP backend. */
export class HttpBackend {
  requests = 0;
  private readonly server: Server;

  private constructor(answer: Answerer) {
    this.server = createServer((request, response) => {
      this.requests++;
      answer(request, response);
    });
    this.server.keepAliveTimeout = 60_000;
  }

  /** @param answer default: the text `name`, whatever is asked. */
  static async start(name: string, answer?: Answerer): Promise<HttpBackend> {
    const backend = new HttpBackend(
      answer ?? ((request, response) => request.resume().on('end', () => response.end(name))),
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

  /** Ends its connections and listens no more. */
  async stop(): Promise<void> {
    this.server.closeAllConnections();
    if (!this.server.listening) return;
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }
}

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';

/** An application with HTTP and WebSockets on one port, which sends back the messages that it gets. */
export class Application {
  /** The status of `/up`, its field `Location`, and its body. */
  up = { status: 200, location: '', body: 'up' };
  /** Requests for `/up`, and others. */
  probes = 0;
  requests = 0;
  /** The paths of all of them. */
  readonly paths = new Set<string | undefined>();
  /** The codes with which its WebSockets were closed. */
  readonly closeCodes: number[] = [];
  private readonly server: Server;
  private readonly sockets = new Set<WebSocket>();

  private constructor(name: string) {
    this.server = createServer((request, response) => {
      this.paths.add(request.url);
      if (request.url === '/up') {
        this.probes++;
        const { body, location, status } = this.up;
        response.writeHead(status, location === '' ? {} : { location }).end(body);
        return;
      }
      this.requests++;
      request.resume().on('end', () => response.end(name));
    });
    const tunnels = new WebSocketServer({ server: this.server });
    tunnels.on('connection', (socket) => {
      this.sockets.add(socket);
      socket.on('message', (data) => socket.send(data));
      socket.on('error', () => {});
      socket.on('close', (code) => {
        this.sockets.delete(socket);
        this.closeCodes.push(code);
      });
    });
  }

  static async start(name: string): Promise<Application> {
    const application = new Application(name);
    await new Promise<void>((resolve) => application.server.listen(0, '127.0.0.1', resolve));
    return application;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  get tunnels(): number {
    return this.sockets.size;
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.terminate();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

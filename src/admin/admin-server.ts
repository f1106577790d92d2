import { readFileSync } from 'node:fs';
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer, Server as TlsServer } from 'node:https';
import type { Socket } from 'node:net';
import { HipacheError } from '../base/errors.ts';
import { createServer } from '../base/node-http.ts';
import type { Config } from '../config/config.ts';

/** Bounds of what clients can hold, in ms, bytes and connections. */
const limits = {
  ...{ headersTimeout: 10_000, requestTimeout: 60_000, keepAliveTimeout: 30_000 },
  // Lists of backends are in the query of DELETE.
  maxHeaderSize: 256 * 1024,
};
const connectionsMax = 256;

/** The HTTP server of the admin API. */
export class AdminServer {
  private readonly server: Server;
  /** Open connections, and the requests that are under way on each. */
  private readonly connections = new Map<Socket, number>();
  /** Called once the last request has ended; null as long as there may be further ones. */
  private onEnded: (() => void) | null = null;

  /** @throws HipacheError CONFIG_UNREADABLE for a file of the certificate. */
  constructor({ cert, clientCa, key }: Config['admin'], listener: RequestListener) {
    this.server =
      cert === null || key === null
        ? createServer(limits, listener)
        : createTlsServer(
            {
              ...limits,
              cert: readPem(cert),
              key: readPem(key),
              ...(clientCa === null ? {} : { ca: readPem(clientCa), requestCert: true, rejectUnauthorized: false }),
            },
            listener,
          );
    this.server.maxConnections = connectionsMax;
    // Those of TLS come as themselves, with their requests.
    this.server.on(this.server instanceof TlsServer ? 'secureConnection' : 'connection', (socket: Socket) =>
      this.opened(socket),
    );
    this.server.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => this.began(socket, response));
  }

  /** @param descriptor of a socket that another process has bound. */
  async listen(descriptor: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen({ fd: descriptor }, resolve);
    });
    this.server.on('error', () => {});
  }

  /** Takes no further requests, and lets those that are under way finish. @param onEnded called once they have. */
  end(onEnded: () => void): void {
    this.onEnded = onEnded;
    this.server.close();
    for (const [socket, requests] of this.connections) if (requests === 0) socket.destroy();
    this.checkEnd();
  }

  /** A client that another process has accepted. */
  take(client: Socket): void {
    this.server.emit('connection', client);
    client.resume();
  }

  private opened(socket: Socket): void {
    if (this.onEnded !== null) {
      socket.destroy();
      return;
    }
    this.connections.set(socket, 0);
    socket.once('close', () => {
      this.connections.delete(socket);
      this.checkEnd();
    });
  }

  private began(socket: Socket, response: ServerResponse): void {
    this.connections.set(socket, (this.connections.get(socket) ?? 0) + 1);
    response.once('close', () => {
      const left = (this.connections.get(socket) ?? 1) - 1;
      if (this.connections.has(socket)) this.connections.set(socket, left);
      if (this.onEnded !== null && left === 0) socket.destroySoon();
    });
  }

  private checkEnd(): void {
    if (this.connections.size === 0) this.onEnded?.();
  }

  /** Whether it takes no further requests: a connection that is kept may still send some. */
  get isEnding(): boolean {
    return this.onEnded !== null;
  }
}

function readPem(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new HipacheError('CONFIG_UNREADABLE', `admin: ${path} cannot be read: ${(cause as Error).message}`, {
      cause,
    });
  }
}

import { readFileSync } from 'node:fs';
import type { RequestListener, Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';
import { HipacheError } from '../base/errors.ts';
import { createServer } from '../base/node-http.ts';
import type { Config } from '../config/config.ts';

/** Bounds of what clients can hold, in ms, bytes and connections. */
const limits = { headersTimeout: 10_000, requestTimeout: 60_000, keepAliveTimeout: 30_000, maxHeaderSize: 16_384 };
const connectionsMax = 256;

/** The HTTP server of the admin API. */
export class AdminServer {
  private readonly server: Server;

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
  }

  /** @param descriptor of a socket that another process has bound. */
  async listen(descriptor: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen({ fd: descriptor }, resolve);
    });
    this.server.on('error', () => {});
  }

  /** Takes no further clients, and lets requests finish. @param onEnded called once they have. */
  end(onEnded: () => void): void {
    this.server.close(onEnded);
    this.server.closeIdleConnections();
  }

  /** A client that another process has accepted. */
  take(client: Socket): void {
    this.server.emit('connection', client);
    client.resume();
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

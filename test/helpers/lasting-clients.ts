import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { EchoTunnel } from './echo-tunnels.ts';

/** Pause between the parts of an upload, and between the messages of a tunnel, in ms. */
const pauseMs = 20;
const partsCount = 12;
const part = 'x'.repeat(4096);

/** Clients that go on until they are stopped. */
abstract class LastingClients {
  readonly failures: string[] = [];
  protected stopping = false;
  private readonly clients: Promise<void>[];

  constructor(port: number, host: string, count: number) {
    // The fields of the class that extends this one are there a moment later.
    this.clients = Array.from({ length: count }, () => Promise.resolve().then(() => this.run(port, host)));
  }

  /** Lets what is in progress end. */
  async stop(): Promise<void> {
    this.stopping = true;
    await Promise.all(this.clients);
  }

  protected abstract run(port: number, host: string): Promise<void>;
}

/** Clients that send one slow upload after the other and never retry. */
export class SteadyUploads extends LastingClients {
  completed = 0;

  protected async run(port: number, host: string): Promise<void> {
    while (!this.stopping) {
      const response = await upload(port, host);
      if (response.startsWith('HTTP/1.1 200 ')) this.completed++;
      else this.failures.push(`upload: ${response}`);
    }
  }
}

/** Clients that send one request after the other on a connection, GET and POST in turn, and never retry. */
export class SteadyRequests extends LastingClients {
  completed = 0;

  protected async run(port: number, host: string): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let count = 0; !this.stopping; count++) {
      const method = count % 2 === 0 ? 'GET' : 'POST';
      const outcome = await sendOne(port, host, method, agent).catch((error: Error) => error.message);
      if (outcome === 200) this.completed++;
      else this.failures.push(`${method}: ${outcome}`);
      await delay(pauseMs);
    }
    agent.destroy();
  }
}

/** Clients that keep a tunnel in use, and open another one when it has received its Close. */
export class SteadyTunnels extends LastingClients {
  echoes = 0;
  /** Codes of the tunnels that have ended. */
  readonly closeCodes: number[] = [];

  protected async run(port: number, host: string): Promise<void> {
    while (!this.stopping) {
      const tunnel = await EchoTunnel.open(port, host).catch((error: Error) => error);
      if (tunnel instanceof Error) {
        this.failures.push(`tunnel: ${tunnel.message}`);
        continue;
      }
      while (!this.stopping && tunnel.closeCode === null) {
        await tunnel.echo().then(
          () => this.echoes++,
          () => {},
        );
        await delay(pauseMs);
      }
      if (tunnel.closeCode !== null) this.closeCodes.push(tunnel.closeCode);
      tunnel.close();
    }
  }
}

/** @returns the status, once the response is whole. */
function sendOne(port: number, host: string, method: string, agent: Agent): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request({ port, method, agent, headers: { host } }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode ?? 0));
      response.on('error', reject);
    });
    sent.on('error', reject);
    sent.end(method === 'POST' ? 'some text' : undefined);
  });
}

/** Sends a body in parts. @returns the final response, or the failure. */
function upload(port: number, host: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    let text = '';
    const length = part.length * partsCount;
    socket.write(`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${length}\r\nConnection: close\r\n\r\n`);
    void (async () => {
      for (let count = 0; count < partsCount && !socket.destroyed; count++) {
        socket.write(part);
        await delay(pauseMs);
      }
    })();
    socket.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1');
    });
    socket.on('error', (error) => resolve(error.message));
    socket.on('close', () => resolve(text));
  });
}

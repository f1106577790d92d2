import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** Between two requests of a client, in ms: without it, a few clients keep all processors busy for as long as a test waits. */
const pauseMs = 10;

/** Clients that send one request after the other and never retry: failures are counted. */
export class SteadyLoad {
  answered = 0;
  readonly failures: string[] = [];
  private stopping = false;
  private readonly port: number;
  private readonly hosts: readonly string[];
  private asked = 0;
  private readonly clients: Promise<void>[];

  /**
   * @param hosts one or several, requested in turn.
   * @param keepAlive number of clients that reuse their connection; `fresh` is for those that open a new one each time.
   */
  constructor(port: number, hosts: string | readonly string[], keepAlive: number, fresh: number) {
    this.port = port;
    this.hosts = typeof hosts === 'string' ? [hosts] : hosts;
    this.clients = Array.from({ length: keepAlive + fresh }, (_, index) => this.ask(index < keepAlive));
  }

  /** Lets the active requests end. */
  async stop(): Promise<void> {
    this.stopping = true;
    await Promise.all(this.clients);
  }

  private async ask(keepAlive: boolean): Promise<void> {
    let socket: Socket | null = null;
    while (!this.stopping) {
      const used: Socket = socket ?? connect({ host: '127.0.0.1', port: this.port, noDelay: true });
      const response = await askOn(used, this.hosts[this.asked++ % this.hosts.length] as string);
      const isWhole = /^HTTP\/1\.1 200 /.test(response);
      if (isWhole) this.answered++;
      else this.failures.push(response);
      const goesOn = isWhole && keepAlive && !/\r\nConnection: close\r\n/i.test(response);
      if (!goesOn) used.destroy();
      socket = goesOn ? used : null;
      await delay(pauseMs);
    }
    socket?.destroy();
  }
}

/** Sends a request for `host` on a connection. @returns the whole response, or the failure within 30 s. */
export function askOn(socket: Socket, host: string): Promise<string> {
  // No event comes from a socket that has ended before.
  if (socket.destroyed) return Promise.resolve('closed before the request');
  return new Promise((resolve) => {
    let text = '';
    const timer = setTimeout(() => end(`no whole response within 30 s, but ${JSON.stringify(text)}`), 30_000);
    const end = (outcome: string): void => {
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on('error', () => {});
      resolve(outcome);
    };
    socket.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1');
      const [head = '', body] = text.split('\r\n\r\n');
      const length = Number(/\r\nContent-Length: (\d+)/i.exec(head)?.[1] ?? 0);
      if (body !== undefined && body.length >= length) end(text);
    });
    socket.on('error', (error) => end(error.message));
    socket.on('close', () => end(`closed after ${JSON.stringify(text)}`));
    socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  });
}

import { once } from 'node:events';
import { connect } from 'node:net';
import { ServerProcess } from './server-process.ts';
import { startOnFreePorts } from './start-on-free-ports.ts';
import { until } from './until.ts';

/** A memcached server on a port that stays the same. It forgets everything when it stops. */
export class MemcachedServer {
  readonly port: number;
  private readonly args: readonly string[];
  private running: ServerProcess | null = null;

  private constructor(port: number, args: readonly string[]) {
    this.port = port;
    this.args = args;
  }

  /** @param args further arguments. */
  static start(...args: readonly string[]): Promise<MemcachedServer> {
    return startOnFreePorts(1, ([port = 0]) => new MemcachedServer(port, args));
  }

  get url(): string {
    return `memcached://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const args = ['-l', '127.0.0.1', '-p', String(this.port), '-U', '0', '-u', 'nobody', ...this.args];
    this.running = new ServerProcess(['memcached', ...args]);
    const isVersion = (reply: string) => reply.startsWith('VERSION ');
    await this.running.ready(() => this.command('version').then(isVersion, () => false));
  }

  signal(signal: NodeJS.Signals): void {
    this.running?.signal(signal);
  }

  /** Stores a value as another program does. */
  async set(key: string, value: string): Promise<void> {
    await this.command(`set ${key} 2 0 ${Buffer.byteLength(value)}\r\n${value}`);
  }

  /** Sends a command on a connection of its own. @returns the first line of the reply. */
  async command(text: string): Promise<string> {
    const socket = connect({ host: '127.0.0.1', port: this.port });
    try {
      let reply = '';
      socket.setEncoding('utf8').on('data', (data: string) => {
        reply += data;
      });
      await once(socket, 'connect');
      socket.on('error', () => {});
      socket.write(`${text}\r\n`);
      await until(`the reply to ${text.slice(0, 50)}`, () => {
        const isWhole = reply.includes('\r\n');
        if (!isWhole && socket.destroyed) throw new Error('memcached closed the connection');
        return isWhole;
      });
      return reply.slice(0, reply.indexOf('\r\n'));
    } finally {
      socket.destroy();
    }
  }

  async stop(): Promise<void> {
    const { running } = this;
    this.running = null;
    await running?.stop('SIGTERM');
  }

  /** It has no files. */
  remove(): Promise<void> {
    return this.stop();
  }
}

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { freePort } from './free-port.ts';
import { until } from './until.ts';

/** A memcached server on a port that stays the same. It forgets everything when it stops. */
export class MemcachedServer {
  readonly port: number;
  private readonly args: readonly string[];
  private child: ChildProcess | null = null;

  private constructor(port: number, args: readonly string[]) {
    this.port = port;
    this.args = args;
  }

  /** @param args further arguments. */
  static async start(...args: readonly string[]): Promise<MemcachedServer> {
    const server = new MemcachedServer(await freePort(), args);
    await server.start();
    return server;
  }

  get url(): string {
    return `memcached://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const args = ['-l', '127.0.0.1', '-p', String(this.port), '-U', '0', '-u', 'nobody', ...this.args];
    this.child = spawn('memcached', args, { stdio: 'ignore' });
    await until('memcached to accept connections', () => this.command('version').then(Boolean, () => false));
  }

  signal(signal: NodeJS.Signals): void {
    this.child?.kill(signal);
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
      socket.write(`${text}\r\n`);
      await until(`the reply to ${text.slice(0, 50)}`, () => reply.includes('\r\n'));
      return reply.slice(0, reply.indexOf('\r\n'));
    } finally {
      socket.destroy();
    }
  }

  async stop(): Promise<void> {
    const { child } = this;
    this.child = null;
    if (child === null || child.exitCode !== null) return;
    const closed = once(child, 'close');
    child.kill('SIGCONT');
    child.kill('SIGTERM');
    await closed;
  }
}

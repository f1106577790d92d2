import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

// Listens with the shortest queue, reports its port, and never accepts again: its event loop is blocked.
const program = `
const server = require('node:net').createServer();
server.listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => {
  require('node:fs').writeSync(1, server.address().port + '\\n');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
});`;

/** A backend that neither accepts nor refuses connections, like a machine that is overloaded or has gone. */
export class DeafBackend {
  readonly url: string;
  private readonly process: ChildProcess;
  private readonly sockets: readonly Socket[];

  private constructor(process: ChildProcess, sockets: readonly Socket[], port: number) {
    this.process = process;
    this.sockets = sockets;
    this.url = `http://127.0.0.1:${port}`;
  }

  static async start(): Promise<DeafBackend> {
    const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = await once(child.stdout, 'data');
    const port = Number(line);
    // Linux queues one connection more than the queue has places, then drops further attempts.
    const sockets: Socket[] = [];
    for (let count = 0; count < 2; count++) {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => {});
      sockets.push(socket);
      await once(socket, 'connect');
    }
    return new DeafBackend(child, sockets, port);
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    const exit = once(this.process, 'exit');
    this.process.kill('SIGKILL');
    await exit;
  }
}

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Addresses of a machine; another one of this network is ours. */
const addressesEach = 2;
let machines = 0;

/**
 * A machine for servers, reached over a network: a network namespace with several addresses. Each can be cut off: packets
 * from and to it are dropped, so nobody is told. Needs root.
 */
export class RemoteMachine {
  readonly addresses: readonly string[];
  private readonly name: string;
  private readonly link: string;
  private readonly own: string;

  private constructor() {
    const number = machines++;
    this.name = `hipache-${process.pid}-${number}`;
    this.link = `hip${process.pid}x${number}`;
    // A network of eight addresses below 198.18.0.0/15, which RFC 2544 reserves for tests; another one for each machine.
    const network = ((198 << 24) | (18 << 16) | (((process.pid * 4 + (number % 4)) % (1 << 14)) << 3)) >>> 0;
    const address = (host: number): string => [24, 16, 8, 0].map((bits) => ((network | host) >>> bits) & 255).join('.');
    this.own = address(1);
    this.addresses = Array.from({ length: addressesEach }, (_, index) => address(2 + index));
  }

  static async start(): Promise<RemoteMachine> {
    const machine = new RemoteMachine();
    try {
      await machine.connect();
      return machine;
    } catch (error) {
      await machine.remove().catch(() => {});
      throw error;
    }
  }

  /** The command that runs `command` on it; its process id is that of the program. */
  command(command: string, ...args: readonly string[]): readonly [string, ...string[]] {
    return ['ip', 'netns', 'exec', this.name, command, ...args];
  }

  /** Drops all packets from and to an address, without a word to anybody. */
  async cut(address: string): Promise<void> {
    await this.run('iptables', '-A', 'INPUT', '-d', address, '-j', 'DROP');
    await this.run('iptables', '-A', 'OUTPUT', '-s', address, '-j', 'DROP');
  }

  async join(address: string): Promise<void> {
    await this.run('iptables', '-D', 'INPUT', '-d', address, '-j', 'DROP');
    await this.run('iptables', '-D', 'OUTPUT', '-s', address, '-j', 'DROP');
  }

  /** Its programs must have ended. */
  async remove(): Promise<void> {
    // The link ends with the namespace, but only once the kernel has come to it.
    await run('ip', ['link', 'delete', this.link]).catch(() => {});
    await run('ip', ['netns', 'delete', this.name]);
  }

  private async connect(): Promise<void> {
    const { name, link } = this;
    await run('ip', ['netns', 'add', name]);
    await run('ip', ['link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name]);
    await run('ip', ['address', 'add', `${this.own}/29`, 'dev', link]);
    await run('ip', ['link', 'set', link, 'up']);
    for (const address of this.addresses) await this.run('ip', 'address', 'add', `${address}/29`, 'dev', 'eth0');
    for (const device of ['lo', 'eth0']) await this.run('ip', 'link', 'set', device, 'up');
  }

  private async run(command: string, ...args: readonly string[]): Promise<void> {
    const [program, ...all] = this.command(command, ...args);
    await run(program, all);
  }
}

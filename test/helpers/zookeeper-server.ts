import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { until } from './until.ts';

const jar = '/usr/share/java/zookeeper.jar';

/** One server of an ensemble, on ports that stay the same. */
export class ZooKeeperMember {
  readonly port: number;
  private readonly directory: string;
  private child: ChildProcess | null = null;
  private output = '';

  constructor(directory: string, port: number) {
    this.directory = directory;
    this.port = port;
  }

  /** Starts it with the data that it has. */
  start(): void {
    const args = [
      '-Xmx128m',
      '-XX:TieredStopAtLevel=1',
      '-XX:+UseSerialGC',
      '-Djute.maxbuffer=4194304',
      ...['-cp', `${this.directory}:${jar}`, 'org.apache.zookeeper.server.quorum.QuorumPeerMain'],
      join(this.directory, 'zoo.cfg'),
    ];
    this.output = '';
    const child = spawn('java', args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (bytes: Buffer) => {
        this.output = (this.output + bytes.toString()).slice(-5000);
      });
    }
  }

  /** Removes its data while it is stopped. */
  wipe(): void {
    rmSync(join(this.directory, 'data', 'version-2'), { recursive: true, force: true });
  }

  /** Waits until it serves clients, which it does only with a majority. */
  async ready(): Promise<void> {
    await until(
      'zookeeper to serve',
      () => {
        if (this.child?.exitCode !== null) throw new Error(`zookeeper ended: ${this.output}`);
        return this.ask('ruok').then(
          async () => /Mode: (standalone|leader|follower)/.test(await this.ask('srvr')),
          () => false,
        );
      },
      60_000,
    );
  }

  /** The reply to a command of four letters. */
  async ask(command: string): Promise<string> {
    const socket = connect({ host: '127.0.0.1', port: this.port });
    let reply = '';
    socket.setEncoding('utf8').on('data', (data: string) => {
      reply += data;
    });
    // A server that is starting may accept a connection and leave it alone.
    socket.setTimeout(1000, () => socket.destroy());
    socket.end(command);
    await once(socket, 'close');
    return reply;
  }

  signal(signal: NodeJS.Signals): void {
    this.child?.kill(signal);
  }

  async stop(): Promise<void> {
    const { child } = this;
    this.child = null;
    if (child === null || child.exitCode !== null) return;
    const closed = once(child, 'close');
    child.kill('SIGKILL');
    await closed;
  }
}

/** A ZooKeeper ensemble in a temporary directory. */
export class ZooKeeperServer {
  readonly members: readonly ZooKeeperMember[];
  private readonly directory: string;

  private constructor(directory: string, members: readonly ZooKeeperMember[]) {
    this.directory = directory;
    this.members = members;
  }

  /** @param count of its servers. @param sessionMaxMs after which a session ends whose client is silent. */
  static async start(count = 1, sessionMaxMs = 60_000): Promise<ZooKeeperServer> {
    const directory = mkdtempSync(join(tmpdir(), 'hipache-zookeeper-'));
    const ports: number[] = [];
    while (ports.length < 3 * count) ports.push(await freePort());
    const list = Array.from(
      { length: count },
      (_, i) => `server.${i + 1}=127.0.0.1:${ports[3 * i + 1]}:${ports[3 * i + 2]}`,
    );
    const members = Array.from({ length: count }, (_, i) => {
      const own = join(directory, String(i + 1));
      mkdirSync(join(own, 'data'), { recursive: true });
      writeFileSync(join(own, 'data', 'myid'), String(i + 1));
      const lines = [
        'tickTime=500',
        'initLimit=20',
        'syncLimit=10',
        'minSessionTimeout=1000',
        `maxSessionTimeout=${sessionMaxMs}`,
        'admin.enableServer=false',
        '4lw.commands.whitelist=*',
        'forceSync=no',
        `dataDir=${join(own, 'data')}`,
        `clientPort=${ports[3 * i]}`,
        'clientPortAddress=127.0.0.1',
        ...(count > 1 ? list : []),
      ];
      writeFileSync(join(own, 'zoo.cfg'), lines.map((line) => `${line}\n`).join(''));
      return new ZooKeeperMember(own, ports[3 * i] as number);
    });
    for (const member of members) member.start();
    for (const member of members) await member.ready();
    return new ZooKeeperServer(directory, members);
  }

  /** With all servers. */
  get url(): string {
    return `zookeeper://${this.members.map(({ port }) => `127.0.0.1:${port}`).join(',')}`;
  }

  async remove(): Promise<void> {
    for (const member of this.members) await member.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

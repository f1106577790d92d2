import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServerProcess } from './server-process.ts';
import { startOnFreePorts } from './start-on-free-ports.ts';

/** Without the second it logs nothing, not even why it ends. */
const jars = ['/usr/share/java/zookeeper.jar', '/usr/share/java/slf4j-simple.jar'];

/** One server of an ensemble, on ports that stay the same. */
export class ZooKeeperMember {
  readonly port: number;
  private readonly directory: string;
  private running: ServerProcess | null = null;

  constructor(directory: string, port: number) {
    this.directory = directory;
    this.port = port;
  }

  /** Starts it with the data that it has. */
  start(): void {
    this.running = new ServerProcess([
      'java',
      '-Xmx128m',
      '-XX:TieredStopAtLevel=1',
      '-XX:+UseSerialGC',
      '-Djute.maxbuffer=4194304',
      '-Dorg.slf4j.simpleLogger.defaultLogLevel=error',
      ...['-cp', [this.directory, ...jars].join(':'), 'org.apache.zookeeper.server.quorum.QuorumPeerMain'],
      join(this.directory, 'zoo.cfg'),
    ]);
  }

  /** Removes its data while it is stopped. */
  wipe(): void {
    rmSync(join(this.directory, 'data', 'version-2'), { recursive: true, force: true });
  }

  /** Waits until it serves clients, which it does only with a majority. */
  async ready(): Promise<void> {
    if (this.running === null) throw new Error('zookeeper is not started');
    const isServing = (answer: string) => /Mode: (standalone|leader|follower)/.test(answer);
    await this.running.ready(() => this.ask('srvr').then(isServing, () => false), 60_000);
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
    this.running?.signal(signal);
  }

  async stop(): Promise<void> {
    const { running } = this;
    this.running = null;
    await running?.stop();
  }
}

/** A ZooKeeper ensemble in a temporary directory. */
export class ZooKeeperServer {
  readonly members: readonly ZooKeeperMember[];
  private readonly directory = mkdtempSync(join(tmpdir(), 'hipache-zookeeper-'));

  /** @param ports of the clients, the leader and the elections: three for each server. */
  private constructor(ports: readonly number[], sessionMaxMs: number) {
    const count = ports.length / 3;
    const list = Array.from(
      { length: count },
      (_, i) => `server.${i + 1}=127.0.0.1:${ports[3 * i + 1]}:${ports[3 * i + 2]}`,
    );
    this.members = Array.from({ length: count }, (_, i) => {
      const own = join(this.directory, String(i + 1));
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
  }

  /** @param count of its servers. @param sessionMaxMs after which a session ends whose client is silent. */
  static start(count = 1, sessionMaxMs = 60_000): Promise<ZooKeeperServer> {
    return startOnFreePorts(3 * count, (ports) => new ZooKeeperServer(ports, sessionMaxMs));
  }

  async start(): Promise<void> {
    for (const member of this.members) member.start();
    await Promise.all(this.members.map((member) => member.ready()));
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

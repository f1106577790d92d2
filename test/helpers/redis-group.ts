import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RedisServer } from './redis-server.ts';
import { ServerProcess } from './server-process.ts';
import { startOnFreePorts } from './start-on-free-ports.ts';
import { until } from './until.ts';

/** The name of the group. */
const name = 'routes';

/** Two Redis servers, and three sentinels that replace a primary within about a second. */
export class RedisGroup {
  readonly servers: RedisServer[] = [];
  readonly sentinelPorts: readonly number[];
  private readonly directory = mkdtempSync(join(tmpdir(), 'hipache-sentinels-'));
  private readonly sentinels: ServerProcess[] = [];
  private readonly config: readonly string[];

  private constructor(ports: readonly number[], config: readonly string[]) {
    this.sentinelPorts = ports;
    this.config = config;
  }

  /** @param config further directives of the servers. */
  static start(config: readonly string[] = []): Promise<RedisGroup> {
    return startOnFreePorts(3, (ports) => new RedisGroup(ports, config));
  }

  async start(): Promise<void> {
    const { config } = this;
    for (let count = 0; count < 2; count++) this.servers.push(await RedisServer.start({ config }));
    const [primary, replica] = this.servers as [RedisServer, RedisServer];
    await replica.cli('replicaof', '127.0.0.1', String(primary.port));
    await until('the replica', async () =>
      (await replica.cli('info', 'replication')).includes('master_link_status:up'),
    );
    for (const [i, port] of this.sentinelPorts.entries()) {
      const file = join(this.directory, `sentinel${i}.conf`);
      const lines = [
        `port ${port}`,
        'bind 127.0.0.1',
        `dir ${this.directory}`,
        `sentinel monitor ${name} 127.0.0.1 ${primary.port} 2`,
        `sentinel down-after-milliseconds ${name} 500`,
        `sentinel failover-timeout ${name} 3000`,
      ];
      writeFileSync(file, lines.map((line) => `${line}\n`).join(''));
      this.sentinels.push(new ServerProcess(['redis-server', file, '--sentinel']));
    }
    for (const sentinel of this.sentinels) await sentinel.ready(() => sentinel.output.includes('+monitor'));
    await until('the sentinels to know each other', async () => {
      const states = await Promise.all(this.sentinelPorts.map((port) => this.ask(port, 'sentinel', 'master', name)));
      return states.every(
        (state) => /num-other-sentinels\n2\n/.test(`${state}\n`) && /num-slaves\n1\n/.test(`${state}\n`),
      );
    });
  }

  get url(): string {
    return `redis+sentinel://${this.sentinelPorts.map((port) => `127.0.0.1:${port}`).join(',')}/${name}`;
  }

  /** The server that the sentinels name. */
  async primary(): Promise<RedisServer> {
    const [port = 0] = this.sentinelPorts;
    const [, primaryPort] = (await this.ask(port, 'sentinel', 'get-master-addr-by-name', name)).split('\n');
    const found = this.servers.find((server) => server.port === Number(primaryPort));
    if (found === undefined) throw new Error(`no server at ${primaryPort}`);
    return found;
  }

  /** Makes the sentinels replace a primary that is well. */
  async failOver(): Promise<void> {
    await this.ask(this.sentinelPorts[0] ?? 0, 'sentinel', 'failover', name);
  }

  /** redis-cli at a sentinel; empty if it does not respond. */
  private async ask(port: number, ...args: readonly string[]): Promise<string> {
    const child = spawn('redis-cli', ['-p', String(port), ...args], { stdio: ['ignore', 'pipe', 'ignore'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    await once(child, 'close');
    return output;
  }

  async remove(): Promise<void> {
    for (const sentinel of this.sentinels) await sentinel.stop();
    for (const server of this.servers) await server.remove();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

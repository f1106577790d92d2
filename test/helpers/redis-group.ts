import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { RedisServer } from './redis-server.ts';
import { until } from './until.ts';

/** The name of the group. */
const name = 'routes';

/** Two Redis servers, and three sentinels that replace a primary within about a second. */
export class RedisGroup {
  readonly servers: readonly RedisServer[];
  readonly sentinelPorts: readonly number[];
  private readonly directory = mkdtempSync(join(tmpdir(), 'hipache-sentinels-'));
  private readonly sentinels: ChildProcess[] = [];

  private constructor(servers: readonly RedisServer[], ports: readonly number[]) {
    this.servers = servers;
    this.sentinelPorts = ports;
  }

  /** @param config further directives of the servers. */
  static async start(config: readonly string[] = []): Promise<RedisGroup> {
    const servers = [await RedisServer.start({ config }), await RedisServer.start({ config })];
    const [primary, replica] = servers as [RedisServer, RedisServer];
    await replica.cli('replicaof', '127.0.0.1', String(primary.port));
    await until('the replica', async () =>
      (await replica.cli('info', 'replication')).includes('master_link_status:up'),
    );
    const group = new RedisGroup(servers, [await freePort(), await freePort(), await freePort()]);
    for (const [i, port] of group.sentinelPorts.entries()) {
      const file = join(group.directory, `sentinel${i}.conf`);
      const lines = [
        `port ${port}`,
        'bind 127.0.0.1',
        `dir ${group.directory}`,
        `sentinel monitor ${name} 127.0.0.1 ${primary.port} 2`,
        `sentinel down-after-milliseconds ${name} 500`,
        `sentinel failover-timeout ${name} 3000`,
      ];
      writeFileSync(file, lines.map((line) => `${line}\n`).join(''));
      group.sentinels.push(spawn('redis-server', [file, '--sentinel'], { stdio: 'ignore' }));
    }
    await until('the sentinels to know each other', async () => {
      const states = await Promise.all(group.sentinelPorts.map((port) => group.ask(port, 'sentinel', 'master', name)));
      return states.every(
        (state) => /num-other-sentinels\n2\n/.test(`${state}\n`) && /num-slaves\n1\n/.test(`${state}\n`),
      );
    });
    return group;
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
    for (const sentinel of this.sentinels) {
      const closed = once(sentinel, 'close');
      sentinel.kill('SIGKILL');
      await closed;
    }
    for (const server of this.servers) await server.remove();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

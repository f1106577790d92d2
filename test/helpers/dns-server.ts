import { createSocket, type Socket } from 'node:dgram';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { findProgram } from '../../scripts/servers.ts';
import { ServerProcess } from './server-process.ts';
import { startOnFreePorts } from './start-on-free-ports.ts';
import { until } from './until.ts';

export interface DnsServerOptions {
  /** Of every record. Default: 1. */
  readonly ttlSeconds?: number;
  /** Names, and all below them, whose queries are never answered. */
  readonly unanswered?: readonly string[];
  /** Alias to name. */
  readonly aliases?: Readonly<Record<string, string>>;
}

/** dnsmasq on a port of 127.0.0.1 that stays the same, for names below `test`. It knows nothing of this machine. */
export class DnsServer {
  readonly port: number;
  private readonly directory = mkdtempSync(join(tmpdir(), 'hipache-dns-'));
  private readonly options: DnsServerOptions;
  /** Receives the queries for unanswered names. */
  private readonly silent: Socket = createSocket('udp4');
  private readonly silentPort: Promise<number>;
  private unansweredQueries = 0;
  private records: Readonly<Record<string, readonly string[]>>;
  private running: ServerProcess | null = null;
  /** Of its former processes. */
  private formerOutput = '';

  private constructor(port: number, records: Readonly<Record<string, readonly string[]>>, options: DnsServerOptions) {
    this.port = port;
    this.records = records;
    this.options = options;
    this.silent.on('message', () => {
      this.unansweredQueries++;
    });
    this.silentPort = new Promise((resolve) => {
      this.silent.bind(0, '127.0.0.1', () => resolve(this.silent.address().port));
    });
  }

  static start(
    records: Readonly<Record<string, readonly string[]>>,
    options: DnsServerOptions = {},
  ): Promise<DnsServer> {
    return startOnFreePorts(1, ([port = 0]) => new DnsServer(port, records, options));
  }

  /** As in the configuration: `127.0.0.1:5353`. */
  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Queries that it received for the unanswered names. */
  get unanswered(): number {
    return this.unansweredQueries;
  }

  /** Queries that it received for a name, of any type. */
  queries(name: string): number {
    return this.output.split(/\n/).filter((line) => / query\[\w+\] (\S+) from /.exec(line)?.[1] === name).length;
  }

  /** Replaces all addresses. If it is not running, it has them when it starts. */
  async set(records: Readonly<Record<string, readonly string[]>>): Promise<void> {
    this.records = records;
    this.writeRecords();
    if (this.running === null) return;
    const read = this.reads;
    this.running.signal('SIGHUP');
    this.thaw();
    await until('dnsmasq to read its records again', () => this.reads > read);
  }

  /** Starts it, on the same port as before. */
  async start(): Promise<void> {
    this.writeRecords();
    const silentPort = await this.silentPort;
    const { ttlSeconds = 1, unanswered = [], aliases = {} } = this.options;
    const args = [
      '--keep-in-foreground',
      '--conf-file=/dev/null',
      '--pid-file=',
      `--user=${userInfo().username}`,
      '--no-resolv',
      '--no-hosts',
      '--no-poll',
      '--log-queries',
      '--log-facility=-',
      '--listen-address=127.0.0.1',
      '--bind-interfaces',
      `--port=${this.port}`,
      `--addn-hosts=${this.file}`,
      `--local-ttl=${ttlSeconds}`,
      '--local=/test/',
      ...unanswered.map((name) => `--server=/${name}/127.0.0.1#${silentPort}`),
      ...Object.entries(aliases).map(([alias, name]) => `--cname=${alias},${name}`),
    ];
    const read = this.reads;
    const running = new ServerProcess([findProgram('dnsmasq') ?? 'dnsmasq', ...args]);
    this.running = running;
    await running.ready(() => this.reads > read);
  }

  /** Kills it: its port refuses queries. */
  async kill(): Promise<void> {
    const { running } = this;
    if (running === null) return;
    await running.stop();
    this.formerOutput += running.output;
    this.running = null;
  }

  /** Suspends it (SIGSTOP), so that it receives queries but does not reply. */
  freeze(): void {
    this.running?.signal('SIGSTOP');
  }

  thaw(): void {
    this.running?.signal('SIGCONT');
  }

  /** Ends it and removes its directory. */
  async remove(): Promise<void> {
    await this.kill();
    this.silent.close();
    rmSync(this.directory, { recursive: true, force: true });
  }

  private get file(): string {
    return join(this.directory, 'records');
  }

  private get output(): string {
    return this.formerOutput + (this.running?.output ?? '');
  }

  /** How often it has read its records. */
  private get reads(): number {
    return this.output.split(`read ${this.file} - `).length;
  }

  private writeRecords(): void {
    const lines = Object.entries(this.records).flatMap(([name, addresses]) =>
      addresses.map((address) => `${address} ${name}\n`),
    );
    writeFileSync(this.file, lines.join(''));
  }
}

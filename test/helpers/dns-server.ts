import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { findProgram } from '../../scripts/servers.ts';
import { freePort } from './free-port.ts';
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
  private unansweredQueries = 0;
  private records: Readonly<Record<string, readonly string[]>> = {};
  private child: ChildProcess | null = null;
  private output = '';

  private constructor(port: number, options: DnsServerOptions) {
    this.port = port;
    this.options = options;
  }

  static async start(
    records: Readonly<Record<string, readonly string[]>>,
    options: DnsServerOptions = {},
  ): Promise<DnsServer> {
    const server = new DnsServer(await freePort(), options);
    server.records = records;
    server.silent.on('message', () => {
      server.unansweredQueries++;
    });
    await new Promise<void>((resolve) => server.silent.bind(0, '127.0.0.1', resolve));
    await server.start();
    return server;
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
    if (this.child === null) return;
    const read = this.reads;
    this.child.kill('SIGHUP');
    this.thaw();
    await until('dnsmasq to read its records again', () => this.reads > read);
  }

  /** Starts it, on the same port as before. */
  async start(): Promise<void> {
    this.writeRecords();
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
      ...unanswered.map((name) => `--server=/${name}/127.0.0.1#${this.silent.address().port}`),
      ...Object.entries(aliases).map(([alias, name]) => `--cname=${alias},${name}`),
    ];
    const child = spawn(findProgram('dnsmasq') ?? 'dnsmasq', args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.child = child;
    const read = this.reads;
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (bytes: Buffer) => {
        this.output += bytes.toString();
      });
    }
    await until('dnsmasq to read its records', () => {
      if (child.exitCode !== null) throw new Error(`dnsmasq ended: ${this.output}`);
      return this.reads > read;
    });
  }

  /** Kills it: its port refuses queries. */
  async kill(): Promise<void> {
    const child = this.child;
    this.child = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  /** Suspends it (SIGSTOP), so that it receives queries but does not reply. */
  freeze(): void {
    this.child?.kill('SIGSTOP');
  }

  thaw(): void {
    this.child?.kill('SIGCONT');
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

import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { BackOff } from '../../base/back-off.ts';
import { HipacheError } from '../../base/errors.ts';
import { hostPort } from '../../base/host-port.ts';
import type { HostAndPort } from '../driver-url.ts';

/** The time-outs and pauses of a connection, in ms. */
export interface MemcachedTimings {
  readonly connectTimeoutMs: number;
  /** A connection whose oldest command has waited this long for its reply is dropped. */
  readonly replyTimeoutMs: number;
  readonly retryFirstMs: number;
  readonly retryMaxMs: number;
}

export const defaultMemcachedTimings: MemcachedTimings = {
  connectTimeoutMs: 3000,
  replyTimeoutMs: 3000,
  retryFirstMs: 100,
  retryMaxMs: 5000,
};

/** A value with the number that `cas` compares. */
export interface MemcachedItem {
  readonly value: string;
  readonly unique: string;
}

/** A complete reply: the items of a `gets`, and the line that ends it. */
interface Reply {
  readonly items: ReadonlyMap<string, MemcachedItem>;
  readonly line: string;
}

interface Command {
  readonly sentMs: number;
  resolve(reply: Reply): void;
  reject(error: HipacheError): void;
}

/** Commands that wait for their reply. A further one fails at once. */
const commandsMax = 50_000;

/**
 * One connection to a memcached server, in its text protocol (memcached's doc/protocol.txt), with commands pipelined. It
 * connects with the first command, and again with the next one after it has broken.
 *
 * The npm package memcache, the only one that is kept well, does not give the number that `cas` needs.
 */
export class MemcachedConnection {
  readonly name: string;
  private readonly server: HostAndPort;
  private readonly tls: boolean;
  private readonly timings: MemcachedTimings;
  private readonly pauses: BackOff;
  private socket: Socket | null = null;
  private connecting: Promise<Socket> | null = null;
  /** Why the last attempt failed, and until when (monotonic ms) commands fail at once. */
  private failure: { readonly error: HipacheError; readonly untilMs: number } | null = null;
  private waiting: Command[] = [];
  private received: Buffer = Buffer.alloc(0);
  private items = new Map<string, MemcachedItem>();
  private timer: NodeJS.Timeout | null = null;
  private closed = false;

  constructor(server: HostAndPort, tls: boolean, timings: MemcachedTimings) {
    this.server = server;
    this.tls = tls;
    this.timings = timings;
    this.name = `${tls ? 'memcacheds' : 'memcached'}://${hostPort(server.host, server.port)}`;
    const { retryFirstMs: firstMs, retryMaxMs: longestMs } = timings;
    this.pauses = new BackOff({ firstMs, longestMs, spread: [0.5, 1] });
  }

  /** The items of those keys that exist. */
  async gets(keys: readonly string[]): Promise<ReadonlyMap<string, MemcachedItem>> {
    if (keys.length === 0) return new Map();
    const { items, line } = await this.send(`gets ${keys.join(' ')}\r\n`);
    if (line !== 'END') throw this.refused(line);
    return items;
  }

  /**
   * Stores a value: `cas` if `unique` is given, else `add`, which only makes an item that does not exist.
   * @returns false if another program was faster.
   */
  async store(
    key: string,
    value: string,
    options: { readonly flags: number; readonly expirySeconds: number; readonly unique: string | null },
  ): Promise<boolean> {
    const { flags, expirySeconds, unique } = options;
    const length = Buffer.byteLength(value);
    const verb = unique === null ? 'add' : 'cas';
    const comparison = unique === null ? '' : ` ${unique}`;
    const { line } = await this.send(`${verb} ${key} ${flags} ${expirySeconds} ${length}${comparison}\r\n${value}\r\n`);
    if (line === 'STORED') return true;
    if (line === 'NOT_STORED' || line === 'EXISTS' || line === 'NOT_FOUND') return false;
    throw this.refused(line);
  }

  /**
   * How long the server keeps an item, in seconds; null for one that does not expire or exist. A server older than 1.6 cannot
   * tell.
   */
  async ttlSeconds(key: string): Promise<number | null> {
    const { line } = await this.send(`mg ${key} t\r\n`);
    const [, ttl] = /^HD t(\d+)$/.exec(line) ?? [];
    if (ttl !== undefined) return Number(ttl);
    if (line === 'HD t-1' || line === 'EN' || line === 'ERROR') return null;
    throw this.refused(line);
  }

  /** @returns whether there was one. */
  async delete(key: string): Promise<boolean> {
    const { line } = await this.send(`delete ${key}\r\n`);
    if (line === 'DELETED' || line === 'NOT_FOUND') return line === 'DELETED';
    throw this.refused(line);
  }

  /** Pending commands fail. Idempotent. */
  close(): void {
    this.closed = true;
    this.drop(this.unavailable('the store was closed'));
  }

  private async send(text: string): Promise<Reply> {
    const socket = this.socket ?? (await this.connect());
    if (this.waiting.length >= commandsMax) throw this.unavailable('too many commands wait for its replies');
    return new Promise<Reply>((resolve, reject) => {
      this.waiting.push({ sentMs: performance.now(), resolve, reject });
      this.timer ??= setTimeout(() => this.checkReplies(), this.timings.replyTimeoutMs);
      socket.write(text);
    });
  }

  private connect(): Promise<Socket> {
    if (this.closed) throw this.unavailable('the store was closed');
    if (this.failure !== null && performance.now() < this.failure.untilMs) throw this.failure.error;
    this.connecting ??= this.open().finally(() => {
      this.connecting = null;
    });
    return this.connecting;
  }

  private async open(): Promise<Socket> {
    const { host, port } = this.server;
    const socket = this.tls
      ? connectTls({ host, port, servername: isIP(host) === 0 ? host : '' })
      : connectTcp({ host, port, noDelay: true });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(() => reject(new Error('does not accept')), this.timings.connectTimeoutMs);
    socket.once(this.tls ? 'secureConnect' : 'connect', resolve);
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed the connection')));
    try {
      await promise;
      if (this.closed) throw new Error('the store was closed');
    } catch (error) {
      socket.on('error', () => {});
      socket.destroy();
      const shown = this.unavailable(problemOf(error as NodeJS.ErrnoException), error);
      this.failure = { error: shown, untilMs: performance.now() + this.pauses.next() };
      throw shown;
    } finally {
      clearTimeout(timer);
    }
    this.failure = null;
    this.pauses.reset();
    this.socket = socket;
    this.received = Buffer.alloc(0);
    this.items = new Map();
    socket.on('data', (bytes: Buffer) => this.onBytes(socket, bytes));
    socket.on('error', (error) => this.onEnd(socket, problemOf(error)));
    socket.on('close', () => this.onEnd(socket, 'closed the connection'));
    return socket;
  }

  private onBytes(socket: Socket, bytes: Buffer): void {
    if (socket !== this.socket) return;
    this.received = this.received.length === 0 ? bytes : Buffer.concat([this.received, bytes]);
    for (;;) {
      const end = this.received.indexOf('\r\n');
      if (end === -1) return;
      const line = this.received.toString('latin1', 0, end);
      const item = /^VALUE (\S+) \d+ (\d+) (\d+)$/.exec(line);
      if (item === null) {
        this.received = this.received.subarray(end + 2);
        this.onLine(line);
        continue;
      }
      const [, key = '', length = '', unique = ''] = item;
      const start = end + 2;
      const stop = start + Number(length);
      if (this.received.length < stop + 2) return;
      // Keys are UTF-8 as well.
      this.items.set(Buffer.from(key, 'latin1').toString(), {
        value: this.received.toString('utf8', start, stop),
        unique,
      });
      this.received = this.received.subarray(stop + 2);
    }
  }

  private onLine(line: string): void {
    const command = this.waiting.shift();
    if (command === undefined) {
      this.drop(this.unavailable('sent a reply that nobody asked for'));
      return;
    }
    const { items } = this;
    this.items = new Map();
    command.resolve({ items, line });
  }

  private onEnd(socket: Socket, problem: string): void {
    if (socket === this.socket) this.drop(this.unavailable(problem));
  }

  private checkReplies(): void {
    this.timer = null;
    const [oldest] = this.waiting;
    if (oldest === undefined) return;
    const leftMs = oldest.sentMs + this.timings.replyTimeoutMs - performance.now();
    if (leftMs > 0) this.timer = setTimeout(() => this.checkReplies(), leftMs);
    else this.drop(this.unavailable(`has not replied for ${this.timings.replyTimeoutMs} ms`));
  }

  private drop(error: HipacheError): void {
    const { socket, waiting } = this;
    this.socket = null;
    this.waiting = [];
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    socket?.destroy();
    for (const command of waiting) command.reject(error);
  }

  private refused(line: string): HipacheError {
    if (/too large/i.test(line)) {
      return new HipacheError('STORE_FULL', `${this.name}: the record is larger than its items may be (memcached -I)`);
    }
    if (/out of memory/i.test(line)) {
      return new HipacheError('STORE_FULL', `${this.name}: its memory is used up; the change was not made`);
    }
    return this.unavailable(`refuses a command (${line})`);
  }

  private unavailable(problem: string, cause?: unknown): HipacheError {
    return new HipacheError('STORE_UNAVAILABLE', `${this.name}: ${problem}`, { cause });
  }
}

function problemOf(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'ECONNREFUSED':
      return 'refuses the connection: no server runs there';
    case 'ENOTFOUND':
      return 'its name is unknown';
    default:
      return error.message;
  }
}

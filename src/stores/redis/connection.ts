import { RESP_TYPES } from '@redis/client';
import { BackOff } from '../../base/back-off.ts';
import { HipacheError } from '../../base/errors.ts';
import { within } from '../../base/timer.ts';
import type { HostAndPort } from '../driver-url.ts';
import { newClient } from './client.ts';
import type { RedisEndpoint } from './endpoint.ts';
import { isTooOld, isUserRefused, redisError } from './errors.ts';

/** A command with its arguments. */
export type RedisCommand = readonly string[];

/** The time-outs and pauses of a connection, in ms. */
export interface RedisTimings {
  /** For one attempt, until the server accepts commands. */
  readonly connectTimeoutMs: number;
  /** Pause between two pings. */
  readonly pingEveryMs: number;
  /** A connection without a reply for this long counts as lost. */
  readonly replyTimeoutMs: number;
  /** First and longest pause between two attempts to connect; see `BackOff`. */
  readonly retryFirstMs: number;
  readonly retryMaxMs: number;
  /** How long a replica may take to receive a write from its primary. */
  readonly replicaTimeoutMs: number;
}

export const defaultRedisTimings: RedisTimings = {
  connectTimeoutMs: 5000,
  pingEveryMs: 1000,
  replyTimeoutMs: 3000,
  retryFirstMs: 100,
  retryMaxMs: 5000,
  replicaTimeoutMs: 5000,
};

/** The spread of the pauses, none longer than the longest: the workers of a fleet must not come back all at once. */
const retrySpread = [0.5, 1] as const;
/** Commands that wait to be sent, or for their reply. A further one fails at once. */
const commandsMax = 50_000;

export interface RedisConnectionOptions {
  readonly endpoint: RedisEndpoint;
  readonly timings: RedisTimings;
  /** Whether the server reports changes. */
  readonly tracking: boolean;
  /** Beginnings of the keys whose changes it reports. */
  readonly reported?: readonly string[];
  /** Finds the server before each attempt to connect; without it, the endpoint names it. */
  readonly locate?: (() => Promise<HostAndPort>) | undefined;
}

export interface RedisConnectionEvents {
  /** The connection accepts commands. */
  ready(): void;
  /** The connection was ready and has broken. */
  lost(error: HipacheError): void;
  /** An attempt to connect failed; the next one follows after a pause. */
  failed(error: HipacheError): void;
  /** The value of a key may have changed; null: of any key. */
  changed(key: string | null): void;
  /** The server refused the user of the URL, and accepts the password alone. Called for each new connection. */
  userIgnored(): void;
}

interface Client {
  connect(): Promise<unknown>;
  destroy(): void;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'invalidate', listener: (key: Buffer | string | null) => void): unknown;
  sendCommand(command: readonly string[]): Promise<unknown>;
}

/**
 * One connection to a Redis server. When it breaks, a new one is opened, with a new client of the library, so that
 * nothing an earlier one had read counts as tracked. Pings detect a server that hangs; its connection is dropped.
 *
 * The server reports every change of the keys that begin in certain ways (BCAST). The other way, to report only the keys
 * that were read here, makes it remember them: 200 MB for two workers with 1,000,000 keys, beyond which it forgets any
 * (`tracking-table-max-keys`) and reports them as changed, and another key for each unknown name that a client makes up.
 */
export class RedisConnection {
  readonly endpoint: RedisEndpoint;
  private readonly timings: RedisTimings;
  private readonly events: RedisConnectionEvents;
  private readonly locate: (() => Promise<HostAndPort>) | undefined;
  private readonly reported: readonly string[];
  private tracking: boolean;
  private isTracked = false;
  private client: Client | null = null;
  private sessions = 0;
  private lastError: HipacheError;
  private timer: NodeJS.Timeout | null = null;
  private readonly pauses: BackOff;
  private closed = false;
  /** The outcome of the current or the last attempt. */
  private attempt: Promise<HipacheError | null>;

  /** Starts to connect at once. */
  constructor(options: RedisConnectionOptions, events: RedisConnectionEvents) {
    this.endpoint = options.endpoint;
    this.timings = options.timings;
    this.tracking = options.tracking;
    this.reported = options.reported ?? [];
    this.locate = options.locate;
    this.events = events;
    const { retryFirstMs: firstMs, retryMaxMs: longestMs } = options.timings;
    this.pauses = new BackOff({ firstMs, longestMs, spread: retrySpread });
    this.lastError = this.unavailable('is not connected yet');
    this.attempt = this.connect();
  }

  get ready(): boolean {
    return this.client !== null;
  }

  /** Whether the server tracks what is read now. */
  get tracked(): boolean {
    return this.ready && this.isTracked;
  }

  /** Rises with each connection to the server. */
  get session(): number {
    return this.sessions;
  }

  /** The servers that keep records: this one. */
  get servers(): readonly RedisConnection[] {
    return [this];
  }

  /** Why it is not ready. */
  get error(): HipacheError {
    return this.lastError;
  }

  /** The outcome of the current or the last attempt to connect: an error, or null for success. */
  attempted(): Promise<HipacheError | null> {
    return this.attempt;
  }

  /** Tries to connect at once, unless an attempt is under way. */
  retryNow(): Promise<HipacheError | null> {
    if (this.timer !== null && this.client === null && !this.closed) {
      clearTimeout(this.timer);
      this.timer = null;
      this.attempt = this.connect();
    }
    return this.attempt;
  }

  /** Makes the server report changes from now on, with a new connection if necessary. */
  async track(): Promise<void> {
    if (!this.tracking) {
      this.tracking = true;
      await this.attempt;
      if (this.client !== null) this.drop(this.unavailable('is reconnecting in order to track changes'));
      await this.retryNow();
      return;
    }
    await this.attempt;
  }

  /**
   * Sends commands together. Resolves with their replies, each of which may be an error of the server.
   * @throws HipacheError if there is no connection, or if it breaks.
   */
  async send(commands: readonly RedisCommand[]): Promise<unknown[]> {
    const client = this.client;
    if (client === null) throw this.lastError;
    const replies = await Promise.all(
      commands.map((command) => client.sendCommand(command).catch((error: unknown) => error)),
    );
    // When a connection ends, the library rejects pending commands with its own errors.
    if (client !== this.client) throw this.lastError;
    return replies;
  }

  /** The server reports the changes of a turn of its loop at the end of it: before the reply to a command that comes later. */
  async settled(): Promise<void> {
    const [reply] = await this.send([['PING']]);
    if (reply instanceof Error) throw redisError(reply, this.endpoint.name);
  }

  /** Keys stay at their server. */
  layout(): Promise<number> {
    return onlyLayout;
  }

  /** Drops a connection whose server does not reply; a new one is opened after a pause. */
  hung(client = this.client): void {
    if (client !== null && client === this.client) {
      this.drop(this.unavailable(`has not replied for ${this.timings.replyTimeoutMs} ms`));
    }
  }

  /** Drops the connection, since its server is not the one any more. */
  moved(problem: string): void {
    this.drop(this.unavailable(problem));
  }

  /** Pending commands fail. Idempotent. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.lastError = this.unavailable('the store was closed');
    if (this.timer !== null) clearTimeout(this.timer);
    const client = this.client;
    this.client = null;
    client?.destroy();
  }

  private async connect(): Promise<HipacheError | null> {
    try {
      const [client, tracked] = await this.open();
      if (this.closed) {
        client.destroy();
        return this.lastError;
      }
      this.client = client;
      this.sessions++;
      this.pauses.reset();
      this.pingLater(client);
      this.isTracked = tracked;
      this.events.ready();
      return null;
    } catch (cause) {
      if (this.closed) return this.lastError;
      this.lastError = redisError(cause, this.endpoint.name);
      this.retryLater();
      this.events.failed(this.lastError);
      return this.lastError;
    }
  }

  /** A client that accepts commands, and whether its server tracks changes. */
  private async open(): Promise<[client: Client, tracked: boolean]> {
    const endpoint = this.locate === undefined ? this.endpoint : { ...this.endpoint, ...(await this.locate()) };
    try {
      return await this.openAs(endpoint);
    } catch (error) {
      if (endpoint.user === null || endpoint.password === null || !isUserRefused(error)) throw error;
      return await this.openByPassword({ ...endpoint, user: null }, error);
    }
  }

  /**
   * Hipache 0.4 ignored the user of a URL and sent the password alone. A server that has `requirepass` and no such user
   * accepts that.
   * @throws `refusal`, that of user and password, unless the password is that of the default user.
   */
  private async openByPassword(endpoint: RedisEndpoint, refusal: unknown): Promise<[client: Client, tracked: boolean]> {
    try {
      // With HELLO, a default user that needs no password takes any, also that of a user who mistyped it. AUTH with one
      // argument then fails.
      (await this.openWith(endpoint, 2, false)).destroy();
    } catch {
      throw refusal;
    }
    const opened = await this.openAs(endpoint);
    this.events.userIgnored();
    return opened;
  }

  /** Redis tracks changes since version 6. */
  private async openAs(endpoint: RedisEndpoint): Promise<[client: Client, tracked: boolean]> {
    try {
      return [await this.openWith(endpoint, 3, this.tracking), this.tracking];
    } catch (error) {
      if (!isTooOld(error)) throw error;
      return [await this.openWith(endpoint, 2, false), false];
    }
  }

  private async openWith(endpoint: RedisEndpoint, protocol: 2 | 3, tracked: boolean): Promise<Client> {
    const client = makeClient(endpoint, this.timings, protocol, tracked);
    client.on('error', (error) => {
      if (client === this.client) this.drop(redisError(error, this.endpoint.name));
    });
    client.on('invalidate', (key) => {
      if (client === this.client) this.events.changed(key === null ? null : key.toString());
    });
    // A server that is loading its data accepts connections but replies to no ping.
    const connected = client.connect().then(() => this.check(client, tracked));
    try {
      await within(connected, this.timings.connectTimeoutMs, () => this.unavailable('does not reply'));
      return client;
    } catch (error) {
      client.destroy();
      // A client that is destroyed while it connects goes on connecting.
      connected.then(
        () => client.destroy(),
        () => {},
      );
      throw error;
    }
  }

  /** @throws if the server does not reply, or sentinels name a server that is not the primary yet. */
  private async check(client: Client, tracked: boolean): Promise<void> {
    const broadcasting = tracked ? broadcast(client, this.reported) : null;
    await Promise.all([client.sendCommand(['PING']), broadcasting]);
    if (this.locate === undefined) return;
    const [role] = (await client.sendCommand(['ROLE'])) as unknown[];
    if (role !== 'master') throw this.unavailable(`the server that the sentinels name is a ${String(role)} as yet`);
  }

  private pingLater(client: Client): void {
    this.timer = setTimeout(() => {
      this.timer = setTimeout(() => this.hung(client), this.timings.replyTimeoutMs);
      client.sendCommand(['PING']).then(
        () => {
          if (client !== this.client) return;
          if (this.timer !== null) clearTimeout(this.timer);
          this.pingLater(client);
        },
        (error: unknown) => {
          if (client === this.client) this.drop(redisError(error, this.endpoint.name));
        },
      );
    }, this.timings.pingEveryMs);
  }

  private drop(error: HipacheError): void {
    const client = this.client;
    if (client === null) return;
    this.client = null;
    this.lastError = error;
    if (this.timer !== null) clearTimeout(this.timer);
    this.retryLater();
    client.destroy();
    this.events.lost(error);
  }

  private retryLater(): void {
    this.timer = setTimeout(() => {
      this.timer = null;
      this.attempt = this.connect();
    }, this.pauses.next());
  }

  private unavailable(problem: string): HipacheError {
    return new HipacheError('STORE_UNAVAILABLE', `${this.endpoint.name}: ${problem}`);
  }
}

const onlyLayout = Promise.resolve(0);

/** The library has turned tracking on, in the other mode. */
async function broadcast(client: Client, prefixes: readonly string[]): Promise<void> {
  const named = prefixes.flatMap((prefix) => ['PREFIX', prefix]);
  await Promise.all([
    client.sendCommand(['CLIENT', 'TRACKING', 'OFF']),
    client.sendCommand(['CLIENT', 'TRACKING', 'ON', 'BCAST', ...named]),
  ]);
}

/** A client that connects once and queues no command while it is offline. */
function makeClient(endpoint: RedisEndpoint, timings: RedisTimings, protocol: 2 | 3, tracked: boolean): Client {
  const { host, port, path, tls } = endpoint;
  const shared = { connectTimeout: timings.connectTimeoutMs, reconnectStrategy: false as const };
  const tcp = host === null ? {} : { host, port };
  const socket = path !== null ? { ...shared, path } : tls ? { ...shared, ...tcp, tls } : { ...shared, ...tcp };
  const client: unknown = newClient({
    socket,
    RESP: protocol,
    ...(endpoint.user === null ? {} : { username: endpoint.user }),
    ...(endpoint.password === null ? {} : { password: endpoint.password }),
    ...(protocol === 3 ? { name: 'hipache' } : {}),
    ...(tracked ? { emitInvalidate: true } : {}),
    database: endpoint.database,
    commandsQueueMaxLength: commandsMax,
    // A hash as [field, value, …]: an object would lose a field named __proto__.
    commandOptions: { timeout: 0, typeMapping: { [RESP_TYPES.MAP]: Array } },
  });
  return client as Client;
}

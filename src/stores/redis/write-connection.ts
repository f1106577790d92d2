import { HipacheError } from '../../base/errors.ts';
import type { HostAndPort } from '../driver-url.ts';
import { type RedisCommand, RedisConnection, type RedisTimings } from './connection.ts';
import type { RedisEndpoint } from './endpoint.ts';
import { isDemoted, isWrongType, redisError } from './errors.ts';

export interface WriteConnectionOptions {
  readonly endpoint: RedisEndpoint;
  readonly timings: RedisTimings;
  /** As `RedisConnectionEvents.userIgnored`. */
  readonly onUserIgnored: () => void;
  /** As `RedisConnectionOptions.locate`. */
  readonly locate?: (() => Promise<HostAndPort>) | undefined;
}

/** The connection for changes to one server. It is opened for the first one. */
export class WriteConnection {
  private readonly options: WriteConnectionOptions;
  private connection: RedisConnection | null = null;
  private closed = false;

  constructor(options: WriteConnectionOptions) {
    this.options = options;
  }

  /** The name of the server. */
  get name(): string {
    return this.options.endpoint.name;
  }

  /** Rises with each connection, which watches nothing that a former one has watched. */
  get session(): number {
    return this.connection?.session ?? 0;
  }

  /** @throws HipacheError why there is no connection. */
  async open(): Promise<void> {
    const { endpoint, timings, locate, onUserIgnored } = this.options;
    this.connection ??= new RedisConnection(
      { endpoint, timings, tracking: false, locate },
      { ready: ignore, lost: ignore, failed: ignore, changed: ignore, userIgnored: onUserIgnored },
    );
    if (this.connection.ready) return;
    const error = await this.connection.retryNow();
    if (this.closed) throw new HipacheError('STORE_UNAVAILABLE', `${endpoint.name}: the store was closed`);
    if (error !== null) throw error;
  }

  /** Sends commands together. @throws HipacheError the first error among the replies; only a wrong type is passed on. */
  async send(commands: readonly RedisCommand[]): Promise<unknown[]> {
    const { connection } = this;
    const { endpoint, timings } = this.options;
    if (connection === null) throw new HipacheError('STORE_UNAVAILABLE', `${endpoint.name}: is not connected`);
    const timer = setTimeout(() => connection.hung(), timings.replyTimeoutMs);
    try {
      const replies = await connection.send(commands);
      const failed = replies.find((reply) => reply instanceof Error && !isWrongType(reply));
      if (failed === undefined) return replies;
      // The next edit must not fail because of the keys that this one watches.
      await connection.send([['DISCARD'], ['UNWATCH']]).catch(ignore);
      throw redisError(failed, endpoint.name);
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Sends commands as one transaction.
   * @param before commands that are sent immediately before it.
   * @returns the replies to the commands, each of which may be an error; null if a watched key has changed.
   * @throws HipacheError if the server refuses the transaction as a whole.
   */
  async transact(commands: readonly RedisCommand[], before: readonly RedisCommand[] = []): Promise<unknown[] | null> {
    const replies = await this.send([...before, ['MULTI'], ...commands, ['EXEC']]);
    const executed = replies.at(-1);
    return Array.isArray(executed) ? executed : null;
  }

  /**
   * After a fail-over, a connection may still lead to the former primary: another one may find the new one.
   * @param task does nothing at a server that is not the primary.
   */
  async onPrimary<Result>(task: () => Promise<Result>): Promise<Result> {
    const { connection } = this;
    try {
      return await task();
    } catch (error) {
      // A connection that the task itself has opened is no better.
      if (connection === null || connection !== this.connection || !isDemoted(error)) throw error;
      this.drop();
      return task();
    }
  }

  /** The next change opens another connection. */
  drop(): void {
    this.connection?.close();
    this.connection = null;
  }

  /** Pending commands fail. */
  close(): void {
    this.closed = true;
    this.connection?.close();
  }
}

/** @throws HipacheError the first error among replies. @param name of the server. */
export function refuseErrors(replies: readonly unknown[], name: string): void {
  const failed = replies.find((reply) => reply instanceof Error);
  if (failed !== undefined) throw redisError(failed, name);
}

function ignore(): void {}

import { setTimeout as delay } from 'node:timers/promises';
import { HipacheError } from '../../base/errors.ts';
import type { HostAndPort } from '../driver-url.ts';
import { type RedisCommand, RedisConnection, type RedisTimings } from './connection.ts';
import type { RedisEdit } from './edits.ts';
import type { RedisEndpoint } from './endpoint.ts';
import { isDemoted, isNoCounter, isWrongType, redisError } from './errors.ts';

/** Edits that wait for their turn. A further one fails at once. */
const waitingMax = 10_000;
/** How often an edit starts over because other programs changed the same record, and how often without a pause. */
const startsMax = 100;
const startsWithoutPause = 3;
/** Longest pause, in ms. Each pause has a random length. */
const pauseMaxMs = 20;

/**
 * Changes records, one after another, on its own connection, which it opens for the first change: WATCH, the reads of
 * the edit, then MULTI … EXEC. The server refuses EXEC if another program has changed the record in between. Every
 * change raises the revision.
 */
export class RedisWriter {
  private readonly endpoint: RedisEndpoint;
  private readonly timings: RedisTimings;
  private readonly revisionKey: string;
  private readonly onProblem: (what: string) => void;
  private readonly onUserIgnored: () => void;
  private readonly locate: (() => Promise<HostAndPort>) | undefined;
  private connection: RedisConnection | null = null;
  private last: Promise<unknown> = Promise.resolve();
  private waiting = 0;
  private closed = false;

  /**
   * @param onProblem called when the revision is not a number.
   * @param onUserIgnored as `RedisConnectionEvents.userIgnored`.
   * @param locate as `RedisConnectionOptions.locate`.
   */
  constructor(
    endpoint: RedisEndpoint,
    timings: RedisTimings,
    revisionKey: string,
    onProblem: (what: string) => void,
    onUserIgnored: () => void,
    locate?: () => Promise<HostAndPort>,
  ) {
    this.endpoint = endpoint;
    this.timings = timings;
    this.revisionKey = revisionKey;
    this.onProblem = onProblem;
    this.onUserIgnored = onUserIgnored;
    this.locate = locate;
  }

  /**
   * Makes a change.
   * @returns the result of the edit, and the new revision, null if there was nothing to write.
   * @throws HipacheError; after STORE_UNAVAILABLE the change may have been made or not.
   */
  run<Result>(edit: RedisEdit<Result>): Promise<{ result: Result; revision: number | null }> {
    return this.inTurn(() => this.runEdit(edit));
  }

  /** Connects, so that the first change need not wait for it. A failure is that of the first change. */
  open(): void {
    void this.inTurn(() => this.connect()).catch(ignore);
  }

  /** Sends commands in one transaction and does not raise the revision. @throws HipacheError. */
  writeUncounted(commands: readonly RedisCommand[]): Promise<void> {
    return this.inTurn(async () => void (await this.execute(await this.connect(), commands, false)));
  }

  /** The server is not the primary any more; the next change finds the new one. */
  moved(): void {
    this.connection?.close();
    this.connection = null;
  }

  /** Pending edits fail. */
  close(): void {
    this.closed = true;
    this.connection?.close();
  }

  private inTurn<Result>(task: () => Promise<Result>): Promise<Result> {
    if (this.closed) return Promise.reject(this.error('STORE_UNAVAILABLE', 'the store was closed'));
    if (this.waiting >= waitingMax) {
      return Promise.reject(this.error('STORE_BUSY', `more than ${waitingMax} changes are waiting to be written`));
    }
    this.waiting++;
    const run = this.last.then(() => this.onPrimary(task));
    this.last = run.then(ignore, ignore).then(() => void this.waiting--);
    return run;
  }

  /** After a fail-over, this connection may still lead to the former primary: another one may find the new one. */
  private async onPrimary<Result>(task: () => Promise<Result>): Promise<Result> {
    const { connection } = this;
    try {
      return await task();
    } catch (error) {
      // The server has done nothing of the task. A connection that the task itself has opened is no better.
      if (connection === null || connection !== this.connection || !isDemoted(error)) throw error;
      connection.close();
      this.connection = null;
      return task();
    }
  }

  private async runEdit<Result>(edit: RedisEdit<Result>): Promise<{ result: Result; revision: number | null }> {
    const connection = await this.connect();
    for (let starts = 1; starts <= startsMax; starts++) {
      const replies = await this.look(connection, edit);
      const { commands, result } = edit.decide(replies);
      if (commands.length === 0) {
        await this.send(connection, [['UNWATCH']]);
        return { result, revision: null };
      }
      const executed = await this.execute(connection, commands, edit.isCounted ?? true);
      if (executed !== null) return { result, revision: executed.revision };
      if (starts > startsWithoutPause) await delay(Math.random() * pauseMaxMs);
    }
    throw this.error('STORE_BUSY', `other programs changed the same record ${startsMax} times during the edit`);
  }

  /** The replies to the reads of an edit, whose keys are watched from now on. */
  private async look(connection: RedisConnection, { keys, reads }: RedisEdit<unknown>): Promise<readonly unknown[]> {
    if (keys.length === 0) return reads.length === 0 ? [] : this.send(connection, reads);
    const [, ...replies] = await this.send(connection, [['WATCH', ...keys], ...reads]);
    return replies;
  }

  /** @returns the new revision, if the commands are counted; null if another program was faster. */
  private async execute(
    connection: RedisConnection,
    commands: readonly RedisCommand[],
    isCounted: boolean,
  ): Promise<{ readonly revision: number | null } | null> {
    const raise = isCounted ? [['INCR', this.revisionKey]] : [];
    const replies = await this.send(connection, [['MULTI'], ...commands, ...raise, ['EXEC']]);
    const executed = replies.at(-1);
    if (!Array.isArray(executed)) return null;
    const failed = executed.slice(0, commands.length).find((reply) => reply instanceof Error);
    if (failed !== undefined) throw redisError(failed, this.endpoint.name);
    if (!isCounted) return { revision: null };
    const revision: unknown = executed.at(-1);
    return { revision: isNoCounter(revision) ? await this.resetRevision(connection) : Number(revision) };
  }

  /** The change has been made all the same: Redis does not undo the other commands of a transaction. */
  private async resetRevision(connection: RedisConnection): Promise<number> {
    this.onProblem(`the key ${this.revisionKey} is not a number: counting starts again at 1`);
    const key = this.revisionKey;
    const replies = await this.send(connection, [['MULTI'], ['DEL', key], ['INCR', key], ['EXEC']]);
    return Number((replies.at(-1) as unknown[]).at(-1));
  }

  /** Throws the first error among the replies; only a wrong type is passed on. */
  private async send(connection: RedisConnection, commands: readonly RedisCommand[]): Promise<unknown[]> {
    const timer = setTimeout(() => connection.hung(), this.timings.replyTimeoutMs);
    try {
      const replies = await connection.send(commands);
      const failed = replies.find((reply) => reply instanceof Error && !isWrongType(reply));
      if (failed === undefined) return replies;
      // The next edit must not fail because of the keys that this one watches.
      await connection.send([['DISCARD'], ['UNWATCH']]).catch(ignore);
      throw redisError(failed, this.endpoint.name);
    } finally {
      clearTimeout(timer);
    }
  }

  private async connect(): Promise<RedisConnection> {
    this.connection ??= new RedisConnection(
      { endpoint: this.endpoint, timings: this.timings, tracking: false, locate: this.locate },
      { ready: ignore, lost: ignore, failed: ignore, changed: ignore, userIgnored: this.onUserIgnored },
    );
    if (this.connection.ready) return this.connection;
    const error = await this.connection.retryNow();
    if (this.closed) throw this.error('STORE_UNAVAILABLE', 'the store was closed');
    if (error !== null) throw error;
    return this.connection;
  }

  private error(code: 'STORE_BUSY' | 'STORE_UNAVAILABLE', problem: string): HipacheError {
    return new HipacheError(code, `${this.endpoint.name}: ${problem}`);
  }
}

function ignore(): void {}

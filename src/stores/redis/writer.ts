import { setTimeout as delay } from 'node:timers/promises';
import { HipacheError } from '../../base/errors.ts';
import type { RedisCommand } from './connection.ts';
import { EditQueue } from './edit-queue.ts';
import type { RedisEdit } from './edits.ts';
import { isNoCounter } from './errors.ts';
import { refuseErrors, WriteConnection, type WriteConnectionOptions } from './write-connection.ts';

/** How often an edit starts over because other programs changed the same record, and how often without a pause. */
export const startsMax = 100;
const startsWithoutPause = 3;
/** Longest pause, in ms. Each pause has a random length. */
const pauseMaxMs = 20;

/** The outcome of an edit. */
export interface EditOutcome<Result> {
  readonly result: Result;
  /** The new revision; null if there was nothing to write, or if the edit is not counted. */
  readonly revision: number | null;
}

/**
 * Changes records, one after another, on its own connection, which it opens for the first change: WATCH, the reads of
 * the edit, then MULTI … EXEC. The server refuses EXEC if another program has changed the record in between. Every
 * change raises the revision.
 */
export class RedisWriter {
  private readonly connection: WriteConnection;
  private readonly queue: EditQueue;
  private readonly revisionKey: string;
  private readonly onProblem: (what: string) => void;

  /** @param onProblem called when the revision is not a number. */
  constructor(options: WriteConnectionOptions, revisionKey: string, onProblem: (what: string) => void) {
    this.connection = new WriteConnection(options);
    this.queue = new EditQueue(options.endpoint.name);
    this.revisionKey = revisionKey;
    this.onProblem = onProblem;
  }

  /**
   * Makes a change.
   * @returns the result of the edit, and the new revision, null if there was nothing to write.
   * @throws HipacheError; after STORE_UNAVAILABLE the change may have been made or not.
   */
  run<Result>(edit: RedisEdit<Result>): Promise<EditOutcome<Result>> {
    return this.queue.inTurn(() => this.connection.onPrimary(() => this.runEdit(edit)));
  }

  /** Connects, so that the first change need not wait for it. A failure is that of the first change. */
  open(): void {
    void this.queue.inTurn(() => this.connection.open()).catch(ignore);
  }

  /** Sends commands in one transaction and does not raise the revision. @throws HipacheError. */
  writeUncounted(commands: readonly RedisCommand[]): Promise<void> {
    return this.queue.inTurn(() =>
      this.connection.onPrimary(async () => {
        await this.connection.open();
        await this.execute(commands, false);
      }),
    );
  }

  /** The server is not the primary any more; the next change finds the new one. */
  moved(): void {
    this.connection.drop();
  }

  /** Pending edits fail. */
  close(): void {
    this.queue.close();
    this.connection.close();
  }

  private async runEdit<Result>(edit: RedisEdit<Result>): Promise<EditOutcome<Result>> {
    await this.connection.open();
    for (let starts = 1; starts <= startsMax; starts++) {
      const replies = await this.look(edit);
      const { commands, result } = await this.decide(edit, replies);
      if (commands.length === 0) {
        await this.connection.send([['UNWATCH']]);
        return { result, revision: null };
      }
      const executed = await this.execute(commands, edit.isCounted ?? true);
      if (executed !== null) return { result, revision: executed.revision };
      await pauseBetween(starts);
    }
    throw tooManyStarts(this.connection.name);
  }

  /** The next edit must not fail because of the keys that one without a decision watches. */
  private async decide<Result>(
    edit: RedisEdit<Result>,
    replies: readonly unknown[],
  ): Promise<ReturnType<RedisEdit<Result>['decide']>> {
    try {
      return edit.decide(replies);
    } catch (error) {
      await this.connection.send([['UNWATCH']]);
      throw error;
    }
  }

  /** The replies to the reads of an edit, whose keys are watched from now on. */
  private async look({ keys, reads }: RedisEdit<unknown>): Promise<readonly unknown[]> {
    if (keys.length === 0) return reads.length === 0 ? [] : this.connection.send(reads);
    const [, ...replies] = await this.connection.send([['WATCH', ...keys], ...reads]);
    return replies;
  }

  /** @returns the new revision, if the commands are counted; null if another program was faster. */
  private async execute(
    commands: readonly RedisCommand[],
    isCounted: boolean,
  ): Promise<{ readonly revision: number | null } | null> {
    const raise = isCounted ? [['INCR', this.revisionKey]] : [];
    const executed = await this.connection.transact([...commands, ...raise]);
    if (executed === null) return null;
    refuseErrors(executed.slice(0, commands.length), this.connection.name);
    if (!isCounted) return { revision: null };
    const revision: unknown = executed.at(-1);
    return { revision: isNoCounter(revision) ? await this.resetRevision() : Number(revision) };
  }

  /** The change has been made all the same: Redis does not undo the other commands of a transaction. */
  private async resetRevision(): Promise<number> {
    this.onProblem(notANumber(this.revisionKey));
    return resetCounter(this.connection, this.revisionKey);
  }
}

/** Pauses before an edit starts over, unless it has done so only a few times. */
export async function pauseBetween(starts: number): Promise<void> {
  if (starts > startsWithoutPause) await delay(Math.random() * pauseMaxMs);
}

export function tooManyStarts(name: string): HipacheError {
  return new HipacheError(
    'STORE_BUSY',
    `${name}: other programs changed the same record ${startsMax} times during the edit`,
  );
}

export function notANumber(counter: string): string {
  return `the key ${counter} is not a number: counting starts again at 1`;
}

/** @returns the value of the counter, which starts again. */
export async function resetCounter(connection: WriteConnection, counter: string): Promise<number> {
  const executed = await connection.transact([
    ['DEL', counter],
    ['INCR', counter],
  ]);
  return Number(executed?.at(-1));
}

function ignore(): void {}

import type { ClusterNode } from './cluster-node.ts';
import type { RedisCommand } from './connection.ts';
import { EditQueue } from './edit-queue.ts';
import type { RedisEdit } from './edits.ts';
import { isNoCounter } from './errors.ts';
import { askingFirst, type Redirecting, Redirections } from './redirections.ts';
import { refuseErrors } from './write-connection.ts';
import { type EditOutcome, notANumber, pauseBetween, resetCounter, startsMax, tooManyStarts } from './writer.ts';

/** The commands of an edit for one key. */
interface KeyChange {
  readonly key: string;
  readonly commands: RedisCommand[];
}

/** The connections on which the keys of an edit are watched, each with its session. */
type Watched = Map<ClusterNode, number>;

/**
 * Changes records in a cluster, one after another. A transaction has the keys of one slot only, so an edit is one for each
 * key: WATCH and the reads at every node that has keys of it, then MULTI … EXEC for the first key, which fails if that
 * node has seen another program change a key of the edit, then the other keys, and at last the revision. So the record
 * itself is swapped as on a single server; what follows depends on it, and does no harm if it is late or never made.
 */
export class ClusterWriter {
  private readonly cluster: Redirecting;
  private readonly queue: EditQueue;
  private readonly revisionKey: string;
  private readonly onProblem: (what: string) => void;

  /** @param onProblem called when the revision is not a number. */
  constructor(cluster: Redirecting, revisionKey: string, onProblem: (what: string) => void) {
    this.cluster = cluster;
    this.queue = new EditQueue(cluster.name);
    this.revisionKey = revisionKey;
    this.onProblem = onProblem;
  }

  /** As `RedisWriter.run`. After an error, the change may also have been made in part, its first key first. */
  run<Result>(edit: RedisEdit<Result>): Promise<EditOutcome<Result>> {
    return this.queue.inTurn(() => this.runEdit(edit));
  }

  /** Connections are made when they are needed. */
  open(): void {}

  /** Makes one transaction for each key, in order, and does not raise the revision. @throws HipacheError. */
  writeUncounted(commands: readonly RedisCommand[]): Promise<void> {
    return this.queue.inTurn(async () => {
      for (const change of changesOf(commands, '')) await this.change(change);
    });
  }

  /** Waiting edits fail. */
  close(): void {
    this.queue.close();
  }

  private async runEdit<Result>(edit: RedisEdit<Result>): Promise<EditOutcome<Result>> {
    const redirections = new Redirections(this.cluster);
    for (let starts = 1; starts <= startsMax; starts++) {
      const outcome = await this.attempt(edit, redirections);
      if (outcome !== null) return outcome;
      await pauseBetween(starts);
    }
    throw tooManyStarts(this.cluster.name);
  }

  /** @returns null if the edit has to start over: another program was faster, or the first key has moved. */
  private async attempt<Result>(
    edit: RedisEdit<Result>,
    redirections: Redirections,
  ): Promise<EditOutcome<Result> | null> {
    const watched: Watched = new Map();
    try {
      const replies = await this.look(edit, redirections, watched);
      const { commands, result } = edit.decide(replies);
      if (commands.length === 0) return { result, revision: null };
      const changes = changesOf(commands, edit.keys[0] ?? '');
      if (edit.keys.length > 0) {
        const first = changes.shift() as KeyChange;
        if (!(await this.changeWatched(first, redirections, watched))) return null;
      }
      await release(watched);
      await Promise.all(changes.map((change) => this.change(change)));
      return { result, revision: (edit.isCounted ?? true) ? await this.raise() : null };
    } finally {
      await release(watched);
    }
  }

  /** The replies to the reads of an edit, whose keys are watched from now on. */
  private async look(
    { keys, reads }: RedisEdit<unknown>,
    redirections: Redirections,
    watched: Watched,
  ): Promise<readonly unknown[]> {
    const replies = new Array<unknown>(reads.length);
    const all = new Set([...keys, ...reads.map(([, key]) => key as string)]);
    await settledAll(
      [...all].map(async (key) => {
        const own = [...reads.entries()].filter(([, [, read]]) => read === key);
        const received = await this.lookAt(
          key,
          own.map(([, command]) => command),
          redirections,
          watched,
        );
        for (const [at, [i]] of own.entries()) replies[i] = received[at];
      }),
    );
    return replies;
  }

  /** The replies to the reads of one key, which is watched from now on. */
  private async lookAt(
    key: string,
    reads: readonly RedisCommand[],
    redirections: Redirections,
    watched: Watched,
  ): Promise<readonly unknown[]> {
    for (;;) {
      const place = redirections.placeOf(key);
      const { writes } = place.node;
      try {
        await this.connect(place.node);
        if (!watched.has(place.node)) watched.set(place.node, writes.session);
        const asking = askingFirst(place);
        const commands = [...asking, ['WATCH', key]];
        const positions = reads.map((read) => commands.push(...asking, [...read]) - 1);
        const replies = await writes.send(commands);
        return positions.map((position) => replies[position]);
      } catch (error) {
        await redirections.follow(error, key);
      }
    }
  }

  /** @returns false if another program has changed a watched key, or if the node cannot tell. */
  private async changeWatched(
    { key, commands }: KeyChange,
    redirections: Redirections,
    watched: Watched,
  ): Promise<boolean> {
    const place = redirections.placeOf(key);
    const { writes } = place.node;
    if (watched.get(place.node) !== writes.session) return false;
    try {
      const executed = await writes.transact(commands, askingFirst(place));
      if (executed === null) return false;
      watched.delete(place.node);
      refuseErrors(executed, writes.name);
      return true;
    } catch (error) {
      // A transaction that is redirected has changed nothing.
      await redirections.follow(error, key);
      return false;
    }
  }

  /** Makes a change whatever the key has become since. */
  private async change(change: KeyChange): Promise<void> {
    const [node, executed] = await this.transact(change);
    refuseErrors(executed, node.name);
  }

  private async raise(): Promise<number> {
    const key = this.revisionKey;
    const [node, [revision]] = await this.transact({ key, commands: [['INCR', key]] });
    if (!isNoCounter(revision)) {
      refuseErrors([revision], node.name);
      return Number(revision);
    }
    this.onProblem(notANumber(key));
    return resetCounter(node.writes, key);
  }

  private async transact({ key, commands }: KeyChange): Promise<[node: ClusterNode, replies: unknown[]]> {
    const redirections = new Redirections(this.cluster);
    for (;;) {
      const place = redirections.placeOf(key);
      try {
        await this.connect(place.node);
        const executed = await place.node.writes.transact(commands, askingFirst(place));
        // Nothing is watched: null would be the remains of an edit whose connection did not reply.
        if (executed !== null) return [place.node, executed];
      } catch (error) {
        await redirections.follow(error, key);
      }
    }
  }

  /** A node that cannot be read is not waited for. @throws HipacheError. */
  private async connect({ reads, writes }: ClusterNode): Promise<void> {
    if (!reads.ready) throw reads.error;
    await writes.open();
  }
}

/** The changes of each key, in the order in which the keys come first. @param otherwise the key of a command without one. */
function changesOf(commands: readonly RedisCommand[], otherwise: string): KeyChange[] {
  const changes = new Map<string, RedisCommand[]>();
  let last = otherwise;
  for (const command of commands) {
    last = command[0] === 'PUBLISH' ? last : (command[1] as string);
    const change = changes.get(last);
    if (change === undefined) changes.set(last, [command]);
    else change.push(command);
  }
  return [...changes].map(([key, own]) => ({ key, commands: own }));
}

/** The next change must not fail because of the keys that this one watches. */
async function release(watched: Watched): Promise<void> {
  const nodes = [...watched.keys()];
  watched.clear();
  await Promise.allSettled(nodes.map(({ writes }) => writes.send([['UNWATCH']])));
}

/** Waits for all. @throws the first error. */
async function settledAll(tasks: readonly Promise<void>[]): Promise<void> {
  const outcomes = await Promise.allSettled(tasks);
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

import { HipacheError } from '../../base/errors.ts';

/** Changes that wait for their turn. A further one fails at once. */
const waitingMax = 10_000;

/** Makes the changes of one process one after another: the watched keys of a connection are those of one change. */
export class EditQueue {
  private readonly name: string;
  private last: Promise<unknown> = Promise.resolve();
  private waiting = 0;
  private isClosed = false;

  /** @param name of the store in messages. */
  constructor(name: string) {
    this.name = name;
  }

  /** @throws HipacheError if too many wait, or if the queue is closed. */
  inTurn<Result>(task: () => Promise<Result>): Promise<Result> {
    if (this.isClosed) return Promise.reject(this.error('STORE_UNAVAILABLE', 'the store was closed'));
    if (this.waiting >= waitingMax) {
      return Promise.reject(this.error('STORE_BUSY', `more than ${waitingMax} changes are waiting to be written`));
    }
    this.waiting++;
    const run = this.last.then(task);
    this.last = run.then(ignore, ignore).then(() => void this.waiting--);
    return run;
  }

  close(): void {
    this.isClosed = true;
  }

  private error(code: 'STORE_BUSY' | 'STORE_UNAVAILABLE', problem: string): HipacheError {
    return new HipacheError(code, `${this.name}: ${problem}`);
  }
}

function ignore(): void {}

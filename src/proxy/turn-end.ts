/** Something that is done once at the end of a turn, however often it was asked for. */
export interface TurnTask {
  /** Whether it is asked for; the queue resets it. */
  isQueued: boolean;
  atTurnEnd(): void;
  /** It threw. The others are done nevertheless. */
  onInternalError(error: Error): void;
}

const queue: TurnTask[] = [];

/**
 * Calls the task once all events of this turn of the event loop have been handled: what many of them write leaves in one
 * write.
 */
export function atTurnEnd(task: TurnTask): void {
  if (task.isQueued) return;
  task.isQueued = true;
  if (queue.push(task) === 1) setImmediate(run);
}

function run(): void {
  for (const task of queue.splice(0)) {
    task.isQueued = false;
    try {
      task.atTurnEnd();
    } catch (error) {
      task.onInternalError(error as Error);
    }
  }
}

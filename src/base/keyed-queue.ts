/** Runs tasks of one key one after the other, and tasks of different keys at the same time. */
export class KeyedQueue {
  private readonly last = new Map<string, Promise<unknown>>();

  async run<Result>(key: string, task: () => Promise<Result>): Promise<Result> {
    const before = this.last.get(key);
    const running = before === undefined ? task() : before.then(task, task);
    const settled = running.catch(() => {});
    this.last.set(key, settled);
    try {
      return await running;
    } finally {
      if (this.last.get(key) === settled) this.last.delete(key);
    }
  }
}

/** An asynchronous task that runs once at a time. Requests that come while it runs make it run once more. */
export class CoalescedTask {
  private readonly task: () => Promise<void>;
  private running: Promise<void> | null = null;
  private isRequested = false;
  private closed = false;

  /** @param task must not reject. */
  constructor(task: () => Promise<void>) {
    this.task = task;
  }

  get isClosed(): boolean {
    return this.closed;
  }

  /** Resolves once a run has ended that began with or after this request; at once if the task is closed. */
  request(): Promise<void> {
    if (this.closed) return Promise.resolve();
    this.isRequested = true;
    this.running ??= this.run();
    return this.running;
  }

  /**
   * For the task itself: whether a request came since this run began. It then counts as served, and the task has to
   * see to it, for example by a later request.
   */
  takeRequest(): boolean {
    const isRequested = this.isRequested;
    this.isRequested = false;
    return isRequested;
  }

  /** No further run begins. Resolves once the current one has ended. */
  async close(): Promise<void> {
    this.closed = true;
    await this.running;
  }

  private async run(): Promise<void> {
    while (this.isRequested && !this.closed) {
      this.isRequested = false;
      await this.task();
    }
    this.running = null;
  }
}

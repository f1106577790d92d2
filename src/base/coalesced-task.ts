/** An asynchronous task with one run at a time. Requests during a run cause one more run. */
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
   * For the task itself: whether a request arrived since this run began. The request then counts as served, and the
   * task must handle it, for example with a later request.
   */
  takeRequest(): boolean {
    const isRequested = this.isRequested;
    this.isRequested = false;
    return isRequested;
  }

  /** Prevents further runs. Resolves once the current one has ended. */
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

/** Runs a bounded number of tasks at once; the others wait in their order. */
export class Slots {
  private readonly slots: number;
  private readonly waiting = new Set<() => Promise<void>>();
  private busy = 0;

  constructor(slots: number) {
    this.slots = slots;
  }

  /** Runs `task`, which must not reject, once there is a slot. @returns a function that takes it back while it waits. */
  take(task: () => Promise<void>): () => void {
    this.waiting.add(task);
    this.pump();
    return () => void this.waiting.delete(task);
  }

  private pump(): void {
    for (const task of this.waiting) {
      if (this.busy >= this.slots) return;
      this.waiting.delete(task);
      this.busy++;
      void task().finally(() => {
        this.busy--;
        this.pump();
      });
    }
  }
}

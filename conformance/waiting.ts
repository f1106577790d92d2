/** Waits for conditions that change only when something has been received or closed. */
export class Changes {
  private waiting: (() => void)[] = [];

  /** To be called whenever a condition may have become true. */
  changed(): void {
    for (const check of [...this.waiting]) check();
  }

  /** @returns whether the condition held within this time. */
  until(condition: () => boolean, forMs: number): Promise<boolean> {
    if (condition()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const end = (held: boolean): void => {
        clearTimeout(timer);
        this.waiting = this.waiting.filter((other) => other !== check);
        resolve(held);
      };
      const check = (): void => {
        if (condition()) end(true);
      };
      const timer = setTimeout(() => end(false), forMs);
      this.waiting.push(check);
    });
  }
}

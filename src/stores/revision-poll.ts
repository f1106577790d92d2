/** Looks for the revision of a store at intervals: for a process that needs no more, and should cost no more. */
export class RevisionPoll {
  private readonly read: () => Promise<number>;
  private readonly onRevised: () => void;
  private readonly timer: NodeJS.Timeout;
  private revision: number | null = null;
  private isReading = false;

  /** @param onRevised called after a reading that differs from the one before, after the first, and after failed ones. */
  constructor(everyMs: number, read: () => Promise<number>, onRevised: () => void) {
    this.read = read;
    this.onRevised = onRevised;
    this.timer = setInterval(() => void this.look(), everyMs);
  }

  close(): void {
    clearInterval(this.timer);
  }

  private async look(): Promise<void> {
    if (this.isReading) return;
    this.isReading = true;
    try {
      const revision = await this.read();
      if (revision !== this.revision) this.onRevised();
      this.revision = revision;
    } catch {
      this.revision = null;
    } finally {
      this.isReading = false;
    }
  }
}

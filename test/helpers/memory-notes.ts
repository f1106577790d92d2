import type { NoteCondition, NoteTexts } from '../../src/stores/contract.ts';

/** Notes in memory. Each call takes a turn of the event loop, so that others come between. */
export class MemoryNotes implements NoteTexts {
  readonly texts = new Map<string, string>();
  readonly reads: string[] = [];
  nowMs = 0;
  private readonly endsMs = new Map<string, number>();

  async read(name: string): Promise<string | null> {
    this.reads.push(name);
    await null;
    return this.get(name);
  }

  async write(name: string, text: string | null, { expected, ttlMs }: NoteCondition = {}): Promise<boolean> {
    await null;
    if (expected !== undefined && this.get(name) !== expected) return false;
    if (text === null) this.texts.delete(name);
    else this.texts.set(name, text);
    this.endsMs.set(name, ttlMs === undefined ? Number.POSITIVE_INFINITY : this.nowMs + ttlMs);
    return true;
  }

  private get(name: string): string | null {
    return this.nowMs < (this.endsMs.get(name) ?? 0) ? (this.texts.get(name) ?? null) : null;
  }
}

import type { NoteTexts } from '../stores/contract.ts';
import { noteName } from '../stores/note-name.ts';

const hourMs = 3600_000;
/** Attempts to count an order while other instances count theirs. */
const attemptsMax = 20;

/** The orders that the fleet may begin in an hour, counted in the store. */
export class OrderBudget {
  private readonly notes: NoteTexts;
  private readonly perHourMax: number;

  constructor(notes: NoteTexts, perHourMax: number) {
    this.notes = notes;
    this.perHourMax = perHourMax;
  }

  /** Takes one. @returns null; if none is left, when there are others, in epoch ms. @throws errors of the store. */
  async take(nowMs: number): Promise<number | null> {
    const hour = Math.floor(nowMs / hourMs);
    const name = noteName('acme-budget', String(hour));
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const text = await this.notes.read(name);
      const used = text === null ? 0 : Number(text);
      if (used >= this.perHourMax) return (hour + 1) * hourMs;
      if (await this.notes.write(name, String(used + 1), { expected: text, ttlMs: 2 * hourMs })) return null;
    }
    // So much is going on that a moment later is soon enough.
    return nowMs + 1000;
  }
}

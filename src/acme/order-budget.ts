import type { NoteTexts } from '../stores/contract.ts';
import { noteName } from '../stores/note-name.ts';
import type { Refused } from './authority-limits.ts';

/** A number of orders that the fleet may begin in an hour. */
export interface OrderAllowance {
  /** The name under which they are counted. */
  readonly of: string;
  readonly perHourMax: number;
  /** Why there are no more, if so. */
  readonly why: string;
}

const hourMs = 3600_000;
/** Attempts to count an order while other instances count theirs. */
const attemptsMax = 20;

/** Counts orders in the store, so that the fleet keeps within its allowances. */
export class OrderBudget {
  private readonly notes: NoteTexts;

  constructor(notes: NoteTexts) {
    this.notes = notes;
  }

  /**
   * Takes one order of each allowance; one that is refused by a later allowance stays counted by those before.
   * @returns null; or the first allowance that is used up, and when there are more. @throws errors of the store.
   */
  async take(allowances: readonly OrderAllowance[], nowMs: number): Promise<Refused | null> {
    for (const { of, perHourMax, why } of allowances) {
      const untilMs = await this.takeOne(of, perHourMax, nowMs);
      if (untilMs !== null) return { why, untilMs };
    }
    return null;
  }

  /** Orders that were begun in this hour. */
  async used(of: string, nowMs: number): Promise<number> {
    return Number((await this.notes.read(budgetNote(of, nowMs))) ?? 0);
  }

  private async takeOne(of: string, perHourMax: number, nowMs: number): Promise<number | null> {
    const name = budgetNote(of, nowMs);
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const text = await this.notes.read(name);
      const used = text === null ? 0 : Number(text);
      if (used >= perHourMax) return (Math.floor(nowMs / hourMs) + 1) * hourMs;
      if (await this.notes.write(name, String(used + 1), { expected: text, ttlMs: 2 * hourMs })) return null;
    }
    // So much is going on that a moment later is soon enough.
    return nowMs + 1000;
  }
}

function budgetNote(of: string, nowMs: number): string {
  return noteName('acme-budget', `${Math.floor(nowMs / hourMs)} ${of}`.trimEnd());
}

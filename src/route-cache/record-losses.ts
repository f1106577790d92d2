import { type Clock, systemClock } from '../base/clock.ts';
import type { KnownRecord } from './known-records.ts';

/** Routes that are gone within this time, in ms, count together. */
const windowMs = 5000;
/** Fewer routes than this are never held, and neither is a smaller share of those that are known. */
export const wipedRoutesMin = 100;
export const wipedShareMin = 0.5;

/** A record as it was before it was reported as changed or absent. */
interface Gone {
  readonly text: string;
  readonly atMs: number;
}

/** A report of a worker on a record that stays as it was. */
interface Kept {
  readonly text: string;
  readonly holder: number;
  isJudged: boolean;
}

/**
 * The records that `KnownRecords` has lost: those that are gone since a moment, and, while the wipe guard judges or its
 * alarm is raised, those that stay known although a worker does not find them any more.
 */
export class RecordLosses {
  /** Called if the store may have been wiped. */
  askGuard: () => void = ignore;
  private readonly clock: Clock;
  private readonly bytesMax: number;
  private readonly gone = new Map<string, Gone>();
  private goneRoutes = 0;
  private goneBytes = 0;
  private kept: Map<string, Kept> | null = null;

  constructor(bytesMax: number, clock: Clock = systemClock) {
    this.bytesMax = bytesMax;
    this.clock = clock;
  }

  /** From now on, records stay known that are reported as changed or absent. */
  keep(): void {
    this.kept ??= new Map();
  }

  /** A judgement begins: `release` separates what was reported before this call from what comes later. */
  judging(): void {
    for (const kept of this.kept?.values() ?? []) kept.isJudged = true;
  }

  /**
   * Nothing was wiped. @param isAll whether nobody has asked for another judgement meanwhile: then nothing is kept any more.
   * @returns what counts from now on: everything that has been reported, or what was before the judgement began.
   */
  release(isAll: boolean): readonly { readonly record: KnownRecord; readonly holder: number }[] {
    const { kept } = this;
    if (kept === null) return [];
    if (isAll) this.kept = null;
    const released = [...kept].filter(([, { isJudged }]) => isAll || isJudged);
    for (const [key] of released) kept.delete(key);
    return released.map(([key, { text, holder }]) => ({ record: [key, text] as const, holder }));
  }

  /** A record is gone, and may come back within a moment. */
  note(key: string, text: string): void {
    this.drop(key);
    this.gone.set(key, { text, atMs: this.clock.monotonicMs() });
    if (isRoute(key)) this.goneRoutes++;
    this.goneBytes += text.length;
    this.prune();
  }

  /**
   * A worker reports a known record as changed or absent.
   * @param former its text so far.
   * @param isFound it was found absent when it was verified, not because the store has reported its change.
   * @param routes how many are known.
   * @returns whether it stays known.
   */
  lost([key, text]: KnownRecord, former: string, holder: number, isFound: boolean, routes: number): boolean {
    if (isFound && this.kept === null && routes + this.goneRoutes >= wipedRoutesMin) this.ask();
    if (this.kept !== null) {
      this.kept.set(key, { text, holder, isJudged: false });
      return true;
    }
    this.note(key, former);
    const left = routes - (isRoute(key) ? 1 : 0);
    if (this.goneRoutes >= wipedRoutesMin && this.goneRoutes >= wipedShareMin * (this.goneRoutes + left)) {
      this.ask();
    }
    return false;
  }

  /** A worker has read the record. */
  found(key: string): void {
    this.kept?.delete(key);
    this.drop(key);
  }

  /** The records that are gone since a moment. */
  recent(): KnownRecord[] {
    this.prune();
    return [...this.gone].map(([key, { text }]) => [key, text]);
  }

  clear(): void {
    this.gone.clear();
    this.goneRoutes = 0;
    this.goneBytes = 0;
    this.kept?.clear();
  }

  private ask(): void {
    this.keep();
    this.askGuard();
  }

  private prune(): void {
    const sinceMs = this.clock.monotonicMs() - windowMs;
    for (const [key, { atMs }] of this.gone) {
      if (atMs >= sinceMs && this.goneBytes <= this.bytesMax) return;
      this.drop(key);
    }
  }

  private drop(key: string): void {
    const gone = this.gone.get(key);
    if (gone === undefined) return;
    this.gone.delete(key);
    if (isRoute(key)) this.goneRoutes--;
    this.goneBytes -= gone.text.length;
  }
}

export function isRoute(key: string): boolean {
  return key.startsWith('routes ');
}

function ignore(): void {}

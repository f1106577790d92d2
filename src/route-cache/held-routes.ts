import { type Clock, systemClock } from '../base/clock.ts';
import { wipedRoutesMin } from './record-losses.ts';

/** Changes within this time, in ms, count together. */
const windowMs = 5000;

export interface HeldRoutesOptions {
  /** Asks the wipe guard to judge; `judged` follows. */
  readonly ask: () => void;
  /** A route was removed indeed. */
  readonly drop: (pattern: string) => void;
  /** A route has to be read again. */
  readonly verify: (pattern: string) => void;
  readonly clock?: Clock;
}

/**
 * The routes of one worker that the store does not have any more, and that it serves as they were. An absence is held
 * until the wipe guard has judged if it was found when a record was verified, or while many records change; any other is
 * believed at once. While the alarm is raised, each is held.
 */
export class HeldRoutes {
  private readonly options: HeldRoutesOptions;
  private readonly clock: Clock;
  /** Held since the last question, and those that the guard is asked about. */
  private fresh = new Set<string>();
  private asked = new Set<string>();
  /** Held while the alarm is raised. */
  private readonly judgedGone = new Set<string>();
  private isAsking = false;
  private isWanted = false;
  private isRaised = false;
  private windowStartMs = Number.NEGATIVE_INFINITY;
  private changes = 0;
  private changesBefore = 0;
  private readonly waiting: (() => void)[] = [];

  constructor(options: HeldRoutesOptions) {
    this.options = options;
    this.clock = options.clock ?? systemClock;
  }

  get size(): number {
    return this.fresh.size + this.asked.size + this.judgedGone.size;
  }

  /** Whether the alarm is raised. */
  get raised(): boolean {
    return this.isRaised;
  }

  /** The store has reported changes of so many routes. */
  changed(count: number): void {
    this.turnWindow();
    this.changes += count;
  }

  /**
   * The store does not have a route that is served.
   * @param isFound its absence was found when it was verified.
   * @returns whether it is held.
   */
  holds(pattern: string, isFound: boolean): boolean {
    if (this.isRaised) {
      this.judgedGone.add(pattern);
      return true;
    }
    if (!isFound && !this.hasManyChanges()) return false;
    if (!this.asked.has(pattern)) this.fresh.add(pattern);
    this.ask();
    return true;
  }

  /** The store has the route, or nobody serves it any more. */
  released(pattern: string): void {
    if (this.size === 0) return;
    this.fresh.delete(pattern);
    this.asked.delete(pattern);
    this.judgedGone.delete(pattern);
  }

  /** The guard has judged. If it has not raised the alarm, what it was asked about was removed. */
  judged(): void {
    this.isAsking = false;
    const { asked } = this;
    this.asked = new Set();
    for (const pattern of asked) this.options.drop(pattern);
    if (this.fresh.size > 0 || this.isWanted) this.ask();
    else for (const resolve of this.waiting.splice(0)) resolve();
  }

  /** The alarm is raised, or ends: then what is held is read again, since it may be in the store by now. */
  turned(isRaised: boolean): void {
    if (isRaised === this.isRaised) return;
    this.isRaised = isRaised;
    if (isRaised) {
      for (const held of [this.fresh, this.asked]) {
        for (const pattern of held) this.judgedGone.add(pattern);
        held.clear();
      }
      return;
    }
    const held = [...this.judgedGone];
    this.judgedGone.clear();
    for (const pattern of held) this.options.verify(pattern);
  }

  /** Resolves once everything that is held now is judged. */
  settled(): Promise<void> {
    if (this.fresh.size === 0 && this.asked.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  /** Resolves once the guard has judged, after this call. */
  judgement(): Promise<void> {
    const judged = new Promise<void>((resolve) => this.waiting.push(resolve));
    this.isWanted = true;
    this.ask();
    return judged;
  }

  close(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  private ask(): void {
    if (this.isAsking) return;
    this.isAsking = true;
    this.isWanted = false;
    [this.asked, this.fresh] = [this.fresh, this.asked];
    this.options.ask();
  }

  private hasManyChanges(): boolean {
    this.turnWindow();
    return this.changes + this.changesBefore >= wipedRoutesMin;
  }

  private turnWindow(): void {
    const nowMs = this.clock.monotonicMs();
    const passedMs = nowMs - this.windowStartMs;
    if (passedMs < windowMs) return;
    this.changesBefore = passedMs < 2 * windowMs ? this.changes : 0;
    this.changes = 0;
    this.windowStartMs = nowMs;
  }
}

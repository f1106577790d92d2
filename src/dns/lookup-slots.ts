/** A lookup that needs a slot. */
export interface SlotUser {
  /** Whether lookups of this name have run into their timeout. */
  readonly isSlow: boolean;
  /** It has a slot now, until `release`. */
  start(): void;
}

/** The share that slow names may have of the slots and of the places to wait. */
const slowShare = 1 / 4;

/**
 * Bounds the lookups that are under way. Further ones wait in the order of their arrival. Slow names get a part of the
 * slots only, and wait apart: so names that never resolve, however many, do not delay the others.
 */
export class LookupSlots {
  private readonly usersMax: number;
  private readonly slowMax: number;
  private readonly waitingMax: number;
  private readonly waiting = new Set<SlotUser>();
  private readonly waitingSlow = new Set<SlotUser>();
  /** Whether each user was slow when it started. */
  private readonly users = new Map<SlotUser, boolean>();
  private slowUsers = 0;

  constructor(usersMax: number, waitingMax: number) {
    this.usersMax = usersMax;
    this.slowMax = Math.max(1, Math.floor(usersMax * slowShare));
    this.waitingMax = waitingMax;
  }

  get inUse(): number {
    return this.users.size;
  }

  /** Starts `user`, or lets it wait. @returns false if too many wait: it is not taken. */
  take(user: SlotUser): boolean {
    const queue = user.isSlow ? this.waitingSlow : this.waiting;
    if (!this.hasSlot(user.isSlow) && !this.mayWait(user.isSlow)) return false;
    queue.add(user);
    this.startWaiting();
    return true;
  }

  /** `user` has ended or does not wait any longer. */
  release(user: SlotUser): void {
    this.waiting.delete(user);
    this.waitingSlow.delete(user);
    const wasSlow = this.users.get(user);
    if (wasSlow === undefined) return;
    this.users.delete(user);
    if (wasSlow) this.slowUsers--;
    this.startWaiting();
  }

  /** Forgets those that wait. */
  clear(): void {
    this.waiting.clear();
    this.waitingSlow.clear();
  }

  private hasSlot(isSlow: boolean): boolean {
    return this.users.size < this.usersMax && (!isSlow || this.slowUsers < this.slowMax);
  }

  private mayWait(isSlow: boolean): boolean {
    if (isSlow && this.waitingSlow.size >= this.waitingMax * slowShare) return false;
    return this.waiting.size + this.waitingSlow.size < this.waitingMax;
  }

  private startWaiting(): void {
    this.startFrom(this.waiting, false);
    this.startFrom(this.waitingSlow, true);
  }

  private startFrom(queue: Set<SlotUser>, isSlow: boolean): void {
    for (const user of queue) {
      if (!this.hasSlot(isSlow)) return;
      queue.delete(user);
      this.users.set(user, isSlow);
      if (isSlow) this.slowUsers++;
      user.start();
    }
  }
}

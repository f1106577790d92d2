import { type SetTimer, setRealTimer } from '../base/timer.ts';
import type { Frontend } from '../routing/frontend.ts';
import type { FrontendUse } from './cache-table.ts';

/** From the first host to be reported until the report, in ms: hosts of this time are reported together. */
const reportAfterMs = 50;
/** How often every known host is reported again, in ms. */
const confirmEveryMs = 120_000;
/** Hosts that are known, beyond which one that has not served for long is forgotten; and hosts of one report. */
const hostsMax = 10_000;
const reportMax = 1000;
/** Hosts that are looked at for one to forget. If all of them serve, the new one is reported only once. */
const lookedAtMax = 64;

/** The hosts of this worker whose policy wants health checks, for the primary, which makes them. */
export class CheckedHosts {
  private readonly report: (patterns: readonly string[]) => void;
  private readonly useOf: (pattern: string) => FrontendUse;
  private readonly setTimer: SetTimer;
  /** In the order of their last known use. */
  private readonly known = new Set<string>();
  private readonly waiting = new Set<string>();
  private cancelReport: (() => void) | null = null;
  private cancelConfirmation: (() => void) | null = null;
  private closed = false;

  /** @param useOf how the worker knows the route of a host. */
  constructor(
    report: (patterns: readonly string[]) => void,
    useOf: (pattern: string) => FrontendUse,
    setTimer = setRealTimer,
  ) {
    this.report = report;
    this.useOf = useOf;
    this.setTimer = setTimer;
  }

  /** The frontend has got its policy. */
  resolved({ pattern, policy }: Pick<Frontend, 'pattern' | 'policy'>): void {
    const wasKnown = this.known.delete(pattern);
    if (policy === null || policy.health === null || this.closed) return;
    if (wasKnown || this.makeRoom()) this.known.add(pattern);
    if (wasKnown) return;
    if (this.waiting.size < hostsMax) this.waiting.add(pattern);
    this.cancelReport ??= this.setTimer(reportAfterMs, () => this.send());
    this.cancelConfirmation ??= this.setTimer(confirmEveryMs, () => this.confirm());
  }

  close(): void {
    this.closed = true;
    this.cancelReport?.();
    this.cancelConfirmation?.();
  }

  /** Forgets a host that does not serve at present, if there are too many. @returns whether there is room for one more. */
  private makeRoom(): boolean {
    if (this.known.size < hostsMax) return true;
    let looks = lookedAtMax;
    for (const pattern of this.known) {
      this.known.delete(pattern);
      if (this.useOf(pattern) !== 'active') return true;
      this.known.add(pattern);
      if (--looks === 0) break;
    }
    return false;
  }

  private send(): void {
    this.cancelReport = null;
    const patterns = [...this.waiting];
    this.waiting.clear();
    for (let from = 0; from < patterns.length; from += reportMax) this.report(patterns.slice(from, from + reportMax));
  }

  private confirm(): void {
    this.cancelConfirmation = null;
    this.refresh();
    if (this.known.size === 0) return;
    for (const pattern of this.known) this.waiting.add(pattern);
    this.send();
    this.cancelConfirmation = this.setTimer(confirmEveryMs, () => this.confirm());
  }

  /** Forgets hosts without a route in memory; those that serve become the last ones. */
  private refresh(): void {
    for (const pattern of [...this.known]) {
      const use = this.useOf(pattern);
      if (use !== 'packed') this.known.delete(pattern);
      if (use === 'active') this.known.add(pattern);
    }
  }
}

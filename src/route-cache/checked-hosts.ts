import { type SetTimer, setRealTimer } from '../base/timer.ts';
import type { Frontend } from '../routing/frontend.ts';

/** From the first host to be reported until the report, in ms: hosts of this time are reported together. */
const reportAfterMs = 50;
/** How often every known host is reported again, in ms. */
const confirmEveryMs = 120_000;
/** Hosts that are known, beyond which the one that came first is forgotten; and hosts of one report. */
const hostsMax = 10_000;
const reportMax = 1000;

/** The hosts of this worker whose policy wants health checks, for the primary, which makes them. */
export class CheckedHosts {
  private readonly report: (patterns: readonly string[]) => void;
  private readonly setTimer: SetTimer;
  private readonly known = new Set<string>();
  private readonly waiting = new Set<string>();
  private cancelReport: (() => void) | null = null;
  private cancelConfirmation: (() => void) | null = null;
  private closed = false;

  constructor(report: (patterns: readonly string[]) => void, setTimer = setRealTimer) {
    this.report = report;
    this.setTimer = setTimer;
  }

  /** The frontend has got its policy. */
  resolved({ pattern, policy }: Pick<Frontend, 'pattern' | 'policy'>): void {
    if (policy === null || policy.health === null) {
      this.known.delete(pattern);
      return;
    }
    if (this.known.has(pattern) || this.closed) return;
    this.known.add(pattern);
    if (this.known.size > hostsMax) {
      const [oldest = ''] = this.known;
      this.known.delete(oldest);
    }
    if (this.waiting.size < hostsMax) this.waiting.add(pattern);
    this.cancelReport ??= this.setTimer(reportAfterMs, () => this.send());
    this.cancelConfirmation ??= this.setTimer(confirmEveryMs, () => this.confirm());
  }

  close(): void {
    this.closed = true;
    this.cancelReport?.();
    this.cancelConfirmation?.();
  }

  private send(): void {
    this.cancelReport = null;
    const patterns = [...this.waiting];
    this.waiting.clear();
    for (let from = 0; from < patterns.length; from += reportMax) this.report(patterns.slice(from, from + reportMax));
  }

  private confirm(): void {
    this.cancelConfirmation = null;
    if (this.known.size === 0) return;
    for (const pattern of this.known) this.waiting.add(pattern);
    this.send();
    this.cancelConfirmation = this.setTimer(confirmEveryMs, () => this.confirm());
  }
}

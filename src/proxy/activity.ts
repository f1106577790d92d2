import type { UsedHost } from '../base/hook-target.ts';
import type { Frontend } from '../routing/frontend.ts';
import type { ProxyContext } from './context.ts';
import type { Tunnels } from './tunnel/tunnels.ts';

/** How often uses are reported, in ms. */
const reportEveryMs = 1000;
/** Hosts of one report. Further ones are in the next. */
const reportMax = 1000;

/** Which hosts are used, of those whose platform wants to know when they are not. */
export class Activity {
  private readonly tunnels: Tunnels;
  private readonly report: (hosts: readonly UsedHost[]) => void;
  private readonly used = new Map<string, Frontend>();
  /** Whether any host has been used: then tunnels are looked at too. */
  private isWanted = false;
  /** Monotonic ms. */
  private reportedMs = 0;

  constructor(tunnels: Tunnels, report: (hosts: readonly UsedHost[]) => void) {
    this.tunnels = tunnels;
    this.report = report;
  }

  /** A request of a host with `idleAfter` begins or ends. */
  touch(frontend: Frontend): void {
    this.isWanted = true;
    this.used.set(frontend.pattern, frontend);
  }

  tick({ clock, policy }: Pick<ProxyContext, 'clock' | 'policy'>): void {
    const nowMs = clock.monotonicMs();
    if (!this.isWanted || nowMs - this.reportedMs < reportEveryMs) return;
    this.tunnels.activeSince(this.reportedMs, (frontend) => {
      if (idleAfterOf(frontend, policy.idleAfterMs) > 0) this.used.set(frontend.pattern, frontend);
    });
    this.reportedMs = nowMs;
    const hosts: UsedHost[] = [];
    const kept: Frontend[] = [];
    for (const [pattern, frontend] of this.used) {
      const { idleAfterMs, wake } = frontend.policy ?? policy;
      // A request that goes on is a use; a tunnel is one with each frame.
      const { inFlight, waiting } = frontend.load;
      this.used.delete(pattern);
      // To the end, so that further hosts are reported too.
      if (idleAfterMs > 0 && (inFlight > 0 || waiting !== null)) kept.push(frontend);
      if (idleAfterMs > 0 && wake !== null) hosts.push({ pattern, idleAfterMs, target: wake });
      if (hosts.length === reportMax) break;
    }
    for (const frontend of kept) this.used.set(frontend.pattern, frontend);
    if (hosts.length > 0) this.report(hosts);
  }
}

function idleAfterOf({ policy }: Frontend, byDefault: number): number {
  return policy?.idleAfterMs ?? byDefault;
}

import { setTimeout as delay } from 'node:timers/promises';
import type { Running } from '../processes.ts';
import { startProgram } from '../program.ts';
import type { TunnelsReport, TunnelsSettings } from '../programs/tunnels.ts';
import type { RunningProxy } from '../proxies/proxy.ts';
import type { Site } from '../site.ts';

const openMsMax = 60_000;
let started = 0;

/** Tunnels that are only to stay open. */
export class HeldTunnels {
  readonly count: number;
  private readonly running: Running;

  private constructor(count: number, running: Running) {
    this.count = count;
    this.running = running;
  }

  /** Opens `count` tunnels through a proxy. */
  static async open(site: Site, { port }: RunningProxy, count: number): Promise<HeldTunnels> {
    const settings: TunnelsSettings = {
      ...{ port, host: site.echoHost, connections: count, mode: 'hold', bytes: 64, burst: 1, seconds: 0 },
    };
    const running = startProgram(site, 'tunnels', `held-tunnels-${++started}`, settings);
    for (const endMs = performance.now() + openMsMax; performance.now() < endMs; await delay(50)) {
      if (running.output().includes('"open"')) return new HeldTunnels(count, running);
    }
    throw new Error(`the tunnels did not open:\n${running.output()}`);
  }

  /** Gives the tunnels up. @returns how many of them the proxy had closed. */
  async close(): Promise<number> {
    await this.running.stop();
    const report: TunnelsReport = JSON.parse(this.running.output().trim().split('\n').at(-1) ?? '{}');
    return report.closed;
  }
}

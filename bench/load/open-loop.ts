import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { OpenLoopSettings } from '../programs/open-loop.ts';
import type { Site } from '../site.ts';
import type { LoadResult } from './wrk.ts';

/** How long it may take to end after its time, in ms. */
const endMsMax = 30_000;
/** How long its program takes to start, about, in ms. */
const startMs = 500;

/** Much room for new objects: a garbage collection about every second instead of a hundred in each. */
const fewPauses = ['--min-semi-space-size=64', '--max-semi-space-size=64'];

/** Of this load, in seconds: its own program has to get warm too. */
export const warmUpSeconds = 2;

/** A load that goes on until it is ended. */
interface StartedLoad {
  /** @returns what it measured since its warm-up. */
  end(): Promise<LoadResult>;
}

/**
 * Starts a load at a fixed rate, and waits until it is warm.
 * @param label of the process: no other has it.
 * @param settings with the seconds after which it ends by itself.
 */
export async function startOpenLoop(site: Site, label: string, settings: OpenLoopSettings): Promise<StartedLoad> {
  const load = site.processes.start(label, commandOf(settings), { core: site.loadCore, idle: true });
  await delay(settings.warmUpSeconds * 1000 + startMs);
  return {
    async end() {
      if (load.exitCode === null) process.kill(load.pid, 'SIGTERM');
      for (const end = performance.now() + endMsMax; performance.now() < end; await delay(20)) {
        if (load.exitCode === 0) return JSON.parse(load.output());
        if (load.exitCode !== null) break;
      }
      throw new Error(`${label} did not end well (${load.exitCode}):\n${load.output()}`);
    },
  };
}

/** Runs a load at a fixed rate (`programs/open-loop.ts`) on the load's core. */
export async function openLoop(site: Site, settings: OpenLoopSettings): Promise<LoadResult> {
  const output = await site.processes.run(
    'open-loop',
    commandOf(settings),
    { core: site.loadCore, idle: true },
    (settings.warmUpSeconds + settings.seconds) * 1000 + endMsMax,
  );
  return JSON.parse(output);
}

function commandOf(settings: OpenLoopSettings): readonly string[] {
  const program = fileURLToPath(import.meta.resolve('../programs/open-loop.ts'));
  return [process.execPath, ...fewPauses, program, JSON.stringify(settings)];
}

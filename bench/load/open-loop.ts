import { fileURLToPath } from 'node:url';
import type { OpenLoopSettings } from '../programs/open-loop.ts';
import type { Site } from '../site.ts';
import type { LoadResult } from './wrk.ts';

/** How long it may take to end after its time, in ms. */
const endMsMax = 30_000;

/** Much room for new objects: a garbage collection about every second instead of a hundred in each. */
const fewPauses = ['--min-semi-space-size=64', '--max-semi-space-size=64'];

/** Of this load, in seconds: its own program has to get warm too. */
export const warmUpSeconds = 2;

/** Runs a load at a fixed rate (`programs/open-loop.ts`) on the load's core. */
export async function openLoop(site: Site, settings: OpenLoopSettings): Promise<LoadResult> {
  const program = fileURLToPath(import.meta.resolve('../programs/open-loop.ts'));
  const output = await site.processes.run(
    'open-loop',
    [process.execPath, ...fewPauses, program, JSON.stringify(settings)],
    { core: site.loadCore, idle: true },
    (settings.warmUpSeconds + settings.seconds) * 1000 + endMsMax,
  );
  return JSON.parse(output);
}

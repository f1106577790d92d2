import { fileURLToPath } from 'node:url';
import type { OpenLoopSettings } from '../programs/open-loop.ts';
import type { Site } from '../site.ts';
import type { LoadResult } from './wrk.ts';

/** How long it may take to end after its time, in ms. */
const endMsMax = 30_000;

/** Runs a load at a fixed rate (`programs/open-loop.ts`) on the load's core. */
export async function openLoop(site: Site, settings: OpenLoopSettings): Promise<LoadResult> {
  const program = fileURLToPath(import.meta.resolve('../programs/open-loop.ts'));
  const output = await site.processes.run(
    'open-loop',
    [process.execPath, program, JSON.stringify(settings)],
    { core: site.loadCore, idle: true },
    (settings.warmUpSeconds + settings.seconds) * 1000 + endMsMax,
  );
  return JSON.parse(output);
}

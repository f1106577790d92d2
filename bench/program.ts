import { fileURLToPath } from 'node:url';
import type { Running } from './processes.ts';
import type { Site } from './site.ts';

/** Programs of `programs/` that have their settings as JSON in their only argument. */
const programs = {
  'route-writer': import.meta.resolve('./programs/route-writer.ts'),
  'route-prober': import.meta.resolve('./programs/route-prober.ts'),
  'fleet-prober': import.meta.resolve('./programs/fleet-prober.ts'),
  tunnels: import.meta.resolve('./programs/tunnels.ts'),
  flood: import.meta.resolve('./programs/flood.ts'),
  'hello-flood': import.meta.resolve('./programs/hello-flood.ts'),
  'certificate-cache': import.meta.resolve('./programs/certificate-cache.ts'),
  'http2-idle': import.meta.resolve('./programs/http2-idle.ts'),
  sleeper: import.meta.resolve('./programs/sleeper.ts'),
};

/** How long one may take to start and end, in ms. */
const marginMs = 60_000;

/**
 * Runs a program on the load's core to its end.
 * @param seconds that it takes by its settings.
 * @returns what it printed.
 */
export async function runProgram<Result>(
  site: Site,
  name: keyof typeof programs,
  settings: unknown,
  seconds: number,
): Promise<Result> {
  const output = await site.processes.run(
    name,
    commandOf(name, settings),
    { core: site.loadCore },
    seconds * 1000 + marginMs,
  );
  return JSON.parse(output);
}

/** Starts a program on the load's core. @param label that no other process of the run has. */
export function startProgram(site: Site, name: keyof typeof programs, label: string, settings: unknown): Running {
  return site.processes.start(label, commandOf(name, settings), { core: site.loadCore });
}

function commandOf(name: keyof typeof programs, settings: unknown): readonly string[] {
  return [process.execPath, fileURLToPath(programs[name]), JSON.stringify(settings)];
}

import { HipacheError } from '../base/errors.ts';
import { printable } from '../base/printable.ts';
import type { Performer } from '../operations/catalogue.ts';
import type { Fleet, FleetInstance, LiveChange } from '../operations/fleet.ts';
import { alignColumns, type Report } from './output.ts';
import { duration } from './when.ts';

/** Seconds that `--wait` waits without a number, and at most. */
const waitSecondsDefault = 10;
const waitSecondsMax = 3600;

/** The option of commands that write. */
export const waitOption = [
  '--wait [seconds]',
  `wait until every instance serves the change; default ${waitSecondsDefault} s`,
] as const;

/** @returns how long to wait, in seconds; null: not at all. @throws HipacheError COMMAND_INVALID. */
export function parseWait(wait: string | true | undefined): number | null {
  if (wait === undefined) return null;
  const seconds = wait === true ? waitSecondsDefault : Number(wait);
  if (/^\d+(\.\d+)?$/.test(wait === true ? '1' : wait) && seconds <= waitSecondsMax) return seconds;
  throw new HipacheError(
    'COMMAND_INVALID',
    `--wait: found ${JSON.stringify(wait)}, allowed 0 to ${waitSecondsMax} seconds; write it as --wait=5`,
  );
}

/**
 * Prints the report of a change.
 * @param waitSeconds how long the change may take to be live; null: nobody waits for it.
 * @throws HipacheError NOT_LIVE, after the report.
 */
export async function printChange(
  report: Report,
  waitSeconds: number | null,
  { perform, print }: Performer & { print(report: Report): Promise<void> },
): Promise<void> {
  if (waitSeconds === null) return print(report);
  try {
    await print(withLive(report, await perform('waitUntilLive', { seconds: waitSeconds })));
  } catch (error) {
    await print(report);
    throw error;
  }
}

export function fleetReport(fleet: Fleet): Report {
  const { revision, instances } = fleet;
  if (instances.length === 0) return { text: 'no instance runs\n', json: fleet };
  const heading = ['instance', 'host', 'version', 'workers', 'revision', 'heard', 'since'];
  const rows = instances.map((one) => [
    printable(one.instance),
    printable(one.host),
    printable(one.version),
    String(one.workers.length),
    shownRevision(one),
    one.heardMs === null ? '-' : `${duration(one.heardMs)} ago`,
    printable(one.since),
  ]);
  const behind = instances.filter(({ isCurrent }) => !isCurrent).length;
  const state =
    behind === 0 ? 'all instances serve it' : `${behind} of ${instances.length} instances do not serve it yet`;
  const text = `${alignColumns([heading, ...rows])}revision of the store: ${revision}; ${state}\n${holdingText(instances)}`;
  return { text, json: fleet };
}

function holdingText(instances: readonly FleetInstance[]): string {
  const holding = instances.filter(({ heldRoutes }) => heldRoutes > 0);
  if (holding.length === 0) return '';
  const named = holding.map(({ instance, heldRoutes }) => `${printable(instance)} holds ${heldRoutes} routes`);
  return `${named.join(', ')} that the store does not have any more; if they were removed: hipache route accept\n`;
}

/** The workers that are behind are named. */
function shownRevision({ isCurrent, revision, workers }: FleetInstance): string {
  if (isCurrent) return String(revision);
  const behind = workers.filter((worker) => worker.revision === revision).map(({ number }) => number);
  return behind.length === 0 ? `${revision}, behind` : `${revision}, behind (worker ${behind.join(', ')})`;
}

/** The report of a change that `--wait` has waited for. */
function withLive({ text, json }: Report, live: LiveChange): Report {
  const { instances, workers, afterMs } = live;
  const where =
    instances === 0
      ? 'no instance runs'
      : `live on ${instances} ${instances === 1 ? 'instance' : 'instances'}, ${workers} ${workers === 1 ? 'worker' : 'workers'}`;
  return { text: `${text.trimEnd()}; ${where}, after ${afterMs} ms\n`, json: { ...(json as object), live } };
}

import { printable } from '../base/printable.ts';
import type { Fleet, FleetInstance, LiveChange } from '../operations/fleet.ts';
import { alignColumns, type Report } from './output.ts';
import { duration } from './when.ts';

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
export function withLive({ text, json }: Report, live: LiveChange): Report {
  const { instances, workers, afterMs } = live;
  const where =
    instances === 0
      ? 'no instance runs'
      : `live on ${instances} ${instances === 1 ? 'instance' : 'instances'}, ${workers} ${workers === 1 ? 'worker' : 'workers'}`;
  return { text: `${text.trimEnd()}; ${where}, after ${afterMs} ms\n`, json: { ...(json as object), live } };
}

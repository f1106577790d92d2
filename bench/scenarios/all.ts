import { balanceGroup } from './balance.ts';
import { certificateMemoryGroup, certificatesGroup } from './certificates.ts';
import { changeCostGroup } from './change-cost.ts';
import { changesGroup } from './changes.ts';
import { churnGroup } from './churn.ts';
import { fleetGroup } from './fleet.ts';
import { handshakesGroup } from './handshakes.ts';
import { hostOptionsGroup, sleepGroup } from './host-options.ts';
import { http2Group } from './http2.ts';
import { http2MemoryGroup } from './http2-memory.ts';
import { latencyGroup } from './latency.ts';
import { liveGroup } from './live.ts';
import { memoryGroup } from './memory.ts';
import { millionGroup } from './million.ts';
import { movesGroup } from './moves.ts';
import { routesMemoryGroup } from './routes-memory.ts';
import type { Group } from './scenario.ts';
import { throughputGroups } from './throughput.ts';
import { echoGroup, idleTunnelsGroup } from './tunnels.ts';

/** Every scenario, in the order in which they are measured. */
const allGroups: readonly Group[] = [
  ...throughputGroups,
  handshakesGroup,
  http2Group,
  http2MemoryGroup,
  echoGroup,
  idleTunnelsGroup,
  latencyGroup,
  balanceGroup,
  changesGroup,
  movesGroup,
  fleetGroup,
  liveGroup,
  churnGroup,
  memoryGroup,
  routesMemoryGroup,
  millionGroup,
  changeCostGroup,
  hostOptionsGroup,
  sleepGroup,
  certificateMemoryGroup,
  certificatesGroup,
];

export function scenarioNames(): readonly string[] {
  return allGroups.flatMap(({ scenarios }) => scenarios.map(({ name }) => name));
}

/**
 * The groups that have one of these scenarios, with only those. A name also stands for all that begin with it and a
 * dash: `hosts` for `hosts-10` and `hosts-100k`.
 * @param only null for all, or for those of the short form.
 * @throws where a name is of none.
 */
export function chooseGroups(only: readonly string[] | null, short: boolean): readonly Group[] {
  if (only === null) return allGroups.filter((group) => group.short || !short);
  const unknown = only.find((name) => !scenarioNames().some((known) => isNamed(known, name)));
  if (unknown !== undefined) throw new Error(`--only: "${unknown}" is none of ${scenarioNames().join(', ')}`);
  return allGroups
    .map((group) => ({
      ...group,
      scenarios: group.scenarios.filter(({ name }) => only.some((one) => isNamed(name, one))),
    }))
    .filter(({ scenarios }) => scenarios.length > 0);
}

function isNamed(scenario: string, name: string): boolean {
  return scenario === name || scenario.startsWith(`${name}-`);
}

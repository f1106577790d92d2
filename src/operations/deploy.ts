import { HipacheError } from '../base/errors.ts';
import { readBackendUrl } from '../routing/backend-url.ts';
import { checkChange } from './changing-routes.ts';
import type { ProbeWays } from './deploy-health.ts';
import {
  type Deployed,
  type DeploySettings,
  type DeployStep,
  type DeployStore,
  type DeployText,
  parseSettings,
  probeNew,
  readFormer,
  readPrevious,
  swapBackends,
  underLease,
  without,
} from './deploy-swap.ts';
import type { Operation } from './operation.ts';

/** Operations by deploys. */
export type DeployOperation = Operation<DeployStore, Deployed>;

/** How a deploy reaches backends, and whom it tells of its steps. */
export interface DeployWays {
  readonly ways: ProbeWays;
  readonly now: () => number;
  readonly onStep: (step: DeployStep) => void;
}

/**
 * Replaces the backends of a route without losing a request: asks the new ones until they are healthy, swaps the record in
 * one write, waits until every instance serves it, and lets the former ones finish everywhere, also those of a canary.
 * @throws HipacheError COMMAND_INVALID; DEPLOY_UNHEALTHY, DEPLOY_BUSY, CONFLICT: nothing has changed; NOT_LIVE: the new
 *   backends serve, and the former ones stay in the record, where they get no requests from the instances that know it.
 */
export function deploy(host: string, urls: readonly string[], text: DeployText, ways: DeployWays): DeployOperation {
  const { pattern, wanted } = checkDeployed(host, urls);
  return deploying(pattern, text, ways, (store, settings) =>
    replaceBackends(store, pattern, wanted, settings, ways.now),
  );
}

/**
 * Deploys the backends again that the last deploy has replaced.
 * @throws HipacheError as `deploy`; NOT_FOUND if no deploy is known.
 */
export function rollBack(host: string, text: DeployText, ways: DeployWays): DeployOperation {
  const { pattern } = checkChange('remove', host, [], {});
  return deploying(pattern, text, ways, async (store, settings) => {
    const previous = await readPrevious(store, pattern);
    if (previous.length === 0) {
      throw new HipacheError('NOT_FOUND', `${pattern} has no deploy to roll back: none has replaced a backend`);
    }
    return replaceBackends(store, pattern, previous, settings, ways.now);
  });
}

/** An operation that holds the lease of the host. @throws HipacheError COMMAND_INVALID. */
export function deploying(
  pattern: string,
  text: DeployText,
  { onStep, ways }: DeployWays,
  act: (store: DeployStore, settings: DeploySettings) => Promise<Omit<Deployed, 'afterMs'>>,
): DeployOperation {
  const settings = parseSettings(text, ways, onStep);
  return (store) =>
    underLease(store, pattern, settings, async () => {
      const startMs = performance.now();
      const deployed = await act(store, settings);
      return { ...deployed, afterMs: Math.round(performance.now() - startMs) };
    });
}

/** @returns the backends as they are written. @throws HipacheError COMMAND_INVALID. */
export function checkDeployed(
  host: string,
  urls: readonly string[],
): { readonly pattern: string; readonly wanted: readonly string[] } {
  const { pattern, urls: wanted } = checkChange('set', host, urls, {});
  for (const url of wanted) {
    if (readBackendUrl(url).target?.canaryShare != null) {
      throw new HipacheError('COMMAND_INVALID', `${url}: give the share as --canary 5%, for all backends`);
    }
  }
  return { pattern, wanted };
}

async function replaceBackends(
  store: DeployStore,
  pattern: string,
  wanted: readonly string[],
  settings: DeploySettings,
  now: () => number,
): Promise<Omit<Deployed, 'afterMs'>> {
  const former = await readFormer(store, pattern, now());
  await probeNew(former, wanted, settings);
  const isReplaced = without(wanted);
  const isChanged = former.ordinary.join(' ') !== wanted.join(' ');
  const previous = isChanged ? former.ordinary : [];
  const replaced = [...former.ordinary, ...former.canaries].filter(isReplaced);
  const swap = { action: 'deployed', ordinary: wanted, canary: null, replaced, previous } as const;
  return swapBackends(store, former, swap, settings, now);
}

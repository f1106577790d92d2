import { HipacheError } from '../base/errors.ts';
import { readShare, withCanaryShare } from '../routing/backend-url.ts';
import { checkChange } from './changing-routes.ts';
import { checkDeployed, type DeployOperation, type DeployWays, deploying } from './deploy.ts';
import { type DeployText, type FormerRecord, probeNew, readFormer, swapBackends, without } from './deploy-swap.ts';

/**
 * Gives backends a share of the clients of a route, once they are healthy. They replace the former canary, whose other
 * backends drain; the other backends of the route stay as they are.
 * @param given the share as an operator gives it: `5%`.
 * @throws HipacheError as `deploy`; COMMAND_INVALID if the route has no other backends.
 */
export function deployCanary(
  host: string,
  urls: readonly string[],
  given: string,
  text: DeployText,
  ways: DeployWays,
): DeployOperation {
  const { pattern, wanted } = checkDeployed(host, urls);
  const share = readShare(given.replace(/%$/, ''));
  if (share === null) {
    const found = JSON.stringify(given);
    throw new HipacheError(
      'COMMAND_INVALID',
      `--canary: found ${found}, allowed 0.1% to 99.9%, with one decimal at most`,
    );
  }
  return deploying(pattern, text, ways, async (store, settings) => {
    const former = await readFormer(store, pattern, ways.now());
    requireOrdinary(former, 'deploy without --canary first');
    const ordinary = wanted.find((url) => !without(former.ordinary)(url));
    if (ordinary !== undefined) {
      throw new HipacheError(
        'COMMAND_INVALID',
        `${ordinary} serves all clients of ${pattern}; it cannot be its canary`,
      );
    }
    await probeNew(former, wanted, settings);
    const replaced = former.canaries.filter(without(wanted));
    const canary = { share, backends: wanted.map((url) => withCanaryShare(url, share)) };
    const swap = { ...former, action: 'canary', canary, replaced, previous: [] } as const;
    return swapBackends(store, former, swap, settings, ways.now);
  });
}

/**
 * Makes the canary the backends of all clients, and lets the others finish: a deploy of the canary.
 * @throws HipacheError as `deploy`; NOT_FOUND if there is no canary.
 */
export function promoteCanary(host: string, text: DeployText, ways: DeployWays): DeployOperation {
  const { pattern } = checkChange('remove', host, [], {});
  return deploying(pattern, text, ways, async (store, settings) => {
    const former = await readFormer(store, pattern, ways.now());
    requireCanary(former);
    const ordinary = former.canaries.map((url) => withCanaryShare(url, null));
    await probeNew(former, ordinary, settings);
    const replaced = former.ordinary;
    const swap = { action: 'promoted', ordinary, canary: null, replaced, previous: former.ordinary } as const;
    return swapBackends(store, former, swap, settings, ways.now);
  });
}

/**
 * Lets the canary finish, and removes it.
 * @throws HipacheError as `deploy`; NOT_FOUND if there is no canary; COMMAND_INVALID if the route has no other backends.
 */
export function abortCanary(host: string, text: DeployText, ways: DeployWays): DeployOperation {
  const { pattern } = checkChange('remove', host, [], {});
  return deploying(pattern, text, ways, async (store, settings) => {
    const former = await readFormer(store, pattern, ways.now());
    requireCanary(former);
    requireOrdinary(former, 'none would be left');
    const swap = { ...former, action: 'aborted', canary: null, replaced: former.canaries, previous: [] } as const;
    return swapBackends(store, former, swap, settings, ways.now);
  });
}

function requireCanary({ canaries, pattern }: FormerRecord): void {
  if (canaries.length > 0) return;
  const hint = `"hipache deploy ${pattern} URL --canary 5%" makes one`;
  throw new HipacheError('NOT_FOUND', `${pattern} has no canary; ${hint}`);
}

function requireOrdinary({ ordinary, pattern }: FormerRecord, hint: string): void {
  if (ordinary.length > 0) return;
  throw new HipacheError('COMMAND_INVALID', `${pattern} has no backends beside a canary; ${hint}`);
}

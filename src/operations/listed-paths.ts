import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { HipacheError } from '../base/errors.ts';
import { pathsMax, pathsOption } from '../policy/path-types.ts';
import { optionsInForce } from '../policy/read-options.ts';
import { hostPatternOf, pathOf } from '../routing/patterns.ts';
import { hasRoute, type Store } from '../stores/contract.ts';
import { Lease } from '../stores/lease.ts';

/** The parts of a store that routes with paths need. */
export type PathStore = Pick<Store, 'options' | 'notes' | 'routes'>;

/** How long another edit of the same host's paths is waited for, in ms. */
const leaseWaitMs = 10_000;

/**
 * Names the prefixes of these patterns in the option `paths` of their hosts, or does not name them any more. Patterns
 * without a path are left out. Does nothing if all is as it is to be.
 * @throws HipacheError COMMAND_INVALID for more paths than a host may have; CONFLICT if another command edits the paths of a host for longer than 10 s.
 */
export async function listPaths(store: PathStore, patterns: readonly string[], isListed: boolean): Promise<void> {
  const byHost = Map.groupBy(
    patterns.filter((pattern) => pathOf(pattern) !== ''),
    hostPatternOf,
  );
  for (const [host, named] of byHost) await editPaths(store, host, named.map(pathOf), isListed);
}

/** @throws HipacheError COMMAND_INVALID for more paths than a host may have. */
export async function checkPaths(store: PathStore, patterns: readonly string[]): Promise<void> {
  const withPath = patterns.filter((pattern) => pathOf(pattern) !== '');
  for (const [host, named] of Map.groupBy(withPath, hostPatternOf)) {
    await changedPaths(store, host, named.map(pathOf), true);
  }
}

/** A note for people if requests never come to the route of a pattern, because its host has none. */
export async function pathWarning({ routes }: Pick<Store, 'routes'>, pattern: string): Promise<string | null> {
  if (pathOf(pattern) === '') return null;
  const host = hostPatternOf(pattern);
  const [record = null] = await routes.read([host]);
  return hasRoute(record) ? null : `${host} has no route: requests come to its paths once it has one`;
}

async function editPaths(
  store: PathStore,
  host: string,
  prefixes: readonly string[],
  isListed: boolean,
): Promise<void> {
  if ((await changedPaths(store, host, prefixes, isListed)) === null) return;
  // The value is read and written: two edits at once could lose one of them.
  const holder = `${hostname()}, process ${process.pid} (${randomUUID().slice(0, 8)})`;
  const options = { notes: store.notes, name: `paths:${host}`, holder, onLost: () => {} };
  const lease = await Lease.acquire(options, leaseWaitMs);
  if (typeof lease === 'string') {
    throw new HipacheError('CONFLICT', `the paths of ${host} are being edited by ${lease}; try again`);
  }
  try {
    const text = await changedPaths(store, host, prefixes, isListed);
    if (text !== null) await store.options.change(host, new Map([[pathsOption, text === '' ? null : text]]));
  } finally {
    await lease.release().catch(() => {});
  }
}

/** The value that the option is to have, empty for none; null if it has it. */
async function changedPaths(
  { options }: PathStore,
  host: string,
  prefixes: readonly string[],
  isListed: boolean,
): Promise<string | null> {
  const [stored = null] = await options.read([host]);
  const { values } = optionsInForce([{ pattern: host, options: stored?.options ?? new Map() }]);
  const present = values.paths ?? [];
  const rest = present.filter((prefix) => !prefixes.includes(prefix));
  const wanted = isListed ? [...present, ...prefixes.filter((prefix) => !present.includes(prefix))] : rest;
  if (wanted.length > Math.max(pathsMax, present.length)) {
    throw new HipacheError('COMMAND_INVALID', `${host}: found ${wanted.length} paths, allowed are ${pathsMax}`);
  }
  return wanted.length === present.length ? null : wanted.join(', ');
}

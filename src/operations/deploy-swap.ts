import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { HipacheError } from '../base/errors.ts';
import { shownBackend } from '../base/shown-url.ts';
import { durationMs } from '../policy/option-type.ts';
import { backendIdentity, readBackendUrl } from '../routing/backend-url.ts';
import { hasRoute, type Store } from '../stores/contract.ts';
import { Lease } from '../stores/lease.ts';
import { noteName } from '../stores/note-name.ts';
import { absentVersion, recordVersion } from '../stores/record-version.ts';
import {
  type FirstCheck,
  type HealthCheckText,
  type ProbeWays,
  parseHealthCheck,
  untilHealthy,
} from './deploy-health.ts';
import { type DrainedFleet, drainMarked } from './draining.ts';
import { type LiveChange, waitUntilLive } from './fleet.ts';
import { listPaths } from './listed-paths.ts';
import { noRoute } from './routes.ts';

/** The parts of a store that deploys work on. */
export type DeployStore = Pick<Store, 'routes' | 'options' | 'capabilities' | 'instances' | 'notes'>;

/** The settings of a deploy as an operator gives them. */
export interface DeployText extends HealthCheckText {
  /** How long the former backends may take to finish: `30s`. */
  readonly drain?: string | undefined;
  /** How long the new record may take to be live everywhere: `10s`. */
  readonly liveTimeout?: string | undefined;
  /** How long to wait for another deploy of the host to end; default: not at all. */
  readonly queue?: string | undefined;
}

/** A step that a deploy has come to, for people who watch it. */
export type DeployStep =
  | { readonly step: 'probed'; readonly url: string; readonly problem: string }
  | { readonly step: 'waiting'; readonly holder: string }
  | { readonly step: 'swapped'; readonly draining: readonly string[] }
  | { readonly step: 'live'; readonly live: LiveChange | null };

export interface Deployed {
  readonly action: 'deployed' | 'canary' | 'promoted' | 'aborted';
  readonly pattern: string;
  /** The backends of the route, without those of its canary. */
  readonly backends: readonly string[];
  /** The canary of the route; null if it has none. */
  readonly canary: DeployedCanary | null;
  /** The backends that it has removed. */
  readonly replaced: readonly string[];
  /** Of the route after the deploy. */
  readonly version: string;
  /** Null if the store cannot tell which instances serve what. */
  readonly live: LiveChange | null;
  /** The end of what was in progress at the replaced backends; null if there were none, or if the store cannot tell. */
  readonly drained: DrainedFleet | null;
  readonly afterMs: number;
}

interface DeployedCanary {
  /** Of the clients, in percent. */
  readonly share: number;
  readonly backends: readonly string[];
}

export interface DeploySettings {
  readonly check: FirstCheck;
  readonly drainMs: number;
  readonly liveMs: number;
  readonly queueMs: number;
  readonly ways: ProbeWays;
  readonly onStep: (step: DeployStep) => void;
}

/** The backends that a deploy replaced, for a rollback. */
interface DeployNote {
  readonly previous: readonly string[];
}

/** The record before a deploy. */
export interface FormerRecord {
  readonly pattern: string;
  readonly version: string;
  /** The backends that get requests, as they are written. */
  readonly ordinary: readonly string[];
  readonly canaries: readonly string[];
  /** Those that drain, until a time that is not over. */
  readonly draining: readonly string[];
  /** Texts that are no backends. */
  readonly unusable: readonly string[];
}

/** The backends that a record gets in one write, as they are written. */
export interface Swap {
  readonly action: Deployed['action'];
  readonly ordinary: readonly string[];
  readonly canary: DeployedCanary | null;
  /** Further elements that stay. */
  readonly unusable?: readonly string[];
  /** Those that drain and are then removed. */
  readonly replaced: readonly string[];
  /** All that served before, which a rollback deploys again; with none it keeps those of the deploy before. */
  readonly previous: readonly string[];
}

const drainMaxMs = 24 * 3_600_000;

/** @throws HipacheError COMMAND_INVALID. */
export function parseSettings(text: DeployText, ways: ProbeWays, onStep: DeploySettings['onStep']): DeploySettings {
  const { drain = '30s', liveTimeout = '10s', queue = '0s' } = text;
  return {
    check: parseHealthCheck(text),
    drainMs: timeOf('--drain', drain, drainMaxMs),
    liveMs: timeOf('--live-timeout', liveTimeout, 3_600_000),
    queueMs: timeOf('--queue', queue, drainMaxMs),
    ways,
    onStep,
  };
}

/** @throws HipacheError DEPLOY_BUSY. */
export async function underLease<Result>(
  { notes }: DeployStore,
  pattern: string,
  { onStep, queueMs }: DeploySettings,
  use: () => Promise<Result>,
): Promise<Result> {
  const holder = `${hostname()}, process ${process.pid}, since ${new Date().toISOString()} (${randomUUID().slice(0, 8)})`;
  const options = { notes, name: `deploy:${pattern}`, holder, onLost: ignore };
  let lease = await Lease.acquire(options);
  if (typeof lease === 'string' && queueMs > 0) {
    onStep({ step: 'waiting', holder: lease });
    lease = await Lease.acquire(options, queueMs);
  }
  if (typeof lease === 'string') {
    const problem = `${pattern} is being deployed by ${lease}; --queue 60s waits for its end`;
    throw new HipacheError('DEPLOY_BUSY', `${problem}. Nothing has changed`);
  }
  try {
    return await use();
  } finally {
    await lease.release().catch(ignore);
  }
}

/** Reads the record that a deploy changes; one without backends if there is none. @throws HipacheError NOT_FOUND. */
export async function readFormer({ routes }: DeployStore, pattern: string, nowMs: number): Promise<FormerRecord> {
  const [record = null] = await routes.read([pattern]);
  const former = {
    ordinary: [] as string[],
    canaries: [] as string[],
    draining: [] as string[],
    unusable: [] as string[],
  };
  if (!hasRoute(record)) return { pattern, version: absentVersion, ...former };
  if (record.problem !== undefined) throw noRoute(pattern);
  // Of a backend that is there twice, the first counts.
  const lists = new Map<string, string[]>();
  for (const url of record.frontend.slice(1)) {
    if (typeof url !== 'string') continue;
    const { target } = readBackendUrl(url);
    if (target === null) {
      former.unusable.push(url);
      continue;
    }
    let list = lists.get(target.url);
    if (list === undefined) {
      if (target.drainUntilMs !== null) list = target.drainUntilMs > nowMs ? former.draining : [];
      else list = target.canaryShare === null ? former.ordinary : former.canaries;
      lists.set(target.url, list);
    }
    list.push(url);
  }
  return { pattern, version: recordVersion(record.frontend), ...former };
}

/** Asks those of the backends that the record does not have yet, or all of them if it has all. */
export async function probeNew(
  { canaries, ordinary, pattern }: FormerRecord,
  wanted: readonly string[],
  { check, onStep, ways }: DeploySettings,
): Promise<void> {
  const isNew = without([...ordinary, ...canaries]);
  const probed = wanted.filter(isNew);
  await untilHealthy(probed.length === 0 ? wanted : probed, pattern, check, ways, (url, problem) =>
    onStep({ step: 'probed', url: shownBackend(url), problem }),
  );
}

/** Whether a URL is none of these backends, whatever the settings. */
export function without(urls: readonly string[]): (url: string) => boolean {
  const identities = new Set(urls.map(backendIdentity));
  return (url) => !identities.has(backendIdentity(url));
}

/**
 * Writes the new backends, waits until every instance serves them, and lets the replaced ones finish.
 * @throws HipacheError CONFLICT: nothing has changed; NOT_LIVE.
 */
export async function swapBackends(
  store: DeployStore,
  { draining, pattern, version }: FormerRecord,
  { action, canary, ordinary, previous, replaced, unusable = [] }: Swap,
  { drainMs, liveMs, onStep }: DeploySettings,
  now: () => number,
): Promise<Omit<Deployed, 'afterMs'>> {
  // The replaced ones serve on until an instance has heard of the new record.
  const untilMs = Math.round(now() + drainMs);
  const serving = [...ordinary, ...(canary?.backends ?? [])];
  // With its other settings: one with another name for TLS would be another backend, whose requests nobody waits for.
  const leaving = replaced.map((url) => `${url}${url.includes('#') ? '&' : '#'}drain=${untilMs}`);
  const urls = [...serving, ...unusable, ...leaving, ...draining.filter(without(serving))];
  const expiryMs = await store.routes.expiry(pattern);
  const ttlSeconds = expiryMs === null ? null : Math.max(1, Math.ceil((expiryMs - now()) / 1000));
  // Before the swap: a command that ends between the two must not leave a note of a deploy before.
  const formerNote = await store.notes.read(noteName('deploy', pattern));
  if (previous.length > 0) {
    await store.notes.write(noteName('deploy', pattern), JSON.stringify({ previous } satisfies DeployNote));
  }
  const change = { kind: 'set', pattern, urls, ifVersion: version, ttlSeconds } as const;
  const [outcome] = await store.routes.apply([change]).catch(async (error: unknown) => {
    await store.notes.write(noteName('deploy', pattern), formerNote);
    throw error;
  });
  await listPaths(store, [pattern], true);
  onStep({ step: 'swapped', draining: replaced.map(shownBackend) });
  const live = store.instances === null ? null : await waitUntilLive(store, liveMs, now);
  onStep({ step: 'live', live });
  const shown = {
    action,
    pattern,
    backends: ordinary.map(shownBackend),
    canary: canary === null ? null : { ...canary, backends: canary.backends.map(shownBackend) },
    replaced: replaced.map(shownBackend),
    live,
  };
  if (leaving.length === 0) return { ...shown, version: recordVersion(outcome?.after ?? null), drained: null };
  const { fleet, removed } = await drainMarked(store, { pattern, urls: replaced, untilMs, drainMs }, now);
  return { ...shown, version: removed.version, drained: fleet };
}

/** The backends that the last deploy has replaced. */
export async function readPrevious({ notes }: DeployStore, pattern: string): Promise<readonly string[]> {
  const text = await notes.read(noteName('deploy', pattern));
  if (text === null) return [];
  try {
    const { previous } = JSON.parse(text) as { previous?: unknown };
    return Array.isArray(previous) ? previous.filter((url) => typeof url === 'string') : [];
  } catch {
    return [];
  }
}

function timeOf(option: string, text: string, maxMs: number): number {
  const ms = durationMs(text);
  if (ms >= 0 && ms <= maxMs) return ms;
  const allowed = `a time up to ${maxMs / 3_600_000}h, with its unit: 30s`;
  throw new HipacheError('COMMAND_INVALID', `${option}: found ${JSON.stringify(text)}, allowed ${allowed}`);
}

function ignore(): void {}

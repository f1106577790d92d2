import { shownBackend } from '../base/shown-url.ts';
import { Backend, type DownMark, markReported } from './backend.ts';
import { type BackendTarget, quote, readBackendUrl, weightMax } from './backend-url.ts';
import { type BackendGroup, type Frontend, noDraining, type RecordProblem, servingBackends } from './frontend.ts';
import { RetryBudget } from './retry-budget.ts';

/** Limit for the elements of a record after the identifier; further ones are skipped. */
export const backendsMax = 10_000;
/** Number of problems listed for one record; the rest are summed up in one entry. */
const problemsMax = 20;
/** Longest identifier in characters; a longer one is truncated. */
const idCharsMax = 1024;

/** The record of a pattern, as a store returns it. */
export interface RecordSource {
  /** `[identifier, url, url, …]`, unchecked. */
  readonly frontend: readonly unknown[];
  /** Dead marks by backend URL. */
  readonly down: ReadonlyMap<string, DownMark>;
  /** The options of the pattern, if it has some. */
  readonly options?: ReadonlyMap<string, string>;
  /** Why the record as a whole could not be read, if so. */
  readonly problem?: string;
  /** Other parts that could not be read. */
  readonly diagnostics?: readonly string[];
}

/**
 * Parses a record. Bad parts are skipped and listed in `problems`; the rest serves. Never throws.
 *
 * URLs that remain keep their backend objects from `previous`, which are updated in place with their load and marks. A
 * repeated URL has the sum of its weights, because repetition was how Hipache 0.4 expressed weight, and the index of
 * its first occurrence.
 * @param readAt the cache's sequence number at which the read of `source` began. A mark that this worker shared later,
 * or has not shared yet, is kept even if the store lacks it. By default, the store overrides every mark that has been
 * shared.
 * @param nowMs epoch ms, from which on backends count that are new or whose mark is lifted: `Backend.servesSinceMs`.
 * @returns the frontend with the policy that it had before.
 */
export function buildFrontend(
  pattern: string,
  source: RecordSource,
  previous: Frontend | null = null,
  readAt = Number.MAX_SAFE_INTEGER,
  nowMs = 0,
): Frontend {
  const problems = new Problems();
  if (source.problem !== undefined) problems.add(source.problem);
  for (const diagnostic of source.diagnostics ?? []) problems.add(diagnostic);
  const targets = readTargets(source, problems);
  const share = readCanaryShare(targets, problems);
  const ordinary = new GroupBuilder(previous);
  const canary = share === null ? null : new GroupBuilder(previous?.canary ?? null);
  const draining: Backend[] = [];
  const kept = previous === null ? null : objectsOf(previous);
  for (const { target, index, weight } of targets.values()) {
    const { isHttp2 } = target;
    const tlsName = target.secure ? target.serverName : null;
    const known = kept?.get(target.url);
    const backend =
      known?.tlsName === tlsName
        ? known
        : new Backend(target.url, target.hostname, target.port, index, weight, tlsName, false, isHttp2);
    const isStarted = backend !== known || backend.drainUntilMs !== null;
    const isReweighted = backend.weight !== weight;
    backend.index = index;
    backend.weight = weight;
    backend.isBackup = target.isBackup;
    mergeMark(backend, source.down.get(target.url) ?? null, readAt, nowMs);
    backend.drainUntilMs = target.drainUntilMs;
    if (target.drainUntilMs !== null) {
      draining.push(backend);
      continue;
    }
    const group = canary !== null && target.canaryShare !== null ? canary : ordinary;
    group.add(backend, isStarted, isReweighted);
  }
  const id = readId(pattern, source, problems);
  const { backends, balancing, hasBackups, weighted } = ordinary.build(pattern, nowMs);
  return {
    pattern,
    id,
    logId: loggedId(id),
    backends,
    draining: draining.length === 0 ? noDraining : draining,
    canary: canary === null || share === null ? null : { ...canary.build(pattern, nowMs), share },
    weighted,
    hasBackups,
    problems: problems.list(),
    options: source.options ?? null,
    policy: previous?.policy ?? null,
    retryBudget: previous?.retryBudget ?? new RetryBudget(),
    load: previous?.load ?? { inFlight: 0, tunnels: 0, waiting: null },
    balancing,
  };
}

/** The backends of a record that share requests among each other. */
class GroupBuilder {
  private readonly previous: BackendGroup | null;
  private readonly backends: Backend[] = [];
  /** Those that get requests from now on. */
  private readonly started: Backend[] = [];
  private weighted = false;
  private hasBackups = false;
  /** Whether the backends and weights are those of before. */
  private isSame = true;

  /** @param previous the group as it was before; null if there was none. */
  constructor(previous: BackendGroup | null) {
    this.previous = previous;
  }

  add(backend: Backend, isStarted: boolean, isReweighted: boolean): void {
    const { backends } = this;
    if (isStarted) this.started.push(backend);
    if (isReweighted || this.previous?.backends[backends.length] !== backend) this.isSame = false;
    backends.push(backend);
    if (backend.isBackup) this.hasBackups = true;
    if (backend.weight !== backends[0]?.weight) this.weighted = true;
  }

  build(pattern: string, nowMs: number): BackendGroup {
    const { backends, hasBackups, previous, started } = this;
    // Without a former one, there is none that they could be slow beside.
    if (started.length < backends.length) for (const backend of started) backend.servesSinceMs = nowMs;
    const isSame = this.isSame && backends.length === previous?.backends.length;
    return {
      pattern,
      // A copy with the exact length: a growing array reserves space for many more.
      backends: backends.slice(),
      weighted: this.weighted || hasBackups,
      hasBackups,
      balancing: isSame ? previous.balancing : null,
    };
  }
}

/**
 * The share of the canaries of a record: the first one that is given. Null if there are none, or nothing else that could
 * serve the other clients.
 */
function readCanaryShare(targets: ReadonlyMap<string, ReadTarget>, problems: Problems): number | null {
  let first: ReadTarget | null = null;
  let share: number | null = null;
  let hasOthers = false;
  for (const each of targets.values()) {
    const { canaryShare, drainUntilMs, url } = each.target;
    if (drainUntilMs !== null) continue;
    if (canaryShare === null) hasOthers = true;
    else if (first === null) [first, share] = [each, canaryShare];
    else if (canaryShare !== share) {
      const other = `#canary=${share} of backend ${first.index} holds for all canaries`;
      problems.add(`backend ${each.index}${shown(url)}: #canary=${canaryShare} has no effect; ${other}`);
    }
  }
  if (first === null || hasOthers) return share;
  problems.add('every backend has #canary; they serve all clients, since no other backend does');
  return null;
}

interface ReadTarget {
  readonly target: BackendTarget;
  readonly index: number;
  weight: number;
}

/** The usable backends of a record by their URLs. */
function readTargets(source: RecordSource, problems: Problems): Map<string, ReadTarget> {
  const targets = new Map<string, ReadTarget>();
  const end = Math.min(source.frontend.length, backendsMax + 1);
  for (let i = 1; i < end; i++) {
    const value = source.frontend[i];
    const index = i - 1;
    const reading = readBackendUrl(value);
    if (reading.target === null) {
      problems.add(`backend ${index}${shown(value)}: ${reading.problem}`);
      continue;
    }
    if (reading.ignored !== null) problems.add(`backend ${index}${shown(value)}: ${reading.ignored}`);
    const { target } = reading;
    const known = targets.get(target.url);
    if (known === undefined) targets.set(target.url, { target, index, weight: target.weight });
    else known.weight = Math.min(weightMax, known.weight + target.weight);
  }
  if (source.frontend.length > end) {
    problems.add(`${source.frontend.length - end} backends after the first ${backendsMax} are skipped`);
  }
  return targets;
}

/** By URL, the backends whose requests and marks must survive. */
function objectsOf(frontend: Frontend): Map<string, Backend> {
  return new Map([...servingBackends(frontend), ...frontend.draining].map((backend) => [backend.url, backend]));
}

/**
 * Applies the store's mark to the backend. A mark of this worker that the store could not yet show, because it was set
 * or shared after the read began, is kept unless the store has one that expires later. One that was only
 * reported is kept until the store has one.
 */
function mergeMark(backend: Backend, stored: DownMark | null, readAt: number, nowMs: number): void {
  const local = backend.down;
  if (local !== null && backend.markSharedAt > readAt) {
    const isDecided = stored !== null && backend.markSharedAt === markReported;
    if (!isDecided && (stored === null || stored.untilMs <= local.untilMs)) return;
  }
  if (local !== null && stored === null) {
    backend.servesSinceMs = Math.max(backend.servesSinceMs, Math.min(local.untilMs, nowMs));
  }
  backend.down = stored;
  backend.markSharedAt = 0;
}

function readId(pattern: string, source: RecordSource, problems: Problems): string {
  const id = source.frontend[0];
  // Avoids keeping the same text twice.
  if (id === pattern) return pattern;
  if (typeof id === 'string') return id.length > idCharsMax ? id.slice(0, idCharsMax) : id;
  if (source.problem === undefined) problems.add(`the identifier is not a string; ${quote(pattern)} is used`);
  return pattern;
}

/** An identifier as the access log has it: computed once instead of for every request. */
export function loggedId(id: string): string {
  if (/^[ !#-[\]-~]*$/.test(id)) return id;
  const escapeCharacter = (character: string): string => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
  return Buffer.from(id)
    .toString('latin1')
    .replace(/[^ !#-[\]-~\x80-\xff]/g, escapeCharacter);
}

function shown(value: unknown): string {
  return typeof value === 'string' ? ` ${quote(shownBackend(value))}` : '';
}

const none: readonly RecordProblem[] = [];

class Problems {
  private readonly kept: RecordProblem[] = [];
  private more = 0;

  add(message: string): void {
    if (this.kept.length < problemsMax) this.kept.push({ message });
    else this.more++;
  }

  list(): readonly RecordProblem[] {
    if (this.kept.length === 0) return none;
    return this.more === 0 ? this.kept : [...this.kept, { message: `and ${this.more} more problems` }];
  }
}

import type { HostPolicy } from '../policy/host-policy.ts';
import { Backend, type DownMark } from './backend.ts';
import { type BackendTarget, quote, readBackendUrl, weightMax, withoutCredentials } from './backend-url.ts';
import type { Frontend, RecordProblem } from './frontend.ts';
import { RetryBudget } from './retry-budget.ts';

/** Elements of a record after the identifier; further ones are skipped. */
const backendsMax = 10_000;
/** Problems of one record that are kept one by one; the rest are summed up in one more. */
const problemsMax = 20;
/** Characters of an identifier; a longer one is cut. */
const idCharsMax = 1024;

/** The record of a pattern as a store gives it. */
export interface RecordSource {
  /** `[identifier, url, url, …]`, of which nothing is certain. */
  readonly frontend: readonly unknown[];
  /** Dead marks by backend URL. */
  readonly down: ReadonlyMap<string, DownMark>;
  /** Why the record as a whole could not be read, where that is so. */
  readonly problem?: string;
  /** Other parts that could not be read. */
  readonly diagnostics?: readonly string[];
}

/**
 * Parses a record. A bad part is skipped and listed in `problems`; what is left serves. Never throws.
 *
 * Backend objects of URLs that stay are those of `previous`, changed in place, with their load and marks. A URL that
 * stands several times in the list has the sum of its weights (in Hipache that was how to weight), and the index of
 * its first place.
 * @param readAt the cache's sequence number at which the reading of `source` began: a mark that this worker shared
 *   later than that, or has not shared yet, is not undone by the store's not having it. By default the store's view
 *   wins over every mark that has been shared.
 * @param policy of this host; null: that of the data plane.
 */
export function buildFrontend(
  pattern: string,
  source: RecordSource,
  previous: Frontend | null = null,
  readAt = Number.MAX_SAFE_INTEGER,
  policy: HostPolicy | null = null,
): Frontend {
  const problems = new Problems();
  if (source.problem !== undefined) problems.add(source.problem);
  for (const remark of source.diagnostics ?? []) problems.add(remark);
  const targets = new Map<string, { target: BackendTarget; index: number; weight: number }>();
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
    problems.add(`${source.frontend.length - end} backends past the first ${backendsMax} are skipped`);
  }
  const backends: Backend[] = [];
  const kept = previous === null ? null : new Map(previous.backends.map((backend) => [backend.url, backend]));
  let weighted = false;
  for (const { target, index, weight } of targets.values()) {
    const tlsName = target.secure ? target.serverName : null;
    const known = kept?.get(target.url);
    const backend =
      known?.tlsName === tlsName
        ? known
        : new Backend(target.url, target.hostname, target.port, index, weight, tlsName);
    backend.index = index;
    backend.weight = weight;
    mergeMark(backend, source.down.get(target.url) ?? null, readAt);
    backends.push(backend);
    if (weight !== backends[0]?.weight) weighted = true;
  }
  const id = readId(pattern, source, problems);
  return {
    pattern,
    id,
    logId: logged(id),
    // A copy of just its length: what is appended to has room for many more.
    backends: backends.slice(),
    weighted,
    problems: problems.list(),
    policy,
    retryBudget: previous?.retryBudget ?? new RetryBudget(),
    load: previous?.load ?? { inFlight: 0, tunnels: 0 },
  };
}

/**
 * Brings the store's view of a mark to the backend. A mark of this worker's own that the store could not yet have
 * shown (set or shared after the reading began) stays, unless the store has one that ends later.
 */
function mergeMark(backend: Backend, stored: DownMark | null, readAt: number): void {
  const local = backend.down;
  if (local !== null && backend.markSharedAt > readAt && (stored === null || stored.untilMs <= local.untilMs)) return;
  backend.down = stored;
  backend.markSharedAt = 0;
}

function readId(pattern: string, source: RecordSource, problems: Problems): string {
  const id = source.frontend[0];
  // The same text need not be kept twice.
  if (id === pattern) return pattern;
  if (typeof id === 'string') return id.length > idCharsMax ? id.slice(0, idCharsMax) : id;
  if (source.problem === undefined) problems.add(`the identifier is not a string; ${quote(pattern)} is used`);
  return pattern;
}

/** Made once here rather than with every request. */
function logged(id: string): string {
  if (/^[ !#-[\]-~]*$/.test(id)) return id;
  const escapeCharacter = (character: string): string => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
  return Buffer.from(id)
    .toString('latin1')
    .replace(/[^ !#-[\]-~\x80-\xff]/g, escapeCharacter);
}

function shown(value: unknown): string {
  return typeof value === 'string' ? ` ${quote(withoutCredentials(value))}` : '';
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

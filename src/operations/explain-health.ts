import { checkersOf, readDigests } from '../health/checking-fleet.ts';
import { backendKey, responsibleFor } from '../health/rendezvous.ts';
import { type HealthCheck, healthCheckOf } from '../policy/health-check.ts';
import { type OptionLayer, optionsInForce } from '../policy/read-options.ts';
import type { NoteCollection, Store } from '../stores/contract.ts';

/** The regular checks of the backends of a host. */
export interface ExplainedHealth {
  readonly path: string;
  readonly everyMs: number;
  readonly timeoutMs: number;
  /** Whether instances share the checks: otherwise each of them checks every backend. */
  readonly isShared: boolean;
  /** The instance that checks each backend: null if none serves the host at present. Null if nobody can say. */
  readonly checkers: readonly { readonly url: string; readonly instance: string | null }[] | null;
}

/** The parts of a store that tell who checks. */
export interface HealthExplainStore {
  readonly instances?: Store['instances'];
  readonly notes?: Pick<NoteCollection, 'read'>;
}

/** Null if the options of the route want no checks. @param urls of its backends. @throws what the store throws. */
export async function explainHealth(
  pattern: string,
  layers: readonly OptionLayer[],
  urls: readonly string[],
  { instances = null, notes }: HealthExplainStore,
): Promise<ExplainedHealth | null> {
  const check = healthCheckOf(optionsInForce(layers).values);
  if (check === null) return null;
  const { intervalMs: everyMs, path, timeoutMs }: HealthCheck = check;
  const isShared = instances !== null;
  if (!isShared || notes === undefined) return { path, everyMs, timeoutMs, isShared, checkers: null };
  const present = checkersOf(await readDigests({ instances, notes }), pattern);
  const checkers = urls.map((url) => ({
    url,
    instance: present.length === 0 ? null : responsibleFor(backendKey(pattern, url), present),
  }));
  return { path, everyMs, timeoutMs, isShared, checkers };
}

import { setTimeout as delay } from 'node:timers/promises';
import { HipacheError } from '../base/errors.ts';
import { pathOf } from '../routing/patterns.ts';
import { hasRoute, type RouteChange, type Store, type StoredRoute } from '../stores/contract.ts';
import { noteName } from '../stores/note-name.ts';
import { recordVersion } from '../stores/record-version.ts';
import { applyChanges } from './changing-routes.ts';
import { listPaths } from './listed-paths.ts';
import {
  type OptionConflict,
  type OwnedPart,
  type Ownership,
  type OwnershipPlan,
  ownershipBytesMax,
  planOwnership,
  readOwnership,
  withPart,
  writeOwnership,
} from './ownership.ts';

/** The parts of a store that these operations work on. */
export type OwnedStore = Pick<Store, 'capabilities' | 'notes' | 'options' | 'routes'>;

/** Attempts while others change the same host, and the longest pause between two of them, in ms. */
const attemptsMax = 50;
const pauseMsMax = 50;

/** Why a host is left alone. */
export interface HostRefusal {
  readonly reason: string;
  /** The owner of the host; null for none. */
  readonly owner: string | null;
}

/** The outcome of a wish for one host. */
export type HostOutcome =
  | { readonly kind: 'refused'; readonly refusal: HostRefusal }
  | {
      readonly kind: 'added' | 'changed' | 'removed' | 'unchanged';
      readonly conflicts: readonly OptionConflict[];
      /** Whether the source has something at the host now. */
      readonly isWanted: boolean;
    };

/** The wish of one source of an owner for one host. */
export interface HostWish {
  readonly pattern: string;
  readonly owner: string;
  readonly source: string;
  /** Null: nothing. */
  readonly wanted: Omit<OwnedPart, 'source'> | null;
  /** Whether a route that nobody owns is taken over. */
  readonly adopts: boolean;
}

/** The note of a host with its text; the text is null if there is no note. */
interface FoundOwnership {
  readonly text: string | null;
  readonly ownership: Ownership | null;
}

export async function readHostOwnership({ notes }: Pick<Store, 'notes'>, pattern: string): Promise<FoundOwnership> {
  const text = await notes.read(nameOf(pattern));
  return { text, ownership: text === null ? null : readOwnership(text) };
}

/** Why the host would be refused now; null if it would not be. */
export async function refusalOf(store: OwnedStore, wish: HostWish): Promise<HostRefusal | null> {
  const { adopts, owner, pattern } = wish;
  const { ownership, text } = await readHostOwnership(store, pattern);
  if (text !== null) {
    if (ownership === null) return { reason: 'the note about its owner cannot be read', owner: null };
    if (ownership.owner === owner) return null;
    const sources = ownership.sources.map(({ source }) => source).join(', ');
    return { reason: `it belongs to the owner ${ownership.owner} (${sources})`, owner: ownership.owner };
  }
  if (adopts) return null;
  const [record = null] = await store.routes.read([pattern]);
  if (!hasRoute(record)) return null;
  // The note precedes the route: one that was written in between has an owner.
  if ((await readHostOwnership(store, pattern)).text !== null) return refusalOf(store, wish);
  return { reason: 'it has a route that was made by hand', owner: null };
}

/**
 * Makes the records of a host what the sources of its owner want, one of which has the wish. The note about the owner has every backend
 * and option before the records have them, and until the records have them no longer: after a crash, the next
 * wish of any source goes on from there. The note is written only if it is as it was read, and the route likewise, so
 * that sources at the same time see each other.
 * @throws HipacheError CONFLICT if others change the host all the time; errors of the store.
 */
export async function grantWish(store: OwnedStore, wish: HostWish): Promise<HostOutcome> {
  const { owner, pattern, source, wanted } = wish;
  let hasWritten = false;
  let first: boolean | null = null;
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    if (attempt > 0) await delay(Math.random() * Math.min(pauseMsMax, 2 ** attempt));
    const { ownership, text } = await readHostOwnership(store, pattern);
    const isOurs = ownership?.owner === owner;
    if (!isOurs && wanted === null) return { kind: 'unchanged', conflicts: [], isWanted: false };
    const refusal = isOurs ? null : await refusalOf(store, wish);
    if (refusal !== null) return { kind: 'refused', refusal };
    // The owner before has gone a moment ago.
    if (text !== null && !isOurs) continue;
    const present = ownership ?? { owner, sources: [], backends: [], options: {} };
    first ??= present.sources.some((each) => each.source === source);
    const [record = null] = await store.routes.read([pattern]);
    const planned = withPart(present, source, wanted);
    const plan = planOwnership(planned, recordsOf(record), wish.adopts);
    const intent = writeOwnership(plan.intent);
    if (Buffer.byteLength(intent) > ownershipBytesMax) {
      const reason = `its backends and options have more than ${ownershipBytesMax} bytes`;
      return { kind: 'refused', refusal: { reason, owner } };
    }
    const step = await carryOut(store, pattern, { plan, record, text, intent });
    hasWritten ||= step !== 'unchanged';
    if (step === 'again') continue;
    const isWanted = wanted !== null;
    const kind = first === isWanted ? (hasWritten ? 'changed' : 'unchanged') : isWanted ? 'added' : 'removed';
    return { kind, conflicts: plan.conflicts.filter((each) => each.source === source), isWanted };
  }
  throw new HipacheError('CONFLICT', `${pattern}: others change it all the time; try again`);
}

interface Step {
  readonly plan: OwnershipPlan;
  readonly record: StoredRoute | null;
  /** The note as it was read, and before the records change. */
  readonly text: string | null;
  readonly intent: string;
}

/** @returns `again` if somebody else has changed the note or the route. */
async function carryOut(store: OwnedStore, pattern: string, step: Step): Promise<'done' | 'unchanged' | 'again'> {
  const { intent, plan, record, text } = step;
  const { notes } = store;
  const final = plan.final === null ? null : writeOwnership(plan.final);
  const isMarked = intent === text;
  if (!isMarked && !(await notes.write(nameOf(pattern), intent, { expected: text }))) return 'again';
  const hasChanges = plan.frontend !== undefined || plan.options.size > 0;
  try {
    // Options that protect a host are in force before it is served, and until it is served no longer.
    if (plan.final !== null) await changeOptions(store, pattern, plan);
    await changeRoute(store, pattern, plan, record);
    if (plan.final === null) await changeOptions(store, pattern, plan);
  } catch (error) {
    if (error instanceof HipacheError && error.code === 'CONFLICT') return 'again';
    throw error;
  }
  if (final !== intent) return (await notes.write(nameOf(pattern), final, { expected: intent })) ? 'done' : 'again';
  if (isMarked && !hasChanges) return 'unchanged';
  // If the note is another one by now, an older view may have overwritten a newer one.
  return (await notes.read(nameOf(pattern))) === intent ? 'done' : 'again';
}

async function changeOptions({ options }: OwnedStore, pattern: string, plan: OwnershipPlan): Promise<void> {
  if (plan.options.size > 0) await options.change(pattern, plan.options);
}

async function changeRoute(
  store: OwnedStore,
  pattern: string,
  { final, frontend }: OwnershipPlan,
  record: StoredRoute | null,
): Promise<void> {
  if (frontend === undefined) {
    // It is named after its route is written: a crash may have come between.
    if (final !== null && pathOf(pattern) !== '') await listPaths(store, [pattern], true);
    return;
  }
  const ifVersion = versionOf(record);
  const change: RouteChange =
    frontend === null
      ? { kind: 'remove', pattern, urls: [], ifVersion }
      : // Elements that are no text belong to others, and stay.
        { kind: 'set', pattern, urls: frontend.slice(1) as string[], id: null, ifVersion };
  await applyChanges([change], false)(store);
}

function recordsOf(record: StoredRoute | null) {
  const options = record?.options ?? new Map<string, string>();
  return { frontend: hasRoute(record) ? record.frontend : null, options };
}

function versionOf(record: StoredRoute | null): string {
  if (!hasRoute(record)) return recordVersion(null);
  return recordVersion(record.problem === undefined ? record.frontend : [null]);
}

function nameOf(pattern: string): string {
  return noteName('owned', pattern);
}

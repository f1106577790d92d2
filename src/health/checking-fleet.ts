import { createHash } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { eachOf } from '../base/each-of.ts';
import type { NoteCollection, Store } from '../stores/contract.ts';

/** The parts of a store that tell which instances share the checks. */
interface ReadFleet {
  readonly instances: Pick<NonNullable<Store['instances']>, 'list'> | null;
  readonly notes: Pick<NoteCollection, 'read'>;
}

/** The parts of a store by which instances share the checks. */
export interface FleetStore extends ReadFleet {
  readonly notes: Pick<NoteCollection, 'read' | 'write'>;
}

/** Digests of the patterns that each instance checks. */
export type CheckedDigests = ReadonlyMap<string, ReadonlySet<string>>;

/** Instances that are looked at, and notes that are read at once. */
const instancesMax = 1000;
const readsMax = 16;
/** Characters of a digest: 48 bits. */
const digestChars = 8;
/** Patterns of one instance that others take into account. */
const digestsMax = 20_000;
/** How long the note of an instance lasts, and when it is written again at the latest, in ms. */
const noteMs = 600_000;
const renewMs = 180_000;
/** Between two writes of a note that changes, in ms. */
const restMs = 2000;

/**
 * The instances that check the backends of a pattern. Each instance knows the hosts that clients have asked its workers for:
 * it leaves their digests in a note, so that nobody counts on an instance that does not know the host, or is of a version
 * without checks. The record of an instance, which ends soon after it, says whether it is there.
 */
export class CheckingFleet {
  private readonly store: FleetStore;
  private readonly instance: string;
  private readonly clock: Pick<Clock, 'monotonicMs'>;
  private digests: CheckedDigests = new Map();
  private published: { readonly text: string; readonly atMs: number } | null = null;

  constructor(store: FleetStore, instance: string, clock: Pick<Clock, 'monotonicMs'>) {
    this.store = store;
    this.instance = instance;
    this.clock = clock;
  }

  /** Looks who is there. @throws what the store throws; what was seen before then still holds. */
  async refresh(): Promise<void> {
    this.digests = await readDigests(this.store);
  }

  /** The instances that check the pattern, and this one. */
  checkersOf(pattern: string): readonly string[] {
    const others = checkersOf(this.digests, pattern).filter((instance) => instance !== this.instance);
    return [this.instance, ...others];
  }

  /** Tells the others which patterns this instance checks. @throws what the store throws. */
  async publish(patterns: readonly string[]): Promise<void> {
    if (this.store.instances === null) return;
    const text = patterns.map(digestOf).sort().join('');
    const nowMs = this.clock.monotonicMs();
    const ageMs = this.published === null ? Number.POSITIVE_INFINITY : nowMs - this.published.atMs;
    if (text === (this.published?.text ?? '') ? text === '' || ageMs < renewMs : ageMs < restMs) return;
    await this.store.notes.write(noteName(this.instance), text === '' ? null : text, { ttlMs: noteMs });
    this.published = text === '' ? null : { text, atMs: nowMs };
  }

  /** This instance checks nothing any more. @throws what the store throws; the note then ends by itself. */
  async withdraw(): Promise<void> {
    if (this.published === null) return;
    this.published = null;
    await this.store.notes.write(noteName(this.instance), null);
  }
}

/** The instances that are there and check backends. @throws what the store throws. */
export async function readDigests({ instances, notes }: ReadFleet): Promise<CheckedDigests> {
  const digests = new Map<string, ReadonlySet<string>>();
  if (instances === null) return digests;
  const found = (await instances.list()).slice(0, instancesMax);
  await eachOf(found, readsMax, async ({ instance }) => {
    const text = await notes.read(noteName(instance));
    if (text !== null) digests.set(instance, parseDigests(text));
  });
  return digests;
}

/** The instances that check a pattern, in no order. */
export function checkersOf(digests: CheckedDigests, pattern: string): string[] {
  const digest = digestOf(pattern);
  return [...digests].filter(([, patterns]) => patterns.has(digest)).map(([instance]) => instance);
}

function digestOf(pattern: string): string {
  return createHash('sha256').update(pattern).digest('base64url').slice(0, digestChars);
}

function parseDigests(text: string): ReadonlySet<string> {
  const digests = new Set<string>();
  const end = Math.min(text.length, digestsMax * digestChars);
  for (let at = 0; at + digestChars <= end; at += digestChars) digests.add(text.slice(at, at + digestChars));
  return digests;
}

function noteName(instance: string): string {
  return `health:${instance}`;
}

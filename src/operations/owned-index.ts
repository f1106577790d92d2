import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { eachOf } from '../base/each-of.ts';
import { HipacheError } from '../base/errors.ts';
import type { NoteTexts, Store } from '../stores/contract.ts';
import { noteName } from '../stores/note-name.ts';

/*
 * Notes cannot be listed, so three kinds of them say where the others are: the list of all sources, a note about each
 * source, and the hosts of a source in buckets, so that a change of one host does not rewrite thousands. The buckets have a
 * host before it has a note, and until it has none: they may name more hosts than the source has, never fewer.
 */

/** The parts of a store that the index needs. */
type Notes = Pick<Store, 'notes'>;

/** A source of an owner. */
export interface Source {
  readonly owner: string;
  readonly source: string;
}

/** The note about a source. */
export interface SourceState {
  /** The process that keeps the routes of the source; null for none. */
  readonly holder: string | null;
  /** When it has last given all of its routes, in epoch ms. */
  readonly seenMs: number;
  /** How many hosts it had then. */
  readonly hosts: number;
}

/** Sources of all owners together. */
const sourcesMax = 1000;
const bucketCount = 16;
/** Hosts in one bucket: with names of the greatest length, less than 1 MB. */
const bucketHostsMax = 1500;
const attemptsMax = 50;

const list = z.array(z.tuple([z.string(), z.string()]));
const hostList = z.array(z.string());
const state = z.object({ holder: z.string().nullable(), seenMs: z.number(), hosts: z.number() });

const listName = 'owned-sources';

/** All sources, in the order in which they came. */
export async function listSources({ notes }: Notes): Promise<Source[]> {
  const found = parsed(list, await notes.read(listName)) ?? [];
  return found.map(([owner, source]) => ({ owner, source }));
}

/** Adds a source to the list of all. @throws HipacheError COMMAND_INVALID if there are too many. */
export function addSource({ notes }: Notes, { owner, source }: Source): Promise<void> {
  return editNote(notes, listName, (text) => {
    const found = parsed(list, text) ?? [];
    if (found.some(([one, other]) => one === owner && other === source)) return undefined;
    if (found.length >= sourcesMax) {
      const why = `there are ${sourcesMax} sources; "hipache owner forget" removes those that are gone`;
      throw new HipacheError('COMMAND_INVALID', why);
    }
    return JSON.stringify([...found, [owner, source]]);
  });
}

/** Removes all that the index has of a source. */
export async function removeSource({ notes }: Notes, { owner, source }: Source): Promise<void> {
  for (let bucket = 0; bucket < bucketCount; bucket++) await notes.write(bucketName({ owner, source }, bucket), null);
  await notes.write(stateName({ owner, source }), null);
  await editNote(notes, listName, (text) => {
    const found = parsed(list, text) ?? [];
    const rest = found.filter(([one, other]) => one !== owner || other !== source);
    if (rest.length === found.length) return undefined;
    return rest.length === 0 ? null : JSON.stringify(rest);
  });
}

export async function readSource({ notes }: Notes, source: Source): Promise<SourceState | null> {
  return parsed(state, await notes.read(stateName(source)));
}

export async function writeSource({ notes }: Notes, source: Source, next: SourceState): Promise<void> {
  await notes.write(stateName(source), JSON.stringify(next));
}

/** The hosts that a source may have. @param among only the buckets of these hosts are read; default: all. */
export async function hostsOf({ notes }: Notes, source: Source, among?: readonly string[]): Promise<Set<string>> {
  const buckets = among === undefined ? Array.from({ length: bucketCount }, (_, i) => i) : among.map(bucketOf);
  const found = new Set<string>();
  await eachOf([...new Set(buckets)], bucketCount, async (bucket) => {
    for (const host of parsed(hostList, await notes.read(bucketName(source, bucket))) ?? []) found.add(host);
  });
  return found;
}

/**
 * Adds hosts to those of a source, and removes others.
 * @returns hosts that were not added, because the source has too many.
 */
export async function changeHosts(
  { notes }: Notes,
  source: Source,
  added: readonly string[],
  removed: readonly string[],
): Promise<string[]> {
  const left: string[] = [];
  const inBucket = Map.groupBy(new Set([...added, ...removed]), bucketOf);
  const [isAdded, isRemoved] = [new Set(added), new Set(removed)];
  await eachOf([...inBucket], bucketCount, ([bucket, hosts]) =>
    editNote(notes, bucketName(source, bucket), (text) => {
      const before = parsed(hostList, text) ?? [];
      const after = before.filter((host) => !isRemoved.has(host));
      const missing = hosts.filter((host) => isAdded.has(host) && !before.includes(host));
      const room = Math.max(0, bucketHostsMax - after.length);
      left.push(...missing.slice(room));
      after.push(...missing.slice(0, room));
      if (after.length === before.length && missing.length === 0) return undefined;
      return after.length === 0 ? null : JSON.stringify(after);
    }),
  );
  return left;
}

/** @param change gives the new text; undefined: none. It may be called again. */
async function editNote(
  notes: NoteTexts,
  name: string,
  change: (text: string | null) => string | null | undefined,
): Promise<void> {
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    const text = await notes.read(name);
    const next = change(text);
    if (next === undefined || next === text) return;
    if (await notes.write(name, next, { expected: text })) return;
    await delay(Math.random() * attempt);
  }
  throw new HipacheError('CONFLICT', `the note ${name} changes all the time; try again`);
}

function bucketOf(host: string): number {
  return (createHash('sha256').update(host).digest()[0] ?? 0) % bucketCount;
}

function bucketName({ owner, source }: Source, bucket: number): string {
  return noteName('owned-hosts', `${owner}:${source}:${bucket}`);
}

function stateName({ owner, source }: Source): string {
  return noteName('owned-source', `${owner}:${source}`);
}

/** Null for a note that is not there, or that cannot be read. */
function parsed<Value>(schema: z.ZodType<Value>, text: string | null): Value | null {
  if (text === null) return null;
  try {
    return schema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}

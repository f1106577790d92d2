import { z } from 'zod';
import { backendIdentity } from '../routing/backend-url.ts';
import type { OptionTexts } from '../stores/contract.ts';

/** Longest note about one host, in bytes: memcached and ZooKeeper take values of 1 MB. */
export const ownershipBytesMax = 500_000;

const options = z.record(z.string(), z.string());
const part = z.object({ source: z.string(), backends: z.array(z.string()), options });
const form = z.object({
  owner: z.string(),
  sources: z.array(part),
  backends: z.array(z.string()),
  options: z.record(z.string(), z.object({ value: z.string(), before: z.string().nullable() })),
});

/** The wish of one source for a host. */
export type OwnedPart = z.output<typeof part>;

/**
 * The note about a host that has an owner. `sources` is what they want, in the order in which they came. `backends` and `options` are
 * what the owner has in the records, or is about to put there: never less than that, so that whatever is found there and
 * not here belongs to others. `before` is the value that an option of others had; null for none.
 */
export type Ownership = z.output<typeof form>;

/** The records of one host. */
export interface HostRecords {
  /** Null if there is no route. */
  readonly frontend: readonly unknown[] | null;
  readonly options: OptionTexts;
}

/** An option that sources want with different values. */
export interface OptionConflict {
  readonly option: string;
  /** The source whose value does not hold. */
  readonly source: string;
  /** The source whose value holds, because it was there first. */
  readonly holder: string;
}

/** How to make the records of a host what its sources want. */
export interface OwnershipPlan {
  /** The note before the records are changed: it has what is there and what will be. */
  readonly intent: Ownership;
  /** The note after it; null if nobody wants the host any more. */
  readonly final: Ownership | null;
  /** The record of the route as it is to be; null for none, undefined for no change. */
  readonly frontend: readonly unknown[] | null | undefined;
  readonly options: ReadonlyMap<string, string | null>;
  readonly conflicts: readonly OptionConflict[];
}

/** Null for a text that is no such note. */
export function readOwnership(text: string): Ownership | null {
  try {
    const { data } = form.safeParse(JSON.parse(text));
    return data ?? null;
  } catch {
    return null;
  }
}

export function writeOwnership(ownership: Ownership): string {
  return JSON.stringify(ownership);
}

/** With another wish of one source. @param wanted null: the source wants the host no longer. */
export function withPart(ownership: Ownership, source: string, wanted: Omit<OwnedPart, 'source'> | null): Ownership {
  const { sources } = ownership;
  const at = sources.findIndex((each) => each.source === source);
  if (wanted === null) return { ...ownership, sources: sources.filter((_, i) => i !== at) };
  const one = { source, ...wanted };
  return { ...ownership, sources: at === -1 ? [...sources, one] : sources.with(at, one) };
}

/**
 * Compares what the sources of a host want with its records.
 * @param adopts whether backends and options that are there already, as they are wanted, become the owner's.
 */
export function planOwnership(ownership: Ownership, records: HostRecords, adopts: boolean): OwnershipPlan {
  const backends = planBackends(ownership, records.frontend, adopts);
  const options = planOptions(ownership, records.options, adopts);
  const made = { backends: backends.made, options: options.made };
  return {
    intent: {
      ...ownership,
      backends: [...new Set([...ownership.backends, ...made.backends])],
      options: { ...ownership.options, ...made.options },
    },
    final: ownership.sources.length === 0 ? null : { ...ownership, ...made },
    frontend: backends.frontend,
    options: options.changes,
    conflicts: options.conflicts,
  };
}

/** Backends of others stay as and where they are; ours keep their places. */
function planBackends(
  { backends, sources }: Ownership,
  frontend: readonly unknown[] | null,
  adopts: boolean,
): { readonly made: string[]; readonly frontend: readonly unknown[] | null | undefined } {
  const wanted = new Map<string, string>();
  for (const url of sources.flatMap((each) => each.backends)) {
    const identity = backendIdentity(url);
    if (!wanted.has(identity)) wanted.set(identity, url);
  }
  const ours = new Set(backends.map(backendIdentity));
  const made: string[] = [];
  const after: unknown[] = [];
  for (const element of (frontend ?? []).slice(1)) {
    const identity = typeof element === 'string' ? backendIdentity(element) : null;
    const url = identity === null ? undefined : wanted.get(identity);
    if (identity !== null && url !== undefined && (ours.has(identity) || adopts)) {
      after.push(url);
      made.push(url);
    } else if (identity === null || !ours.has(identity)) after.push(element);
    if (identity !== null) wanted.delete(identity);
  }
  for (const url of wanted.values()) {
    after.push(url);
    made.push(url);
  }
  if (after.length === 0) return { made, frontend: frontend === null ? undefined : null };
  const isSame = frontend !== null && JSON.stringify(frontend.slice(1)) === JSON.stringify(after);
  return { made, frontend: isSame ? undefined : [frontend?.[0] ?? null, ...after] };
}

function planOptions(
  { options, sources }: Ownership,
  present: OptionTexts,
  adopts: boolean,
): Pick<OwnershipPlan, 'conflicts'> & { changes: Map<string, string | null>; made: Ownership['options'] } {
  const conflicts: OptionConflict[] = [];
  const wanted = new Map<string, { readonly value: string; readonly source: string }>();
  for (const { options: own, source } of sources) {
    for (const [option, value] of Object.entries(own)) {
      const first = wanted.get(option);
      if (first === undefined) wanted.set(option, { value, source });
      else if (first.value !== value) conflicts.push({ option, source, holder: first.source });
    }
  }
  const changes = new Map<string, string | null>();
  const made: Ownership['options'] = {};
  for (const [name, { value }] of wanted) {
    const found = present.get(name) ?? null;
    if (found !== value) changes.set(name, value);
    const isAdopted = adopts && found === value;
    made[name] = { value, before: options[name] === undefined ? (isAdopted ? null : found) : options[name].before };
  }
  for (const [name, { before, value }] of Object.entries(options)) {
    // A value that somebody else has set since then is theirs.
    if (!wanted.has(name) && present.get(name) === value && before !== value) changes.set(name, before);
  }
  return { changes, conflicts, made };
}

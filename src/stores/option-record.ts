import type { OptionOutcome, OptionTexts, StoredOptions, StoredRoute } from './contract.ts';

/** Options of one record that are read. Further ones are left out, with a problem. */
const optionsMax = 200;

export const noOptions: OptionTexts = new Map();

/** The options after a change: those with a value are set, those without are removed. */
export function changeOptions(before: OptionTexts, changes: ReadonlyMap<string, string | null>): OptionOutcome {
  const after = new Map(before);
  for (const [name, value] of changes) {
    if (value === null) after.delete(name);
    else after.set(name, value);
  }
  return { before, after };
}

export function isSameOptions(one: OptionTexts, other: OptionTexts): boolean {
  return one.size === other.size && [...one].every(([name, value]) => other.get(name) === value);
}

/** The values of options that are written by hand, for messages. */
export const optionForm = 'a text, a number, true, false, or a list of them';

/**
 * Reads options that may have been written by hand: an object whose values are texts, numbers, booleans, or arrays of them.
 * @param name of the record, for messages.
 */
export function readOptionObject(value: unknown, name: string): StoredOptions {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { options: noOptions, problems: [`${name} is not a JSON object, so it has no options`] };
  }
  const problems: string[] = [];
  const entries: [string, string][] = [];
  for (const [option, given] of Object.entries(value)) {
    const text = optionText(given);
    if (text === null) problems.push(`option ${JSON.stringify(option)} of ${name} is not ${optionForm}`);
    // It stays, without a value: a rule for access that cannot be read lets nobody in.
    entries.push([option, text ?? '']);
  }
  return toStoredOptions(entries, name, problems);
}

/** The text of a value that may have been written by hand; an array is its items, one a line. Null for others. */
export function optionText(value: unknown): string | null {
  const text = Array.isArray(value) && value.every(isPlain) ? value.join('\n') : value;
  return isPlain(text) ? String(text) : null;
}

/** @param entries in no order. @param name of the record, for messages. */
export function toStoredOptions(
  entries: readonly (readonly [string, string])[],
  name: string,
  problems: readonly string[] = [],
): StoredOptions {
  const sorted = entries.toSorted(([a], [b]) => (a < b ? -1 : 1));
  if (sorted.length <= optionsMax) return { options: new Map(sorted), problems };
  const problem = `${name} has ${sorted.length} options; those after the first ${optionsMax} are skipped`;
  return { options: new Map(sorted.slice(0, optionsMax)), problems: [...problems, problem] };
}

/** The parts of a `StoredRoute` that come from its options. */
export function optionsOfRoute(stored: StoredOptions | null): { readonly options?: OptionTexts } {
  return stored === null || stored.options.size === 0 ? {} : { options: stored.options };
}

/** The record of a pattern without a route: null without options that can be read. */
export function routeOfOptions(stored: StoredOptions | null): StoredRoute | null {
  if (stored === null || stored.options.size === 0) return null;
  return { frontend: [], down: new Map(), diagnostics: stored.problems, ...optionsOfRoute(stored) };
}

function isPlain(value: unknown): value is string | number | boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}

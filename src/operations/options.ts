import { resolve } from 'node:path';
import { Access, accessProblem } from '../base/access-problem.ts';
import { HipacheError } from '../base/errors.ts';
import { readRegularFileSync } from '../base/regular-file.ts';
import { type Inheritance, type OptionValues, optionDefinitions } from '../policy/option-schema.ts';
import {
  isOption,
  isTextOption,
  type OptionLayer,
  optionsInForce,
  problemsOf,
  shownOption,
} from '../policy/read-options.ts';
import { coveringPatterns, parseRoutePattern } from '../routing/patterns.ts';
import {
  hasRoute,
  type OptionCollection,
  type OptionTexts,
  type Store,
  type StoredOptions,
} from '../stores/contract.ts';
import { noOptions } from '../stores/option-record.ts';
import type { Operation } from './operation.ts';
import { nextAfter, type Page } from './routes.ts';

/** The parts of a store that these operations work on. */
type Options = Pick<Store, 'options'>;

/** The name of an option and its value. */
type Pair = readonly [name: string, value: string];

/** Largest file that is read for a value, in bytes; `problemsOf` bounds the value itself. */
const fileBytesMax = 1024 * 1024;

/** The options of one pattern as they may be shown: without secrets. */
export interface ListedOptions {
  readonly pattern: string;
  readonly options: Readonly<Record<string, string>>;
  readonly problems: readonly string[];
}

export interface ChangedOptions extends ListedOptions {
  /** Names of options that were set, to another value than before. */
  readonly set: readonly string[];
  readonly unset: readonly string[];
  /** Whether the pattern has no route, so that its options alone do nothing. */
  readonly hasRoute: boolean;
}

/** The options that hold for a route, and where each comes from. */
export interface ExplainedOptions {
  readonly inForce: readonly ExplainedOption[];
  /** Of all patterns that were looked at, each with the pattern's name. */
  readonly problems: readonly string[];
  /** As `optionsInForce` takes them. */
  readonly layers: readonly OptionLayer[];
  readonly values: OptionValues;
}

export interface ExplainedOption {
  readonly name: string;
  readonly value: string;
  /** The pattern whose record has it. */
  readonly from: string;
}

/** An option that there is. */
export interface NamedOption {
  readonly name: string;
  /** The values that it may have. */
  readonly allowed: string;
  readonly default: string;
  readonly inherited: Inheritance;
  readonly description: string;
}

/** Every option that there is. */
export function optionNames(): NamedOption[] {
  return [...optionDefinitions].map(([name, { default: byDefault, description, inherits, type }]) => ({
    ...{ name, allowed: type.allowed, default: byDefault.replaceAll('`', ''), inherited: inherits, description },
  }));
}

/** The options of patterns that have any, in code point order. */
export async function pageOfOptions(
  { options }: Options,
  { after, limit }: Page,
): Promise<{ patterns: ListedOptions[]; next: string | null }> {
  const page = await options.list(after, limit);
  return {
    patterns: page.map((record) => toListed(record.pattern, { options: record.options, problems: [] })),
    next: nextAfter(
      page.map(({ pattern }) => pattern),
      limit,
    ),
  };
}

/** The options of exactly one pattern. @throws HipacheError COMMAND_INVALID. */
export function showOptions(host: string): Operation<Options, ListedOptions> {
  const pattern = parseRoutePattern(host);
  return async ({ options }) => {
    const [stored = null] = await options.read([pattern]);
    return toListed(pattern, stored ?? { options: noOptions, problems: [] });
  };
}

/** Values, those that name a file as `@FILE` from that file. @throws HipacheError COMMAND_INVALID. */
export function valuesFromFiles(pairs: readonly Pair[], cwd: string): Pair[] {
  return pairs.map(([name, value]) => {
    if (!value.startsWith('@') || !isTextOption(name)) return [name, value];
    const path = resolve(cwd, value.slice(1));
    try {
      return [name, readRegularFileSync(path, fileBytesMax).toString('utf8')];
    } catch (error) {
      const problem = accessProblem(path, Access.READ, null) ?? `${path} cannot be read: ${(error as Error).message}`;
      throw new HipacheError('COMMAND_INVALID', `the option ${name}: ${problem}`, { cause: error });
    }
  });
}

/**
 * Sets options of a pattern. The others stay.
 * @param given names and values.
 * @throws HipacheError COMMAND_INVALID for an unknown option or a value that it cannot have; nothing is written then.
 */
export function setOptions(
  host: string,
  given: readonly Pair[],
): Operation<Pick<Store, 'options' | 'routes'>, ChangedOptions> {
  const pattern = parseRoutePattern(host);
  const changes = new Map(given);
  if (changes.size < given.length) throw new HipacheError('COMMAND_INVALID', 'an option is given twice');
  const problems = [...changes].flatMap(([name, value]) => problemsOf(name, value));
  if (problems.length > 0) throw new HipacheError('COMMAND_INVALID', `${problems.join('; ')}. Nothing is written`);
  return (store) => change(store, pattern, changes);
}

/**
 * Removes options of a pattern. An unknown one can be removed too.
 * @param names empty for all.
 * @throws HipacheError COMMAND_INVALID, NOT_FOUND.
 */
export function unsetOptions(
  host: string,
  names: readonly string[],
): Operation<Pick<Store, 'options' | 'routes'>, ChangedOptions> {
  const pattern = parseRoutePattern(host);
  return async (store) => {
    const [stored = null] = await store.options.read([pattern]);
    const present = stored?.options ?? noOptions;
    const missing = names.filter((name) => !present.has(name));
    if (missing.length > 0) {
      const known = missing.every(isOption) ? '' : '; "hipache option names" lists all that there are';
      throw new HipacheError('NOT_FOUND', `${pattern} has no option ${missing.join(', ')}${known}. Nothing is written`);
    }
    if (names.length === 0 && stored === null) throw new HipacheError('NOT_FOUND', `${pattern} has no options`);
    const removed = names.length === 0 ? [...present.keys()] : names;
    return change(store, pattern, new Map(removed.map((name) => [name, null])));
  };
}

/** The options in force for the route of a pattern. */
export async function explainOptions(
  pattern: string,
  { options }: { readonly options: Pick<OptionCollection, 'read'> },
): Promise<ExplainedOptions> {
  const patterns = [pattern, ...coveringPatterns(pattern)];
  const stored = await options.read(patterns);
  const layers = patterns.map((each, i) => ({ pattern: each, options: stored[i]?.options ?? noOptions }));
  const problems = patterns.flatMap((each, i) =>
    problemsWith(stored[i] ?? null).map((problem) => (each === pattern ? problem : `${each}: ${problem}`)),
  );
  const { inForce, values } = optionsInForce(layers);
  return {
    inForce: inForce.map(({ name, text, from }) => ({ name, value: shownOption(name, text), from })),
    problems,
    layers,
    values,
  };
}

async function change(
  { options, routes }: Pick<Store, 'options' | 'routes'>,
  pattern: string,
  changes: ReadonlyMap<string, string | null>,
): Promise<ChangedOptions> {
  const { before, after } = await options.change(pattern, changes);
  const [record = null] = await routes.read([pattern]);
  return {
    ...toListed(pattern, { options: after, problems: [] }),
    set: [...changes.keys()].filter((name) => after.has(name) && after.get(name) !== before.get(name)),
    unset: [...changes.keys()].filter((name) => before.has(name) && !after.has(name)),
    hasRoute: hasRoute(record),
  };
}

function toListed(pattern: string, stored: StoredOptions): ListedOptions {
  return { pattern, options: shown(stored.options), problems: problemsWith(stored) };
}

function problemsWith(stored: StoredOptions | null): string[] {
  if (stored === null) return [];
  return [...stored.problems, ...[...stored.options].flatMap(([name, text]) => problemsOf(name, text))];
}

function shown(options: OptionTexts): Record<string, string> {
  return Object.fromEntries([...options].map(([name, text]) => [name, shownOption(name, text)]));
}

import { BoundedMemo } from '../base/bounded-memo.ts';
import { nearestWord } from '../base/nearest.ts';
import { printable } from '../base/printable.ts';
import { type OptionDefinition, type OptionValues, optionDefinitions } from './option-schema.ts';

/** Longest value, in characters. */
const valueCharsMax = 65_536;
/** Values that are remembered, and the characters of their texts: most hosts of a platform have the same few. */
const rememberedMax = 1000;
const rememberedCharsMax = 4_000_000;

/** The options of one pattern, as a store has them. */
export interface OptionLayer {
  readonly pattern: string;
  readonly options: ReadonlyMap<string, string>;
}

/** A value that holds for a host. */
export interface OptionInForce {
  readonly name: string;
  readonly text: string;
  /** The pattern whose record has it. */
  readonly from: string;
}

/**
 * The values that hold for a host: of each option the first one that can be used.
 * @param layers that of the route's own pattern, then that of its host, if it is a path and the host has options, then those of
 *   the wildcard patterns that cover it, most specific first.
 */
export function optionsInForce(layers: readonly OptionLayer[]): {
  readonly values: OptionValues;
  readonly inForce: readonly OptionInForce[];
} {
  const values: Record<string, unknown> = {};
  const inForce: OptionInForce[] = [];
  const hasHost = isOfPath(layers);
  for (const [name, { inherits }] of optionDefinitions) {
    const used = inherits === 'all' ? layers.length : inherits === 'host' && hasHost ? 2 : 1;
    for (const { options, pattern } of layers.slice(0, used)) {
      const text = options.get(name);
      const value = text === undefined ? undefined : usableValue(name, text);
      if (text === undefined || value === undefined) continue;
      values[name] = value;
      inForce.push({ name, text, from: pattern });
      break;
    }
  }
  return { values: values as OptionValues, inForce };
}

/** Whether the layers are those of a path, and the second one that of its host. */
export function isOfPath([own, next]: readonly OptionLayer[]): boolean {
  return own !== undefined && next !== undefined && own.pattern.startsWith(`${next.pattern}/`);
}

const remembered = new BoundedMemo<unknown>(rememberedMax, rememberedCharsMax);

/** The value of an option; undefined if it counts as not set. */
function usableValue(name: string, text: string): unknown {
  return remembered.get(`${name} ${text}`, () => {
    const { isAccess, type } = optionDefinitions.get(name) as OptionDefinition;
    const value = text.length > valueCharsMax ? undefined : type.parse(text, []);
    // A list that says who may see a host, and cannot be used, lets nobody in, as one whose items are all wrong.
    return value === undefined && isAccess ? type.parse('', []) : value;
  });
}

/** The faults of the options of one pattern: unknown ones, and values that cannot be used. The others hold. */
export function optionProblems(options: ReadonlyMap<string, string>): string[] {
  return [...options].flatMap(([name, text]) => problemsOf(name, text));
}

/** The faults of one option; empty if it has none. */
export function problemsOf(name: string, text: string): readonly string[] {
  const definition = optionDefinitions.get(name);
  if (definition === undefined) return [`there is no option ${quote(name)}${nearText(name)}`];
  if (text.length > valueCharsMax) {
    return [`option ${name}: its value has ${text.length} characters, allowed are ${valueCharsMax}`];
  }
  const problems: string[] = [];
  const value = definition.type.parse(text, problems);
  if (value !== undefined) return problems.map((problem) => `option ${name}: ${printable(problem)}`);
  const found = definition.isSecret ? shownOption(name, text) : quote(text);
  return [`option ${name}: found ${found}, allowed ${definition.type.allowed}`];
}

/** The value of an option as it may be shown. The name of a secret one may be misspelled. */
export function shownOption(name: string, text: string): string {
  const isSecret = optionDefinitions.get(name)?.isSecret ?? /auth|key|pass|secret|token/i.test(name);
  return isSecret ? '(secret)' : withoutCredentials(text);
}

/** Without the queries of URLs, and without the values of fields that identify somebody. */
function withoutCredentials(text: string): string {
  return text
    .replace(/(https?:\/\/[^\s?]*)\?\S*/g, '$1?(secret)')
    .replace(/((?:authorization|cookie|[\w-]*(?:key|pass|secret|token)[\w-]*) *:)[^\n]*/gi, '$1 (secret)');
}

/** Whether there is such an option. */
export function isOption(name: string): boolean {
  return optionDefinitions.has(name);
}

/** Whether commands may take its value from a file. */
export function isTextOption(name: string): boolean {
  return optionDefinitions.get(name)?.isText ?? false;
}

function nearText(name: string): string {
  const near = nearestWord(name, [...optionDefinitions.keys()]);
  return near === null ? '; "hipache option names" lists them' : ` (did you mean ${near}?)`;
}

function quote(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);
}

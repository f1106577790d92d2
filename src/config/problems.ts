import type { z } from 'zod';
import { shownUrl } from '../base/shown-url.ts';
import type { KeyNotes } from './keys.ts';
import { isPlain } from './shape.ts';

type Path = readonly PropertyKey[];

/**
 * One line for every error that zod found: `server.tcpTimeout: found "30" (a string), allowed a number from …`.
 * @param input the value that was checked.
 * @param notes by key path.
 */
export function describeIssues(
  issues: readonly z.core.$ZodIssue[],
  input: unknown,
  notes: ReadonlyMap<string, KeyNotes>,
): readonly string[] {
  const lines = issues.flatMap((issue) => leaves(issue, [])).map((path) => describe(path, input, notes));
  return [...new Set(lines)];
}

/**
 * The paths that an issue concerns. For alternatives, such as an address or an array of them, it is the one of the same
 * kind as the value: its issues lie deeper than the value itself. If there is none, the whole value is wrong.
 */
function leaves(issue: z.core.$ZodIssue, prefix: Path): readonly Path[] {
  const path = [...prefix, ...issue.path];
  if (issue.code !== 'invalid_union') return [path];
  const meant = issue.errors.find((errors) => errors.length > 0 && errors.every((error) => error.path.length > 0));
  return meant === undefined ? [path] : meant.flatMap((error) => leaves(error, path));
}

function describe(path: Path, input: unknown, notes: ReadonlyMap<string, KeyNotes>): string {
  const note = notes.get(path.map(patternStep).join('').replace(/^\./, ''));
  const name = path.map(nameStep).join('').replace(/^\./, '');
  const found = describeFound(valueAt(input, path), note?.secret ?? false);
  return `${name}: found ${found}, allowed ${note?.allowed ?? 'another value'}`;
}

/** Describes a value for a message: short, on one line, without secrets. */
export function describeFound(value: unknown, secret: boolean): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty array' : 'an array';
  if (typeof value === 'object') return 'an object';
  if (secret) return `a ${typeof value}`;
  if (typeof value !== 'string') return String(value);
  const safe = shownUrl(value);
  return `${JSON.stringify(safe.length > 80 ? `${safe.slice(0, 80)}…` : safe)}${looksLikeAnotherType(value) ? ' (a string)' : ''}`;
}

function looksLikeAnotherType(value: string): boolean {
  return /^(true|false|null)$/.test(value) || (value.trim() !== '' && !Number.isNaN(Number(value)));
}

function valueAt(input: unknown, path: Path): unknown {
  let value = input;
  for (const step of path) {
    if (Array.isArray(value) && typeof step === 'number') value = value[step];
    else if (isPlain(value) && Object.hasOwn(value, String(step))) value = value[String(step)];
    else return undefined;
  }
  return value;
}

function nameStep(step: PropertyKey): string {
  return typeof step === 'number' ? `[${step}]` : `.${String(step)}`;
}

function patternStep(step: PropertyKey): string {
  return typeof step === 'number' ? '[]' : `.${String(step)}`;
}

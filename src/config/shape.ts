import { z } from 'zod';
import { nearestWord } from '../base/nearest.ts';
import { asType, containersOf } from './keys.ts';

/** A plain object in a parsed file. */
export type Plain = Record<string, unknown>;

export function isPlain(value: unknown): value is Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Copies `value` with only the keys that `schema` knows, at every depth, and adds a line to `warnings` for every other
 * key. Omits sections that are empty in YAML (null).
 * @param known every key path, for suggestions across sections.
 */
export function keepKnownKeys(schema: z.ZodObject, value: Plain, known: readonly string[], warnings: string[]): Plain {
  return keepMembers(schema, value, '', { known, warnings });
}

interface Walk {
  readonly known: readonly string[];
  readonly warnings: string[];
}

function keep(schema: z.ZodType, value: unknown, path: string, walk: Walk): unknown {
  const containers = containersOf(schema);
  if (Array.isArray(value)) {
    const array = containers.find((container) => container instanceof z.ZodArray);
    if (array === undefined) return value;
    return value.map((element, index) => keep(asType(array.element), element, `${path}[${index}]`, walk));
  }
  if (!isPlain(value)) return value;
  const object = containers.find((container) => container instanceof z.ZodObject);
  return object === undefined ? value : keepMembers(object, value, path, walk);
}

function keepMembers(schema: z.ZodObject, value: Plain, path: string, walk: Walk): Plain {
  const kept: Plain = {};
  for (const [name, member] of Object.entries(value)) {
    const memberSchema = Object.hasOwn(schema.shape, name) ? schema.shape[name] : undefined;
    if (memberSchema === undefined) {
      walk.warnings.push(unknownKey(path, name, Object.keys(schema.shape), walk.known));
    } else if (!isEmptySection(asType(memberSchema), member)) {
      kept[name] = keep(asType(memberSchema), member, path === '' ? name : `${path}.${name}`, walk);
    }
  }
  return kept;
}

function isEmptySection(schema: z.ZodType, value: unknown): boolean {
  return value === null && schema instanceof z.ZodPrefault;
}

function unknownKey(path: string, name: string, siblings: readonly string[], known: readonly string[]): string {
  const full = path === '' ? printable(name) : `${path}.${printable(name)}`;
  const near = suggestion(path, name, siblings, known);
  return `${full}: unknown key, not used${near === null ? '' : `; did you mean ${near}?`}`;
}

function suggestion(path: string, name: string, siblings: readonly string[], known: readonly string[]): string | null {
  const sibling = nearestWord(name, siblings);
  if (sibling !== null) return path === '' ? sibling : `${path}.${sibling}`;
  const elsewhere = known.filter((key) => !key.includes('['));
  const word = nearestWord(name, elsewhere.map(lastWord));
  return word === null ? null : (elsewhere.find((key) => lastWord(key) === word) ?? null);
}

function lastWord(path: string): string {
  return path.slice(path.lastIndexOf('.') + 1);
}

/** A plain word unchanged; any other name in quotes, with control characters escaped. */
function printable(name: string): string {
  return /^[\w-]{1,100}$/.test(name) ? name : JSON.stringify(name.length > 100 ? `${name.slice(0, 100)}…` : name);
}

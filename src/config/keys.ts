import { z } from 'zod';

/** The origin of a key: Hipache 0.4, Hipache 0.3, or this version. */
type KeySource = '0.4' | '0.3' | 'new';

/** The description of a key, for the reference page and error messages. */
export interface KeyNotes {
  readonly description: string;
  readonly source: KeySource;
  /** The allowed values, worded to follow `allowed`: `a whole number from 1 to 65535`. */
  readonly allowed: string;
  /** The unit of the value, or empty. */
  readonly unit: string;
  /** The default as written in a file, or a phrase if it depends on something. */
  readonly default: string;
  /** A secret is never shown: neither in messages nor by `--dry`. */
  readonly secret: boolean;
}

interface KeyReference extends KeyNotes {
  /** As in a file: `server.tcpTimeout`, `http.bind[].port`. */
  readonly path: string;
}

interface Describe {
  readonly source: KeySource;
  readonly description: string;
  readonly unit?: string;
  /** The following override derived texts. */
  readonly allowed?: string;
  readonly default?: string;
  readonly secret?: boolean;
}

const registry = z.registry<KeyNotes>();

/** Attaches notes to a schema that none of the functions below creates. `allowed` is then required. */
export function key<Schema extends z.ZodType>(schema: Schema, describe: Describe & { allowed: string }): Schema {
  registry.add(schema, { unit: '', default: 'none', secret: false, ...describe });
  return schema;
}

/** A whole number from `min` to `max`. */
export function wholeNumber(min: number, max: number, defaultValue: number, describe: Describe) {
  return key(z.int().min(min).max(max).default(defaultValue), {
    allowed: `a whole number from ${min} to ${max}`,
    default: String(defaultValue),
    ...describe,
  });
}

/** A number of seconds from `min` to `max`, fractions allowed. */
export function seconds(min: number, max: number, defaultValue: number, describe: Describe) {
  return key(z.number().min(min).max(max).default(defaultValue), {
    allowed: `a number from ${min} to ${max}`,
    default: String(defaultValue),
    unit: 'seconds',
    ...describe,
  });
}

/** `true` or `false`. */
export function trueOrFalse(defaultValue: boolean, describe: Describe) {
  return key(z.boolean().default(defaultValue), {
    allowed: 'true or false',
    default: String(defaultValue),
    ...describe,
  });
}

/** One of a few words. */
export function oneOf<const Words extends readonly [string, ...string[]]>(words: Words, describe: Describe) {
  return key(z.enum(words).optional(), { allowed: words.map((word) => `"${word}"`).join(', '), ...describe });
}

/** A non-empty text without NUL, such as a path or name; at most 4096 characters. */
export function text(describe: Describe & { allowed: string }) {
  return key(z.string().check(z.minLength(1), z.maxLength(4096), z.regex(/^[^\0]*$/)), describe);
}

/** Every key of `schema` that has notes, in schema order. */
export function keyReferences(schema: z.ZodType): readonly KeyReference[] {
  const found: KeyReference[] = [];
  collect(schema, '', found);
  return found;
}

/** The objects and arrays inside a schema, below its defaults, alternatives and optional marks. */
export function containersOf(schema: z.ZodType): readonly (z.ZodObject | z.ZodArray)[] {
  if (schema instanceof z.ZodObject || schema instanceof z.ZodArray) return [schema];
  if (schema instanceof z.ZodUnion) return schema.options.flatMap((option) => containersOf(asType(option)));
  const inner = unwrap(schema);
  return inner === null ? [] : containersOf(inner);
}

/** Narrows a schema to the class that zod's own functions return. */
export function asType(schema: z.core.$ZodType): z.ZodType {
  if (!(schema instanceof z.ZodType)) throw new TypeError('a schema of zod/mini cannot be described');
  return schema;
}

function collect(schema: z.ZodType, path: string, found: KeyReference[]): void {
  const notes = notesOf(schema);
  if (notes !== null && !found.some((known) => known.path === path)) found.push({ ...notes, path });
  for (const container of containersOf(schema)) {
    if (container instanceof z.ZodArray) {
      collect(asType(container.element), `${path}[]`, found);
      continue;
    }
    for (const [name, member] of Object.entries(container.shape)) {
      collect(asType(member), path === '' ? name : `${path}.${name}`, found);
    }
  }
}

function notesOf(schema: z.ZodType): KeyNotes | null {
  for (let part: z.ZodType | null = schema; part !== null; part = unwrap(part)) {
    const notes = registry.get(part);
    if (notes !== undefined) return notes;
  }
  return null;
}

function unwrap(schema: z.ZodType): z.ZodType | null {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) return asType(schema.unwrap());
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable) return asType(schema.unwrap());
  return null;
}

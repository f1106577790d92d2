import type { z } from 'zod';
import { HipacheError } from '../base/errors.ts';
import { nearestWord } from '../base/nearest.ts';

/** Problems that a message names. */
const problemsMax = 10;

/**
 * Checks the input of an operation, and adds its defaults.
 * @throws HipacheError COMMAND_INVALID that names each field that is wrong, or unknown.
 */
export function checkedInput<Schema extends z.ZodObject>(schema: Schema, input: object): z.output<Schema> {
  const known = Object.keys(schema.shape);
  const unknown = Object.keys(input).find((name) => !known.includes(name));
  if (unknown !== undefined) {
    const near = nearestWord(unknown, known);
    const hint = near === null ? `; there are ${known.join(', ')}` : `; did you mean ${near}?`;
    throw new HipacheError('COMMAND_INVALID', `there is no field ${JSON.stringify(unknown)}${hint}`);
  }
  const checked = schema.safeParse(input);
  if (checked.success) return checked.data;
  const problems = checked.error.issues.map(({ message, path }) => `${path.join('.') || 'input'}: ${message}`);
  throw new HipacheError('COMMAND_INVALID', problems.slice(0, problemsMax).join('; '));
}

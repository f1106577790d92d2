import type { OptionOutcome, OptionRecord, StoredOptions } from '../contract.ts';
import { changeOptions, noOptions, toStoredOptions } from '../option-record.ts';
import type { RedisCommand } from './connection.ts';
import type { RedisEdit } from './edits.ts';
import { isWrongType } from './errors.ts';
import type { RedisKeys } from './keys.ts';

/* The hash `options:<pattern>`, a text by the name of an option. */

/** The options of a hash; null for none. @param reply that to HGETALL. */
export function readOptions(key: string, reply: unknown): StoredOptions | null {
  if (isWrongType(reply)) {
    return { options: noOptions, problems: [`the key ${key} is not a hash, so it has no options; DEL it`] };
  }
  const fields = fieldsOf(reply);
  return fields.length === 0 ? null : toStoredOptions(fields, `the key ${key}`);
}

/** Changes the fields that differ. */
export function changeOptionsEdit(
  keys: RedisKeys,
  pattern: string,
  changes: ReadonlyMap<string, string | null>,
): RedisEdit<OptionOutcome> {
  const key = keys.of('options', pattern);
  return {
    keys: [key],
    reads: [['HGETALL', key]],
    decide([hash]) {
      const result = changeOptions(new Map(fieldsOf(hash)), changes);
      const { before, after } = result;
      const gone = [...before.keys()].filter((name) => !after.has(name));
      const set = [...after].filter(([name, text]) => before.get(name) !== text);
      const commands: RedisCommand[] = isWrongType(hash) ? [['DEL', key]] : [];
      if (gone.length > 0) commands.push(['HDEL', key, ...gone]);
      return { commands: [...commands, ...write(key, set)], result };
    },
  };
}

/** Records as they are. */
export function putOptionsEdit(keys: RedisKeys, records: readonly OptionRecord[]): RedisEdit<void> {
  return {
    keys: [],
    reads: [],
    decide: () => ({
      commands: records.flatMap(({ pattern, options }) => {
        const key = keys.of('options', pattern);
        return [['DEL', key], ...write(key, [...options])];
      }),
      result: undefined,
    }),
  };
}

function write(key: string, fields: readonly (readonly [string, string])[]): RedisCommand[] {
  return fields.length === 0 ? [] : [['HSET', key, ...fields.flat()]];
}

/** @param reply that to HGETALL. */
function fieldsOf(reply: unknown): [name: string, text: string][] {
  const texts = Array.isArray(reply) ? (reply as string[]) : [];
  return Array.from({ length: texts.length >> 1 }, (_, i) => [texts[2 * i] as string, texts[2 * i + 1] as string]);
}

import type { NoteCondition } from '../contract.ts';
import type { RedisCommand } from './connection.ts';
import type { RedisEdit } from './edits.ts';
import { isWrongType } from './errors.ts';
import type { RedisKeys } from './keys.ts';

/* The hash `hipache:note:<name>` with the field `text`. Redis' own clock ends it. Some are published as well. */

/** An edit that writes nothing: it reads at the server that is written to, since a replica may be behind. */
export function readNoteEdit(keys: RedisKeys, name: string): RedisEdit<string | null> {
  return {
    keys: [],
    reads: [['HMGET', keys.note(name), 'text']],
    isCounted: false,
    decide: ([reply]) => ({ commands: [], result: readText(reply) }),
  };
}

/** The result says whether the condition held. */
export function writeNoteEdit(
  keys: RedisKeys,
  name: string,
  text: string | null,
  { announce = false, expected, ttlMs }: NoteCondition,
): RedisEdit<boolean> {
  const key = keys.note(name);
  return {
    keys: [key],
    reads: [['HMGET', key, 'text']],
    isCounted: false,
    decide([reply]) {
      if (expected !== undefined && readText(reply) !== expected) return { commands: [], result: false };
      const commands: RedisCommand[] = [['DEL', key]];
      if (text !== null) commands.push(['HSET', key, 'text', text]);
      if (text !== null && ttlMs !== undefined) commands.push(['EXPIRE', key, String(Math.ceil(ttlMs / 1000))]);
      if (text !== null && announce) commands.push(['PUBLISH', keys.events, text]);
      return { commands, result: true };
    },
  };
}

/** The text of a hash that has nothing else; null without it. @param reply that to HMGET. */
export function readText(reply: unknown): string | null {
  return isWrongType(reply) ? null : (reply as [string | null])[0];
}

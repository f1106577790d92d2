import type { DueNote, NoteCondition } from '../contract.ts';
import type { RedisCommand } from './connection.ts';
import type { RedisEdit } from './edits.ts';
import { isWrongType } from './errors.ts';
import type { RedisKeys } from './keys.ts';

/*
 * The hash `hipache:note:<name>` with the field `text`. Redis' own clock ends it. Some are published as well. The sorted set
 * `hipache:notes-due` has the names of those that are to be looked at.
 */

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
  { announce = false, dueMs, expected, ttlMs }: NoteCondition,
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
      if (text === null) commands.push(['ZREM', keys.notesDue, name]);
      else if (dueMs !== undefined) commands.push(['ZADD', keys.notesDue, String(Math.round(dueMs)), name]);
      if (text !== null && announce) commands.push(['PUBLISH', keys.events, text]);
      return { commands, result: true };
    },
  };
}

/** Up to `limit` names of notes that are due, the earliest first, read where it is written. */
export function readDueNamesEdit(keys: RedisKeys, atMs: number, limit: number): RedisEdit<readonly string[]> {
  return {
    keys: [],
    reads: [['ZRANGE', keys.notesDue, '0', String(limit - 1), 'WITHSCORES']],
    isCounted: false,
    decide: ([reply]) => ({ commands: [], result: namesUntil(reply, atMs) }),
  };
}

/** The notes of these names. One that has none was removed a moment ago, or its writer has ended in the middle. */
export function readDueNotesEdit(keys: RedisKeys, names: readonly string[]): RedisEdit<readonly DueNote[]> {
  return {
    keys: [keys.notesDue, ...names.map((name) => keys.note(name))],
    reads: names.map((name) => ['HMGET', keys.note(name), 'text']),
    isCounted: false,
    decide(replies) {
      const texts = replies.map(readText);
      const gone = names.filter((_, i) => texts[i] === null);
      return {
        commands: gone.length === 0 ? [] : [['ZREM', keys.notesDue, ...gone]],
        result: names.flatMap((name, i) => {
          const text = texts[i] ?? null;
          return text === null ? [] : [{ name, text }];
        }),
      };
    },
  };
}

/** @param reply to ZRANGE WITHSCORES: names and scores in turn, or in pairs (RESP3). */
function namesUntil(reply: unknown, atMs: number): string[] {
  if (isWrongType(reply) || !Array.isArray(reply)) return [];
  const flat = reply.flat().map(String);
  return flat.filter((_, i) => i % 2 === 0 && Number(flat[i + 1]) <= atMs);
}

/** The text of a hash that has nothing else; null without it. @param reply that to HMGET. */
export function readText(reply: unknown): string | null {
  return isWrongType(reply) ? null : (reply as [string | null])[0];
}

import { HipacheError } from '../../base/errors.ts';
import type { NoteCollection, NoteCondition } from '../contract.ts';
import { type KeyValueClient, type KeyValueEdit, recordKey } from './client.ts';
import { readNote, writeNote } from './records.ts';

/**
 * The notes in a store of texts.
 * @param expires whether the store removes keys at their end. Otherwise notes have their end in their record.
 */
export function keyValueNotes(client: Pick<KeyValueClient, 'run'>, expires: boolean): NoteCollection {
  return {
    read: (name) => client.run(readNoteEdit(name)),
    write: (name, text, condition = {}) =>
      client.run(writeNoteEdit(name, text, condition, expires)).then(() => true, falseOfConflict),
  };
}

/** An edit that writes nothing: unlike a reading, it sees every write that was acknowledged before it. */
function readNoteEdit(name: string): KeyValueEdit<string | null> {
  return {
    keys: [recordKey('hipache:note', name)],
    isCounted: false,
    decide: ([record = null]) => ({ writes: [], result: readNote(record, Date.now()) }),
  };
}

/**
 * `decide` throws CONFLICT if the condition does not hold. With nothing to write instead, a client would take an attempt whose
 * reply was lost for made.
 */
function writeNoteEdit(
  name: string,
  text: string | null,
  { expected, ttlMs }: NoteCondition,
  expires: boolean,
): KeyValueEdit<void> {
  const key = recordKey('hipache:note', name);
  return {
    keys: [key],
    isCounted: false,
    decide([record = null]) {
      const nowMs = Date.now();
      if (expected !== undefined && readNote(record, nowMs) !== expected) {
        throw new HipacheError('CONFLICT', `the note ${name} has another text`);
      }
      if (text === null) return { writes: [{ key, value: null }], result: undefined };
      if (ttlMs === undefined) return { writes: [{ key, value: writeNote(text, null) }], result: undefined };
      const value = writeNote(text, expires ? null : nowMs + ttlMs);
      return { writes: [{ key, value, ttlMs }], result: undefined };
    },
  };
}

function falseOfConflict(error: unknown): false {
  if (error instanceof HipacheError && error.code === 'CONFLICT') return false;
  throw error;
}

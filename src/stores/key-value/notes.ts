import { HipacheError } from '../../base/errors.ts';
import type { DueNote, NoteCollection, NoteCondition } from '../contract.ts';
import { type KeyValueClient, type KeyValueEdit, type RecordKey, recordKey } from './client.ts';
import { readNote, writeNote } from './records.ts';

/*
 * A note that is due has a second record, whose name begins with the time, so that a listing has the earliest first. It
 * counts only as long as the note has that time; one of a former time is removed when it is found.
 */

/** Digits of a time in epoch ms, so that the order of the texts is that of the times. */
const timeDigits = 15;

const unsupported = 'this store cannot tell what is due; Redis, etcd, ZooKeeper and SQLite can';

/**
 * The notes in a store of texts.
 * @param expires whether the store removes keys at their end. Otherwise notes have their end in their record.
 */
export function keyValueNotes(
  client: Pick<KeyValueClient, 'run'> & Partial<Pick<KeyValueClient, 'list'>>,
  expires: boolean,
): NoteCollection {
  return {
    read: (name) => client.run(readNoteEdit(name)),
    write: (name, text, condition = {}) =>
      client.run(writeNoteEdit(name, text, condition, expires)).then(() => true, falseOfConflict),
    async due(atMs, limit) {
      if (client.list === undefined) throw new HipacheError('STORE_UNSUPPORTED', unsupported);
      const notes: DueNote[] = [];
      for (let after = ''; notes.length < limit; ) {
        const found = await client.list('hipache:note-due', after, limit);
        for (const { pattern } of found) {
          const { dueMs, name } = partsOf(pattern);
          if (dueMs > atMs || notes.length === limit) return notes;
          const text = await client.run(readDueNoteEdit(name, dueMs));
          if (text !== null) notes.push({ name, text });
          after = pattern;
        }
        if (found.length < limit) break;
      }
      return notes;
    },
  };
}

/** An edit that writes nothing: unlike a reading, it sees every write that was acknowledged before it. */
function readNoteEdit(name: string): KeyValueEdit<string | null> {
  return {
    keys: [recordKey('hipache:note', name)],
    isCounted: false,
    decide: ([record = null]) => ({ writes: [], result: readNote(record, Date.now())?.text ?? null }),
  };
}

/** The text of a note if it is due at this time; if not, the record that says so is removed. */
function readDueNoteEdit(name: string, dueMs: number): KeyValueEdit<string | null> {
  const key = dueKey(name, dueMs);
  return {
    keys: [recordKey('hipache:note', name), key],
    isCounted: false,
    decide([record = null]) {
      const note = readNote(record, Date.now());
      if (note?.dueMs === dueMs) return { writes: [], result: note.text };
      return { writes: [{ key, value: null }], result: null };
    },
  };
}

/**
 * `decide` throws CONFLICT if the condition does not hold. With nothing to write instead, a client would take an attempt whose
 * reply was lost for made.
 */
function writeNoteEdit(
  name: string,
  text: string | null,
  { dueMs: wantedMs, expected, ttlMs }: NoteCondition,
  expires: boolean,
): KeyValueEdit<void> {
  const key = recordKey('hipache:note', name);
  const newDueMs = wantedMs === undefined ? null : Math.round(wantedMs);
  return {
    keys: [key],
    isCounted: false,
    decide([record = null]) {
      const nowMs = Date.now();
      const note = readNote(record, nowMs);
      if (expected !== undefined && (note?.text ?? null) !== expected) {
        throw new HipacheError('CONFLICT', `the note ${name} has another text`);
      }
      const due = newDueMs === null ? [] : [{ key: dueKey(name, newDueMs), value: 'due' }];
      if (text === null) return { writes: [{ key, value: null }], result: undefined };
      const dueMs = newDueMs ?? note?.dueMs ?? null;
      if (ttlMs === undefined) {
        return { writes: [{ key, value: writeNote({ text, untilMs: null, dueMs }) }, ...due], result: undefined };
      }
      const value = writeNote({ text, untilMs: expires ? null : Math.round(nowMs + ttlMs), dueMs });
      return { writes: [{ key, value, ttlMs }], result: undefined };
    },
  };
}

function dueKey(name: string, dueMs: number): RecordKey {
  return recordKey('hipache:note-due', `${String(dueMs).padStart(timeDigits, '0')}:${name}`);
}

function partsOf(pattern: string): { readonly dueMs: number; readonly name: string } {
  return { dueMs: Number(pattern.slice(0, timeDigits)), name: pattern.slice(timeDigits + 1) };
}

function falseOfConflict(error: unknown): false {
  if (error instanceof HipacheError && error.code === 'CONFLICT') return false;
  throw error;
}

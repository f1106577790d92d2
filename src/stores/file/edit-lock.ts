import { existsSync, statSync } from 'node:fs';
import { chmod, chown } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { type Clock, systemClock } from '../../base/clock.ts';
import { HipacheError } from '../../base/errors.ts';
import { KeyedQueue } from '../../base/keyed-queue.ts';
import { unwritable } from './errors.ts';
import { stampOf } from './reading.ts';
import { codeOf, isBusyCode } from './sqlite-codes.ts';

/** How long an edit waits for another process that holds the lock without changing the file, in ms. */
const waitMs = 10_000;
const betweenMs = 5;

/** The edits of this process: one of them at a time competes with those of other processes. */
const ownEdits = new KeyedQueue();

/**
 * Runs an edit of a routes file while no other process does. The lock is one of the kernel, which ends with its process,
 * however that ends: SQLite's on an empty file beside the routes file, since Node has no lock of its own. It waits as
 * long as the edits of others are made, and 10 s for one that is not.
 * @throws HipacheError STORE_BUSY, STORE_READ_ONLY.
 */
export async function withEditLock<Result>(
  target: string,
  edit: () => Promise<Result>,
  clock: Pick<Clock, 'monotonicMs'> = systemClock,
): Promise<Result> {
  return ownEdits.run(target, () => withKernelLock(target, edit, clock));
}

async function withKernelLock<Result>(
  target: string,
  edit: () => Promise<Result>,
  clock: Pick<Clock, 'monotonicMs'>,
): Promise<Result> {
  const path = join(dirname(target), `.${basename(target)}.lock`);
  let state = await stateOf(target);
  let deadlineMs = clock.monotonicMs() + waitMs;
  for (;;) {
    const lock = await tryLock(path, target);
    if (lock !== null) {
      try {
        return await edit();
      } finally {
        lock.close();
      }
    }
    if (clock.monotonicMs() > deadlineMs) {
      const former = state;
      state = await stateOf(target);
      if (state === former) {
        throw new HipacheError('STORE_BUSY', `${target}: another process has been changing it for ${waitMs / 1000} s`);
      }
      deadlineMs = clock.monotonicMs() + waitMs;
    }
    await delay(betweenMs);
  }
}

async function tryLock(path: string, target: string): Promise<DatabaseSync | null> {
  const isNew = !existsSync(path);
  let lock: DatabaseSync | null = null;
  try {
    lock = new DatabaseSync(path, { timeout: 0 });
    lock.exec('BEGIN EXCLUSIVE');
    if (isNew) await giveToOwnerOf(target, path);
    return lock;
  } catch (error) {
    lock?.close();
    if (isBusyCode(codeOf(error))) return null;
    throw unwritable(path, error);
  }
}

/** Differs after every edit. */
async function stateOf(target: string): Promise<string | null> {
  return stampOf(target).then(
    ({ id }) => id,
    () => null,
  );
}

/** Everybody who may change the routes file may lock it. */
async function giveToOwnerOf(target: string, path: string): Promise<void> {
  const owner = statSync(target, { throwIfNoEntry: false });
  if (owner === undefined) return;
  await chmod(path, owner.mode & 0o666).catch(ignore);
  await chown(path, owner.uid, owner.gid).catch(ignore);
}

function ignore(): void {}

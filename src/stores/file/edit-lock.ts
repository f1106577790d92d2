import { existsSync, statSync } from 'node:fs';
import { chmod, chown } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { HipacheError } from '../../base/errors.ts';
import { unwritable } from './errors.ts';
import { codeOf, isBusyCode } from './sqlite-codes.ts';

/** How long an edit waits for those of other processes, in ms. */
const waitMs = 10_000;
const betweenMs = 5;

/**
 * Runs an edit of a routes file while no other process does. The lock is one of the kernel, which ends with its process,
 * however that ends: SQLite's on an empty file beside the routes file, since Node has no lock of its own.
 * @throws HipacheError STORE_BUSY, STORE_READ_ONLY.
 */
export async function withEditLock<Result>(target: string, edit: () => Promise<Result>): Promise<Result> {
  const path = join(dirname(target), `.${basename(target)}.lock`);
  const deadlineMs = performance.now() + waitMs;
  for (;;) {
    const lock = await tryLock(path, target);
    if (lock !== null) {
      try {
        return await edit();
      } finally {
        lock.close();
      }
    }
    if (performance.now() > deadlineMs) {
      throw new HipacheError('STORE_BUSY', `${target}: another process has been changing it for ${waitMs / 1000} s`);
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

/** Everybody who may change the routes file may lock it. */
async function giveToOwnerOf(target: string, path: string): Promise<void> {
  const owner = statSync(target, { throwIfNoEntry: false });
  if (owner === undefined) return;
  await chmod(path, owner.mode & 0o666).catch(ignore);
  await chown(path, owner.uid, owner.gid).catch(ignore);
}

function ignore(): void {}

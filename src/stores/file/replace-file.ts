import { constants, type Stats } from 'node:fs';
import { access, type FileHandle, lstat, open, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isMissing } from './errors.ts';

const newFileMode = 0o644;
/**
 * How much older than its own last change the content of a written file is said to be, in ms. Readers see by these times
 * that the file is complete; the clock of the file system may have steps of 10 ms.
 */
const finishedMs = 20;

/** The file that a path leads to, also if that is a link, or a new name in an existing directory. */
export async function targetOf(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    const isDangling = await lstat(path).then(
      () => true,
      () => false,
    );
    if (isDangling || !isMissing(error)) throw error;
    return join(await realpath(dirname(path)), basename(path));
  }
}

/**
 * Whether this user may replace a file. Renaming needs the directory alone, but a file that was made read-only is not to be
 * changed.
 * @throws the error of the file system.
 */
export async function checkWritable(target: string): Promise<void> {
  await access(dirname(target), constants.W_OK);
  if ((await statOrNull(target)) !== null) await access(target, constants.W_OK);
}

/**
 * Replaces a file by another with the same mode and owner, in one step, and waits for the disk. Its directory must not
 * be written to at the same time by another call for the same file.
 * @param target not a link.
 * @param isCurrent whether the file is still the one that the text was made from.
 * @returns false if it is not; nothing has changed then.
 * @throws the error of the file system.
 */
export async function replaceFile(target: string, text: string, isCurrent: () => Promise<boolean>): Promise<boolean> {
  const former = await statOrNull(target);
  const directory = dirname(target);
  const temporary = join(directory, `.${basename(target)}.tmp`);
  // A killed process has left it.
  await rm(temporary, { force: true });
  const file = await open(temporary, 'wx', former === null ? newFileMode : former.mode & 0o7777);
  try {
    await writeAll(file, text, former);
    if (!(await isCurrent())) {
      await rm(temporary, { force: true });
      return false;
    }
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(directory);
  return true;
}

async function writeAll(file: FileHandle, text: string, former: Stats | null): Promise<void> {
  try {
    await file.writeFile(text);
    const { uid, gid } = await file.stat();
    if (former !== null && (uid !== former.uid || gid !== former.gid)) await file.chown(former.uid, former.gid);
    // After the owner, whose change takes bits away, and regardless of the mask of the process.
    if (former !== null) await file.chmod(former.mode & 0o7777);
    const nowMs = Date.now();
    await file.utimes(nowMs / 1000, (nowMs - finishedMs) / 1000);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function statOrNull(path: string): Promise<Stats | null> {
  try {
    return await stat(path);
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

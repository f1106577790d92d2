import { stat } from 'node:fs/promises';
import { readRegularFile } from '../../base/regular-file.ts';

const fileBytesMax = 64 * 1024 * 1024;

/** How much later than its content a finished file has changed, in ns. Some file systems take two times for one write. */
const finishedNs = 10_000_000n;

/** The state of a file at one moment. */
export interface FileStamp {
  /** Differs for every other content. */
  readonly id: string;
  /** Of the last write to its content, epoch ms. */
  readonly writtenMs: number;
  /**
   * Whether the file was renamed, or given a mode, owner or times, after the last write to its content: a program has
   * finished with it. A write alone sets both times to the same value, or nearly so.
   */
  readonly isFinished: boolean;
}

/** @throws the error of the file system. */
export async function stampOf(path: string): Promise<FileStamp> {
  const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
  return {
    id: `${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`,
    writtenMs: Number(mtimeNs / 1_000_000n),
    isFinished: ctimeNs - mtimeNs >= finishedNs,
  };
}

/**
 * The text of a file, if it did not change while it was read; else null.
 * @throws the error of the file system; if it is no regular file, larger than 64 MiB, or not UTF-8.
 */
export async function readText(path: string, stamp: FileStamp): Promise<string | null> {
  const bytes = await readRegularFile(path, fileBytesMax);
  if ((await stampOf(path)).id !== stamp.id) return null;
  try {
    // Removes a byte order mark.
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new Error('it is not UTF-8 text', { cause });
  }
}

import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

/* Files that an operator names. A FIFO or a device would block, or never end. */

/** Opens a FIFO without waiting for its writer. */
const flags = constants.O_RDONLY | constants.O_NONBLOCK;

/** The content of a regular file. @throws if it is another kind of file, or larger than `bytesMax`. */
export function readRegularFileSync(path: string, bytesMax: number): Buffer {
  const fd = openSync(path, flags);
  try {
    const bytes = Buffer.alloc(checkedSize(fstatSync(fd), bytesMax));
    let length = 0;
    while (length < bytes.length) {
      const count = readSync(fd, bytes, length, bytes.length - length, length);
      if (count === 0) break;
      length += count;
    }
    return bytes.subarray(0, length);
  } finally {
    closeSync(fd);
  }
}

/** Like `readRegularFileSync`, outside of the event loop. */
export async function readRegularFile(path: string, bytesMax: number): Promise<Buffer> {
  let file: FileHandle | null = null;
  try {
    file = await open(path, flags);
    const bytes = Buffer.alloc(checkedSize(await file.stat(), bytesMax));
    let length = 0;
    while (length < bytes.length) {
      const { bytesRead } = await file.read(bytes, length, bytes.length - length, length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return bytes.subarray(0, length);
  } finally {
    await file?.close();
  }
}

function checkedSize(stats: Stats, bytesMax: number): number {
  if (stats.isDirectory()) throw Object.assign(new Error('it is a directory'), { code: 'EISDIR' });
  if (!stats.isFile()) throw new Error('it is not a regular file');
  if (stats.size > bytesMax) throw new Error(`larger than ${bytesMax} bytes`);
  return stats.size;
}

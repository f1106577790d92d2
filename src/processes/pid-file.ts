import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { Log } from '../base/log.ts';

/** The file that names the primary, for `hipache upgrade`. */
export class PidFile {
  private readonly path: string | null;
  private readonly log: Log;

  /** @param path null: there is no file. */
  constructor(path: string | null, log: Log) {
    this.path = path;
    this.log = log;
  }

  /** Names this process. Written again with the same content, it says that an upgrade has failed. */
  write(): void {
    const { path } = this;
    if (path === null) return;
    try {
      writeAtomically(path, `${process.pid}\n`);
    } catch (error) {
      this.log.error(`server.pidFile cannot be written: ${(error as Error).message}`);
    }
  }

  /** Removes it, unless it names another process by now. */
  remove(): void {
    if (this.path === null) return;
    try {
      if (readFileSync(this.path, 'utf8').trim() === String(process.pid)) rmSync(this.path);
    } catch {
      // It is gone, or its directory belongs to somebody else.
    }
  }
}

function writeAtomically(path: string, text: string): void {
  const temporary = `${path}.${process.pid}`;
  try {
    writeFileSync(temporary, text, { mode: 0o644 });
  } catch (error) {
    // The file belongs to the user, the directory may not.
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
    writeFileSync(path, text);
    return;
  }
  renameSync(temporary, path);
}

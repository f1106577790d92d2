import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A file system of its own in memory, which is soon full. Needs root. */
export class SmallDisk {
  readonly directory = mkdtempSync(join(tmpdir(), 'hipache-disk-'));

  constructor(bytes: number) {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes},mode=755`, 'tmpfs', this.directory]);
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  /** Leaves no room. */
  fill(): void {
    // The last part may fit where a large one does not.
    for (const bytes of [1 << 20, 1 << 16, 1 << 12, 1]) {
      for (;;) {
        try {
          appendFileSync(this.path('filling'), Buffer.alloc(bytes));
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
          break;
        }
      }
    }
  }

  /** Undoes `fill`. */
  empty(): void {
    rmSync(this.path('filling'), { force: true });
  }

  /** Also while it is in use. */
  remove(): void {
    execFileSync('umount', ['--lazy', this.directory]);
    rmdirSync(this.directory);
  }
}

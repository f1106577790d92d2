import { readFile, stat } from 'node:fs/promises';
import type { Clock } from '../base/clock.ts';
import type { SetTimer } from '../base/timer.ts';

/** How long a content is used before the file is checked for a change. */
const checkEveryMs = 1000;
/** How long a check may take before the last content is used: the file's disk may hang. */
const checkWaitMs = 500;

export interface FollowedFileOptions<Content> {
  readonly path: string;
  readonly parse: (text: string) => Content;
  readonly clock: Clock;
  readonly setTimer: SetTimer;
}

/** The parsed content of a small file, read again when the file has changed. A file that cannot be read keeps its last content. */
export class FollowedFile<Content> {
  private readonly options: FollowedFileOptions<Content>;
  private content: Content;
  /** Identity, length and modification time of what was read. */
  private version = '';
  private checkedMs = Number.NEGATIVE_INFINITY;
  /** The check that readers wait for. */
  private check: Promise<void> | null = null;
  /** Also true after nobody waits any longer. */
  private isReading = false;

  /** Until it is read for the first time, the content is that of an empty file. */
  constructor(options: FollowedFileOptions<Content>) {
    this.options = options;
    this.content = options.parse('');
  }

  /** The content, at most a second old unless the disk is slow. Never rejects. */
  async current(): Promise<Content> {
    const nowMs = this.options.clock.monotonicMs();
    if (this.check === null && !this.isReading && nowMs - this.checkedMs >= checkEveryMs) {
      this.checkedMs = nowMs;
      this.check = this.startCheck();
    }
    await this.check;
    return this.content;
  }

  private startCheck(): Promise<void> {
    this.isReading = true;
    return new Promise((resolve) => {
      const finish = () => {
        this.check = null;
        resolve();
      };
      const cancel = this.options.setTimer(checkWaitMs, finish);
      void this.readIfChanged().then(() => {
        this.isReading = false;
        cancel();
        finish();
      });
    });
  }

  private async readIfChanged(): Promise<void> {
    const { path, parse } = this.options;
    try {
      const { ino, size, mtimeNs } = await stat(path, { bigint: true });
      const version = `${ino} ${size} ${mtimeNs}`;
      if (version === this.version) return;
      this.content = parse(await readFile(path, 'utf8'));
      // As of before the read: a change in the meantime is found by the next check.
      this.version = version;
    } catch {
      // The file is missing or being replaced: the last content still counts.
    }
  }
}

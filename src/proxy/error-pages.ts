import { type FSWatcher, readdirSync, watch } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { CoalescedTask } from '../base/coalesced-task.ts';
import type { ErrorCode } from '../base/errors.ts';
import { readRegularFile, readRegularFileSync } from '../base/regular-file.ts';

/** Largest page, in bytes. */
const pageBytesMax = 1024 * 1024;
const reloadDelayMs = 50;

/**
 * The pages for local error responses, from a directory: `error_<CODE>.html`, else `error_<status>.html`, else
 * `error_default.html`. They are reloaded whenever the directory changes; if that fails, the previous pages stay in use.
 */
export class ErrorPages {
  private readonly directory: string;
  private readonly onProblem: (message: string) => void;
  private pages: ReadonlyMap<string, string>;
  private watcher: FSWatcher | null = null;
  private timer: NodeJS.Timeout | null = null;
  private readonly reloading = new CoalescedTask(() => this.reload());

  /**
   * @param onProblem reports a page that is unreadable or too large, and a directory that cannot be watched.
   * @throws if the directory cannot be listed.
   */
  constructor(directory: string, onProblem: (message: string) => void) {
    this.directory = directory;
    this.onProblem = onProblem;
    this.pages = new Map();
    this.pages = this.load();
  }

  /** The page for an error, its bytes as latin1 text; null if there is none. */
  page(status: number, code: ErrorCode | null = null): string | null {
    return this.pages.get(code ?? '') ?? this.pages.get(String(status)) ?? this.pages.get('default') ?? null;
  }

  /** Watches the directory until `close`. */
  watch(): void {
    try {
      this.watcher = watch(this.directory, { persistent: false }, () => this.reloadSoon());
      this.watcher.on('error', (error) => this.onProblem(`cannot watch ${this.directory}: ${error.message}`));
    } catch (error) {
      this.onProblem(`cannot watch ${this.directory}: ${(error as Error).message}`);
    }
  }

  close(): void {
    void this.reloading.close();
    this.watcher?.close();
    if (this.timer !== null) clearTimeout(this.timer);
  }

  private reloadSoon(): void {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      void this.reloading.request();
    }, reloadDelayMs).unref();
  }

  /** Reads outside of the event loop: the directory may be on a file system that hangs. */
  private async reload(): Promise<void> {
    try {
      const pages = new Map<string, string>();
      for (const [name, path] of this.pagesAmong(await readdir(this.directory))) {
        try {
          pages.set(name, (await readRegularFile(path, pageBytesMax)).latin1Slice());
        } catch (error) {
          this.keepBefore(pages, name, path, error as Error);
        }
      }
      this.pages = pages;
    } catch (error) {
      this.onProblem(
        `cannot read ${this.directory}: ${(error as Error).message}; still serving the pages loaded before`,
      );
    }
  }

  /** At the start, before anything is served. */
  private load(): ReadonlyMap<string, string> {
    const pages = new Map<string, string>();
    for (const [name, path] of this.pagesAmong(readdirSync(this.directory))) {
      try {
        pages.set(name, readRegularFileSync(path, pageBytesMax).latin1Slice());
      } catch (error) {
        this.keepBefore(pages, name, path, error as Error);
      }
    }
    return pages;
  }

  private pagesAmong(names: readonly string[]): (readonly [name: string, path: string])[] {
    return names.flatMap((file) => {
      const name = /^error_(\d{3}|default|[A-Z_]+)\.html$/.exec(file)?.[1];
      return name === undefined ? [] : [[name, join(this.directory, file)] as const];
    });
  }

  private keepBefore(pages: Map<string, string>, name: string, path: string, error: Error): void {
    this.onProblem(`ignoring page ${path}: ${error.message}`);
    const before = this.pages.get(name);
    if (before !== undefined) pages.set(name, before);
  }
}

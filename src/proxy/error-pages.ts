import { type FSWatcher, readdirSync, readFileSync, statSync, watch } from 'node:fs';
import { join } from 'node:path';

/** Largest page, in bytes. */
const pageBytesMax = 1024 * 1024;
const reloadDelayMs = 50;

/**
 * The pages for local error responses, from a directory: `error_<status>.html`, else `error_default.html`. They are
 * reloaded whenever the directory changes; if that fails, the previous pages stay in use.
 */
export class ErrorPages {
  private readonly directory: string;
  private readonly onProblem: (message: string) => void;
  private pages: ReadonlyMap<string, string>;
  private watcher: FSWatcher | null = null;
  private timer: NodeJS.Timeout | null = null;

  /**
   * @param onProblem reports a page that is unreadable or too large, and a directory that cannot be watched.
   * @throws if the directory cannot be listed.
   */
  constructor(directory: string, onProblem: (message: string) => void) {
    this.directory = directory;
    this.onProblem = onProblem;
    this.pages = this.load();
  }

  /** The page for a status, its bytes as latin1 text; null if there is none. */
  page(status: number): string | null {
    return this.pages.get(String(status)) ?? this.pages.get('default') ?? null;
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
    this.watcher?.close();
    if (this.timer !== null) clearTimeout(this.timer);
  }

  private reloadSoon(): void {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      try {
        this.pages = this.load();
      } catch (error) {
        this.onProblem(
          `cannot read ${this.directory}: ${(error as Error).message}; still serving the pages loaded before`,
        );
      }
    }, reloadDelayMs).unref();
  }

  private load(): ReadonlyMap<string, string> {
    const pages = new Map<string, string>();
    for (const name of readdirSync(this.directory)) {
      const match = /^error_(\d{3}|default)\.html$/.exec(name);
      const status = match?.[1];
      if (status === undefined) continue;
      const path = join(this.directory, name);
      try {
        if (statSync(path).size > pageBytesMax) throw new Error(`larger than ${pageBytesMax} bytes`);
        pages.set(status, readFileSync(path, 'latin1'));
      } catch (error) {
        this.onProblem(`ignoring page ${path}: ${(error as Error).message}`);
        const before = this.pages?.get(status);
        if (before !== undefined) pages.set(status, before);
      }
    }
    return pages;
  }
}

import { type FSWatcher, readdirSync, readFileSync, statSync, watch } from 'node:fs';
import { join } from 'node:path';

/** Bytes that one page may have. */
const pageBytesMax = 1024 * 1024;
const reloadDelayMs = 50;

/**
 * The pages of the proxy's own error responses, from a directory: `error_<status>.html`, else `error_default.html`.
 * Loaded once and again whenever the directory changes; if that fails, what was loaded before goes on.
 */
export class ErrorPages {
  private readonly directory: string;
  private readonly onProblem: (message: string) => void;
  private pages: ReadonlyMap<string, string>;
  private watcher: FSWatcher | null = null;
  private timer: NodeJS.Timeout | null = null;

  /**
   * @param onProblem reports a page that cannot be read or is too large, and a directory that cannot be watched.
   * @throws where the directory cannot be listed.
   */
  constructor(directory: string, onProblem: (message: string) => void) {
    this.directory = directory;
    this.onProblem = onProblem;
    this.pages = this.load();
  }

  /** The page for a status as latin1 text of its bytes; null without one. */
  page(status: number): string | null {
    return this.pages.get(String(status)) ?? this.pages.get('default') ?? null;
  }

  /** Follows changes of the directory until `close`. */
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
          `cannot read ${this.directory}: ${(error as Error).message}; the pages loaded before are served`,
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
        this.onProblem(`page ${path} is left out: ${(error as Error).message}`);
        const before = this.pages?.get(status);
        if (before !== undefined) pages.set(status, before);
      }
    }
    return pages;
  }
}

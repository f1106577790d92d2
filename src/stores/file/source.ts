import { CoalescedTask } from '../../base/coalesced-task.ts';
import type { HipacheError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import {
  type ContentChanges,
  changesBetween,
  emptyContent,
  type FileContent,
  type FileFormat,
  isShorter,
  type ParsedFile,
  shownProblems,
} from './content.ts';
import { badFile, isMissing, unreadable } from './errors.ts';
import { parseAside } from './parse-aside.ts';
import { type FileStamp, readText, stampOf } from './reading.ts';

/** How long a file must not have been written to before its content counts, in ms. */
const quietMs = 30;
/** The same for a content that may be the begin of another one: bad, shorter than the one before, or gone. */
const doubtfulQuietMs = 500;
/** Between two looks at a file that is not quiet yet, in ms. */
const lookAgainMs = 10;
/** Waits for a file that never becomes quiet, in ms. */
const patienceMs = 5000;

export interface RoutesSourceOptions {
  readonly path: string;
  readonly format: FileFormat;
  /** Whether a missing file is one without records. */
  readonly create: boolean;
  readonly log: Pick<Log, 'info' | 'warn'>;
  /** The content is another one, with at least one change, and can be read. */
  readonly changed: (changes: ContentChanges) => void;
  /** There is a content for the first time. */
  readonly opened: () => void;
}

/** A state of the file, as far as it is known: its content, or why there is none. */
interface Finding {
  readonly id: string;
  readonly stamp: FileStamp | null;
  /** Whether the last line has no end, as if it were written in part. */
  readonly isOpen: boolean;
  readonly parsed: ParsedFile | null;
  readonly error: HipacheError | null;
}

/**
 * The last good content of a routes file. A new content is read and parsed aside, and replaces the former one as a whole,
 * once the file is quiet: programs that write it in place may do so in several steps.
 */
export class RoutesSource {
  /** Null before there was a good one. */
  content: FileContent | null = null;
  /** Why the present file is not the one that is served; null if it is. */
  error: HipacheError | null = null;
  private readonly options: RoutesSourceOptions;
  private readonly task = new CoalescedTask(() => this.look());
  /** The state of the file that was decided on. */
  private decided = '';
  private warned = '';

  constructor(options: RoutesSourceOptions) {
    this.options = options;
  }

  /** Resolves once the present state of the file counts, or is refused; `content` and `error` say so. */
  refresh(): Promise<void> {
    return this.task.request();
  }

  /** Whether the content is that of the file in this state. */
  hasRead(stamp: FileStamp): boolean {
    return this.error === null && this.decided === stamp.id;
  }

  async close(): Promise<void> {
    await this.task.close();
  }

  private async look(): Promise<void> {
    const startedMs = performance.now();
    let sinceMs = startedMs;
    let last: Finding | null = null;
    while (!this.task.isClosed && performance.now() - startedMs < patienceMs) {
      const found: Finding | null = await this.find(last);
      if (found?.id === this.decided) return;
      if (found !== null) {
        const nowMs = performance.now();
        if (found.id !== last?.id) sinceMs = nowMs;
        if (this.isQuiet(found, nowMs - sinceMs)) {
          this.decide(found);
          return;
        }
        last = found;
      }
      await new Promise((resolve) => setTimeout(resolve, lookAgainMs));
    }
  }

  /** The present state; null if it changes meanwhile. @param last is not read again. */
  private async find(last: Finding | null): Promise<Finding | null> {
    const { path, format } = this.options;
    let stamp: FileStamp | null = null;
    try {
      stamp = await stampOf(path);
      const { id } = stamp;
      if (id === last?.id) return last;
      if (id === this.decided) return { id, stamp, isOpen: false, parsed: null, error: null };
      const text = await readText(path, stamp);
      if (text === null) return null;
      const parsed = await parseAside(text, format);
      const error = parsed.content === null ? badFile(path, parsed.problems) : null;
      return { id, stamp, isOpen: format === 'yaml' && !text.endsWith('\n'), parsed, error };
    } catch (cause) {
      const error = unreadable(path, cause);
      const id = `${stamp?.id ?? ''} ${error.message}`;
      const isNew = isMissing(cause) && this.options.create && this.content === null;
      const parsed = isNew ? { content: emptyContent, problems: [] } : null;
      return { id, stamp, isOpen: false, parsed, error: isNew ? null : error };
    }
  }

  /** Whether nobody writes to the file any more, as far as that can be known. @param seenMs how long it has been as found. */
  private isQuiet({ stamp, isOpen, parsed }: Finding, seenMs: number): boolean {
    const { content } = this;
    if (stamp === null) return content === null || seenMs >= doubtfulQuietMs;
    if (stamp.isFinished) return true;
    const next = parsed?.content ?? null;
    const isDoubtful = isOpen || next === null || content === null || isShorter(content, next);
    const neededMs = isDoubtful ? doubtfulQuietMs : quietMs;
    return seenMs >= neededMs || Date.now() - stamp.writtenMs >= neededMs;
  }

  private decide({ id, parsed, error }: Finding): void {
    const { log, path, changed, opened } = this.options;
    const before = this.content;
    const wasBad = this.error !== null;
    this.decided = id;
    this.error = error;
    const content = parsed?.content ?? null;
    if (error !== null || content === null) {
      if (before !== null) log.warn('the routes file cannot be used; its last good content is served', { error });
      return;
    }
    this.content = content;
    this.warnOf(parsed?.problems ?? []);
    if (before === null) {
      opened();
      return;
    }
    if (wasBad) log.info(`${path} can be used again`);
    const changes = changesBetween(before, content);
    if (changes.size > 0) changed(changes);
  }

  private warnOf(problems: ParsedFile['problems']): void {
    const text = shownProblems(problems);
    if (text !== '' && text !== this.warned) this.options.log.warn(`${this.options.path}: ${text}`);
    this.warned = text;
  }
}

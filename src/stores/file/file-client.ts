import { HipacheError } from '../../base/errors.ts';
import type { OptionTexts, StoredOptions } from '../contract.ts';
import type { KeyValueClient, KeyValueEdit, KeyValueWrite, RecordKey } from '../key-value/client.ts';
import { writeOptions } from '../key-value/records.ts';
import { isSameOptions, noOptions } from '../option-record.ts';
import {
  type FileCertificate,
  type FileContent,
  type FileFormat,
  type FileRoute,
  type SectionName,
  sectionNames,
} from './content.ts';
import { withEditLock } from './edit-lock.ts';
import { editRoutesFileAtOnce, type FileEdit } from './edit-text.ts';
import { isMissing, unreadable, unwritable } from './errors.ts';
import type { FileMarks } from './marks.ts';
import { parseAside } from './parse-aside.ts';
import { type FileStamp, readText, stampOf } from './reading.ts';
import { checkWritable, replaceFile, targetOf } from './replace-file.ts';
import type { RoutesSource } from './source.ts';

/** Attempts to edit a file that other programs change at the same time. */
const attemptsMax = 20;

/** A routes file as a store of texts, for the edits that all such stores share; with the marks beside it. */
export class FileClient implements Pick<KeyValueClient, 'run'> {
  private readonly path: string;
  private readonly format: FileFormat;
  private readonly source: RoutesSource;
  private readonly marks: FileMarks;

  constructor(path: string, format: FileFormat, source: RoutesSource, marks: FileMarks) {
    this.path = path;
    this.format = format;
    this.source = source;
    this.marks = marks;
  }

  async run<Result>(edit: KeyValueEdit<Result>): Promise<Result> {
    try {
      const target = await targetOf(this.path);
      await checkWritable(target);
      return await withEditLock(target, () => this.attempt(target, edit));
    } catch (error) {
      throw unwritable(this.path, error);
    }
  }

  private async attempt<Result>(target: string, edit: KeyValueEdit<Result>): Promise<Result> {
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      await this.source.refresh();
      if (this.source.error !== null) throw this.source.error;
      const { content } = this.source;
      if (content === null) break;
      const stamp = await stampOrNull(this.path);
      if (stamp !== null && !this.source.hasRead(stamp)) continue;
      const text = stamp === null ? '' : await readText(this.path, stamp);
      if (text === null) continue;
      const values = await this.values(content, edit.keys);
      const { writes, result } = edit.decide(values);
      const fileEdits = writes.flatMap((write) => fileEditOf(write) ?? []);
      if (fileEdits.length === 0 || (await this.replace(target, stamp, text, content, fileEdits))) {
        await this.writeMarks(edit, values);
        await this.source.refresh();
        return result;
      }
    }
    throw new HipacheError('STORE_BUSY', `${this.path}: other programs keep changing it; try again`);
  }

  /** @returns false if another program was faster. */
  private async replace(
    target: string,
    stamp: FileStamp | null,
    text: string,
    content: FileContent,
    edits: readonly FileEdit[],
  ): Promise<boolean> {
    const edited = editRoutesFileAtOnce(text, this.format, edits);
    const { content: after } = await parseAside(edited, this.format);
    if (after === null || !edits.every((edit) => isMade(edit, after)) || !isKept(content, after, edits)) {
      throw new HipacheError(
        'STORE_UNSUPPORTED',
        `${this.path} cannot be edited by a command, because of its anchors or form; edit it by hand`,
      );
    }
    return replaceFile(target, edited, async () => (await stampOrNull(this.path))?.id === stamp?.id);
  }

  private async values(
    { routes, options, certificates }: FileContent,
    keys: readonly RecordKey[],
  ): Promise<(string | null)[]> {
    const marks = await this.marks.read(keys);
    return keys.map((key, i) => {
      const { kind, pattern } = partsOf(key);
      const route = routes.get(pattern);
      // A record that cannot be read is none of the edit's.
      if (kind === 'frontend') return route === undefined ? null : JSON.stringify(route.record);
      if (kind === 'options') return textOf(options.get(pattern));
      if (kind === 'tls') return certificates.has(pattern) ? '' : null;
      return marks[i] ?? null;
    });
  }

  /** Decides again, with the marks of this moment. */
  private async writeMarks<Result>(
    { keys, decide }: KeyValueEdit<Result>,
    values: readonly (string | null)[],
  ): Promise<void> {
    if (!keys.some(isOfMarks)) return;
    await this.marks.runIfAny({
      keys,
      decide: (present) => {
        const { writes } = decide(keys.map((key, i) => (isOfMarks(key) ? present[i] : values[i]) ?? null));
        return { writes: writes.filter(({ key }) => isOfMarks(key)), result: undefined };
      },
    });
  }
}

function isOfMarks(key: RecordKey): boolean {
  return sectionOf(key) === null;
}

/** Null for marks. */
function sectionOf(key: RecordKey): SectionName | null {
  const { kind } = partsOf(key);
  if (kind === 'options') return 'options';
  return kind === 'frontend' ? 'routes' : kind === 'tls' ? 'certificates' : null;
}

/** Something that is no record stands for options that cannot be read, so that an edit replaces them. */
function textOf(stored: StoredOptions | undefined): string | null {
  if (stored === undefined) return null;
  return stored.options.size === 0 ? 'null' : writeOptions(stored.options);
}

/** The edit of the file that a write stands for; null for marks. */
function fileEditOf({ key, value }: KeyValueWrite): FileEdit | null {
  const { pattern } = partsOf(key);
  const section = sectionOf(key);
  if (section === null) return null;
  if (section === 'certificates' || value === null) return { section, pattern, record: null };
  const record: unknown = JSON.parse(value);
  const isRoute = section === 'routes';
  return { section, pattern, record: isRoute ? (record as unknown[]) : new Map(Object.entries(record as object)) };
}

export function partsOf(key: RecordKey): { readonly kind: string; readonly pattern: string } {
  const [kind = ''] = /^(?:hipache:)?[^:]*/.exec(key) ?? [];
  return { kind, pattern: key.slice(kind.length + 1) };
}

function isMade({ section, pattern, record }: FileEdit, content: FileContent): boolean {
  const { routes, options } = content;
  if (record === null) return !content[section].has(pattern);
  if (section === 'options') return isSameOptions(options.get(pattern)?.options ?? noOptions, record as OptionTexts);
  return JSON.stringify(routes.get(pattern)?.record ?? null) === JSON.stringify(record);
}

/** Whether all records besides those of `edits` are the same. */
function isKept(before: FileContent, after: FileContent, edits: readonly FileEdit[]): boolean {
  const edited = new Set(edits.map(({ section, pattern }) => `${section} ${pattern}`));
  const othersOf = (content: FileContent): string => {
    const records = sectionNames.map((section) =>
      [...content[section]]
        .filter(([pattern]) => !edited.has(`${section} ${pattern}`))
        .map(([pattern, record]) => [pattern, partsKept(record)]),
    );
    return JSON.stringify(records);
  };
  return othersOf(before) === othersOf(after);
}

/** A record without its problems, whose positions may be others. */
function partsKept(record: FileRoute | StoredOptions | FileCertificate): unknown {
  if ('record' in record) return record.record;
  return 'options' in record ? [...record.options] : [record.certificate, record.key];
}

async function stampOrNull(path: string): Promise<FileStamp | null> {
  try {
    return await stampOf(path);
  } catch (error) {
    if (isMissing(error)) return null;
    throw unreadable(path, error);
  }
}

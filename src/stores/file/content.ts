import { isDeepStrictEqual } from 'node:util';
import type { CollectionName, StoredOptions } from '../contract.ts';

/** An error in a routes file; line and column from 1. */
export interface FileProblem {
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

export interface FileRoute {
  /** `[identifier, url, url, …]`; null if it cannot be read. */
  readonly record: readonly unknown[] | null;
  /** Why there is no record; with its position. */
  readonly problem: string | null;
  /** Problems with parts of the route besides its backends, with their positions. */
  readonly diagnostics: readonly string[];
}

/** The names of the two PEM files as they are written, relative to the routes file; empty if there is a problem. */
export interface FileCertificate {
  readonly certificate: string;
  readonly key: string;
  readonly problem: string | null;
}

/** The sections of a routes file, named like the collections that they hold. */
export const sectionNames = ['routes', 'options', 'certificates'] as const satisfies readonly CollectionName[];
export type SectionName = (typeof sectionNames)[number];

/** The records of a routes file, by host pattern. */
export interface FileContent {
  readonly routes: ReadonlyMap<string, FileRoute>;
  /** The problems have their positions. */
  readonly options: ReadonlyMap<string, StoredOptions>;
  readonly certificates: ReadonlyMap<string, FileCertificate>;
}

export interface ParsedFile {
  /** Null if the file as a whole cannot be used. */
  readonly content: FileContent | null;
  /** In the order of the file. If there is a content, they are problems of single records. */
  readonly problems: readonly FileProblem[];
}

export type FileFormat = 'yaml' | 'json';

/** The patterns whose records differ. */
export type ContentChanges = ReadonlyMap<SectionName, readonly string[]>;

export const emptyContent: FileContent = { routes: new Map(), options: new Map(), certificates: new Map() };

/** Problems named in one message. Further ones are counted. */
const shownMax = 20;

export function changesBetween(before: FileContent, after: FileContent): ContentChanges {
  const changes = sectionNames.map((name) => [name, differences(before[name], after[name])] as const);
  return new Map(changes.filter(([, patterns]) => patterns.length > 0));
}

/** Whether `after` lacks a record, a backend or an option of `before`, as the beginning of a file does that is being written. */
export function isShorter(before: FileContent, after: FileContent): boolean {
  for (const [pattern, { record }] of before.routes) {
    const next = after.routes.get(pattern);
    if (next === undefined || (next.record?.length ?? 0) < (record?.length ?? 0)) return true;
  }
  for (const [pattern, { options }] of before.options) {
    if ((after.options.get(pattern)?.options.size ?? 0) < options.size) return true;
  }
  return [...before.certificates.keys()].some((pattern) => !after.certificates.has(pattern));
}

/** Up to `limit` keys that follow `after`, in code point order. */
export function pageOf(records: ReadonlyMap<string, unknown>, after: string, limit: number): string[] {
  let sorted = sortedKeys.get(records);
  if (sorted === undefined) {
    const bytes = [...records.keys()].map((key) => Buffer.from(key)).sort(Buffer.compare);
    sorted = bytes.map(String);
    sortedKeys.set(records, sorted);
  }
  const start = Buffer.from(after);
  const from = after === '' ? 0 : sorted.findIndex((key) => Buffer.compare(Buffer.from(key), start) > 0);
  return from === -1 ? [] : sorted.slice(from, from + limit);
}

/** A content never changes, so its keys are sorted once. */
const sortedKeys = new WeakMap<ReadonlyMap<string, unknown>, string[]>();

/** Problems on one line, each with its position. */
export function shownProblems(problems: readonly FileProblem[]): string {
  const shown = problems
    .slice(0, shownMax)
    .map(({ line, column, message }) => `line ${line}, column ${column}: ${message}`);
  const more = problems.length - shown.length;
  return [...shown, ...(more > 0 ? [`and ${more} more problems`] : [])].join('; ');
}

function differences(before: ReadonlyMap<string, unknown>, after: ReadonlyMap<string, unknown>): string[] {
  const changed = [...before.keys()].filter((pattern) => !after.has(pattern));
  for (const [pattern, value] of after) {
    const former = before.get(pattern);
    if (former === undefined || !isDeepStrictEqual(former, value)) changed.push(pattern);
  }
  return changed;
}

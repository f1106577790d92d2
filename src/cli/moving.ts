import type { Readable } from 'node:stream';
import { printable } from '../base/printable.ts';
import { importedMax, type Performer, type ResultOf } from '../operations/catalogue.ts';
import {
  type MoveChange,
  type MoveCounts,
  parseRecord,
  parseRecordLine,
  type WrittenRecord,
} from '../operations/moving.ts';
import type { Report } from './output.ts';

/** Between two lines of progress, in ms. */
const progressEveryMs = 1000;
/** Longest line of an exported file, in bytes: a route with 10,000 long backends. */
const lineBytesMax = 64 * 1024 * 1024;

export const noCounts: MoveCounts = {
  ...{ routes: 0, options: 0, certificates: 0 },
  ...{ created: 0, replaced: 0, same: 0, skipped: 0 },
};

export function addCounts(to: MoveCounts, more: MoveCounts): MoveCounts {
  const names = Object.keys(to) as (keyof MoveCounts)[];
  return Object.fromEntries(names.map((name) => [name, to[name] + more[name]])) as unknown as MoveCounts;
}

/** All records of a store, in groups that can be imported. */
export async function* exportedRecords(
  performer: Performer,
  options: { readonly certificates: boolean; readonly after: string },
): AsyncGenerator<readonly WrittenRecord[]> {
  let cursor: string | null = null;
  do {
    const { next, records }: ResultOf<'exportRecords'> = await performer.perform('exportRecords', {
      ...options,
      cursor,
    });
    for (let at = 0; at < records.length; at += importedMax) yield records.slice(at, at + importedMax);
    cursor = next;
  } while (cursor !== null);
}

/** The records of an exported file, in groups. Empty lines are skipped. @throws HipacheError COMMAND_INVALID. */
export async function* readRecords(input: Readable): AsyncGenerator<readonly WrittenRecord[]> {
  let group: WrittenRecord[] = [];
  let number = 0;
  for await (const line of linesOf(input)) {
    number++;
    if (line.trim() === '') continue;
    const record = parseRecordLine(line, number);
    // For the number of its line.
    parseRecord(record, number);
    group.push(record);
    if (group.length < importedMax) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}

/** The lines of a text that is read as it comes. */
export async function* linesOf(input: Readable): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of input.setEncoding('utf8') as AsyncIterable<string>) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > lineBytesMax) throw new Error(`a line is longer than ${lineBytesMax} bytes`);
    yield* lines;
  }
  if (rest !== '') yield rest;
}

/** A line of progress a second, on a terminal alone: in place of the line before. */
export class ProgressLine {
  private readonly write: (text: string) => void;
  private readonly startMs = performance.now();
  private writtenMs = 0;
  private isShown = false;

  constructor(write: (text: string) => void) {
    this.write = write;
  }

  show({ routes, options, certificates }: MoveCounts): void {
    const nowMs = performance.now();
    if (nowMs - this.writtenMs < progressEveryMs) return;
    this.writtenMs = nowMs;
    this.isShown = true;
    const rate = Math.round(((routes + options + certificates) / (nowMs - this.startMs)) * 1000);
    this.write(`\r${routes} routes, ${certificates} certificates, ${rate}/s\x1b[K`);
  }

  end(): void {
    if (this.isShown) this.write('\r\x1b[K');
  }
}

export function changeLine({ action, detail, kind, pattern }: MoveChange): string {
  const what = kind === 'route' ? '' : `${kind} `;
  return `${action} ${what}${printable(pattern)}${detail === '' ? '' : `  ${printable(detail)}`}\n`;
}

/** @param isDry whether nothing was written. */
export function movedReport(counts: MoveCounts, isDry: boolean): Report {
  const { routes, options, certificates, created, replaced, same, skipped } = counts;
  const moved = [
    `${routes} routes`,
    ...(options > 0 ? [`options of ${options} hosts`] : []),
    ...(certificates > 0 ? [`${certificates} certificates`] : []),
  ];
  const all = moved.length === 1 ? moved.join() : `${moved.slice(0, -1).join(', ')} and ${moved.at(-1)}`;
  const would = isDry ? 'would be ' : '';
  const parts = [
    `${created} ${would}created`,
    `${replaced} ${would}replaced`,
    `${same} already there`,
    ...(skipped > 0 ? [`${skipped} skipped`] : []),
  ];
  return { text: `${all}: ${parts.join(', ')}\n`, json: { ...counts, dryRun: isDry } };
}

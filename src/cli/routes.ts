import { printable } from '../base/printable.ts';
import {
  type AddedBackends,
  type AppliedChange,
  absentVersion,
  type RemovedBackends,
} from '../operations/changing-routes.ts';
import type { DrainedBackends } from '../operations/draining.ts';
import { type ListedRoute, type ShownRoute, shownUrls } from '../operations/routes.ts';
import { drainingRows, shareText } from './explain.ts';
import { alignColumns, alignedLines, type Output, type Report } from './output.ts';
import { duration, whenText } from './when.ts';

/** Writes routes as aligned lines, or one JSON object per line. Stops early once the reader has gone. */
export async function writeRoutes(
  pages: AsyncIterable<readonly ListedRoute[]>,
  output: Output,
  asJson: boolean,
): Promise<void> {
  let hostWidth = 0;
  let idWidth = 0;
  for await (const rows of pages) {
    if (asJson) {
      await output.write(rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    } else {
      // Never shrinks, so that the pages of a long list stay aligned.
      hostWidth = Math.max(hostWidth, ...rows.map(({ pattern }) => Math.min(pattern.length, 60)));
      idWidth = Math.max(idWidth, ...rows.map(({ id }) => Math.min(shownId(id).length, 40)));
      const lines = rows.map(({ pattern, id, backends }) => [
        printable(pattern).padEnd(hostWidth),
        shownId(id).padEnd(idWidth),
        shownUrls(backends),
      ]);
      await output.write(alignColumns(lines));
    }
    if (output.closed) return;
  }
}

/** An identifier is unchecked, and may be missing. */
function shownId(id: unknown): string {
  if (id === undefined || id === null) return '-';
  return printable(typeof id === 'string' ? id : JSON.stringify(id));
}

export function shownRouteReport(route: ShownRoute): Report {
  const { pattern, id, version, backends, draining, problems, expires } = route;
  const lines = alignedLines(
    backends.map((backend) => [String(backend.index), printable(backend.url), shareText(backend)]),
  );
  const rows = [
    ['host', pattern],
    ['id', printable(id)],
    ['version', version],
    ...(expires === null ? [] : [['expires', whenText(expires.at, expires.remainingMs)]]),
    ...lines.map((line, row) => [row === 0 ? 'backends' : '', line]),
    ...drainingRows(draining),
    ...problems.map((message, row) => [row === 0 ? 'problems' : '', printable(message)]),
  ];
  if (backends.length === 0) rows.push(['backends', 'none usable']);
  return { text: alignColumns(rows), json: route };
}

export function changedRouteReport(change: AppliedChange): Report {
  return { text: `${changeLine(change)}\n`, json: membersOf(change) };
}

function membersOf(change: AppliedChange): object {
  const { kind, ...members } = change;
  if (change.kind === 'set') return members;
  if (change.kind === 'add') {
    const { isNew, ...shown } = members as AddedBackends;
    return shown;
  }
  const { wasAbsent, left, ...shown } = members as RemovedBackends;
  return { ...shown, left: left ?? 0 };
}

export function drainedReport({ removed, afterMs, fleet }: DrainedBackends): Report {
  const seconds = `after ${(afterMs / 1000).toFixed(1)} s`;
  const where =
    fleet === null ? '' : ` on ${counted(fleet.instances, 'instance')}, ${counted(fleet.workers, 'worker')}`;
  const ended = [
    [fleet?.tunnelsEnded ?? 0, 'tunnel'],
    [fleet?.requestsEnded ?? 0, 'request'],
  ] as const;
  const parts = [
    changeLine(removed),
    fleet?.instances === 0 ? 'no instance runs' : `drained${where} ${seconds}`,
    ...ended.filter(([count]) => count > 0).map(([count, what]) => `${counted(count, what)} ended`),
    ...(fleet?.silent ?? []).map((instance) => `${printable(instance)} has not said that it has drained`),
  ];
  return { text: `${parts.join('; ')}\n`, json: { ...membersOf(removed), drained: { afterMs, ...fleet } } };
}

/** @param isDry whether nothing was written. */
export function appliedReport(changes: readonly AppliedChange[], isDry: boolean): Report {
  const count = changes.length === 1 ? '1 change' : `${changes.length} changes`;
  const end = isDry ? `${count}, none of them made: a dry run` : `${count} made`;
  const all = changes.map((change) => ({ kind: change.kind, ...membersOf(change) }));
  const text = [...changes.map(changeLine), end].map((line) => `${line}\n`).join('');
  return { text, json: { changes: all, dryRun: isDry } };
}

function changeLine(change: AppliedChange): string {
  const { pattern, version, warning } = change;
  const end = warning === undefined ? '' : `; warning: ${warning}`;
  return `${pattern}: ${partsOf(change)}${version === absentVersion ? '' : `; version ${version}`}${end}`;
}

function partsOf(change: AppliedChange): string {
  if (change.kind === 'set') {
    const { action, backends, ttlSeconds } = change;
    const end = ttlSeconds === null ? '' : `; expires in ${duration(ttlSeconds * 1000)}`;
    const list = backends.length === 0 ? '' : `: ${backends.join(' ')}`;
    return `route ${action}, ${countBackends(backends.length)}${list}${end}`;
  }
  const parts = change.kind === 'add' ? partsOfAdded(change) : partsOfRemoved(change);
  return parts.filter((part) => part !== '').join('; ');
}

function partsOfAdded({ added, already, changed, isNew }: AddedBackends): string[] {
  return [
    added.length > 0 ? `added ${added.join(' ')}${isNew ? ' (new route)' : ''}` : '',
    changed.length > 0 ? `${changed.every(hasOnlyWeight) ? 'new weight' : 'changed'}: ${changed.join(' ')}` : '',
    already.length > 0 ? `there already: ${already.join(' ')}` : '',
  ];
}

function partsOfRemoved({ absent, left, removed, wasAbsent }: RemovedBackends): string[] {
  if (wasAbsent) return ['there is no route'];
  const gone = left === null ? 'the route is gone' : `${countBackends(left)} left`;
  return [
    removed.length > 0 ? `removed ${shownUrls(removed)}` : left === null ? 'removed' : '',
    absent.length > 0 ? `not there: ${shownUrls(absent)}` : '',
    gone,
  ];
}

function countBackends(count: number): string {
  return counted(count, 'backend');
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

function hasOnlyWeight(url: string): boolean {
  return /#weight=\d+$/.test(url);
}

import { printable } from '../base/printable.ts';
import {
  type AddedBackends,
  type ListedRoute,
  type RemovedBackends,
  type ShownRoute,
  shownUrls,
  type WrittenRoute,
} from '../operations/routes.ts';
import { alignColumns, alignedLines, type Output, type Report } from './output.ts';

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
  if (id === undefined) return '-';
  return printable(typeof id === 'string' ? id : JSON.stringify(id));
}

export function shownRouteReport(route: ShownRoute): Report {
  const { pattern, id, backends, problems } = route;
  const lines = alignedLines(
    backends.map(({ index, url, weight }) => [String(index), printable(url), `weight ${weight}`]),
  );
  const rows = [
    ['host', pattern],
    ['id', printable(id)],
    ...lines.map((line, row) => [row === 0 ? 'backends' : '', line]),
    ...problems.map((message, row) => [row === 0 ? 'problems' : '', printable(message)]),
  ];
  if (backends.length === 0) rows.push(['backends', 'none usable']);
  return { text: alignColumns(rows), json: route };
}

export function writtenRouteReport(route: WrittenRoute): Report {
  const { pattern, action, backends } = route;
  return {
    text: `${pattern}: route ${action}, ${countBackends(backends.length)}: ${backends.join(' ')}\n`,
    json: route,
  };
}

export function addedBackendsReport({ pattern, isNew, added, changed, already }: AddedBackends): Report {
  const parts = [
    added.length > 0 ? `added ${added.join(' ')}${isNew ? ' (new route)' : ''}` : '',
    changed.length > 0 ? `${changed.some(hasServerName) ? 'changed' : 'new weight'}: ${changed.join(' ')}` : '',
    already.length > 0 ? `there already: ${already.join(' ')}` : '',
  ].filter((part) => part !== '');
  return { text: `${pattern}: ${parts.join('; ')}\n`, json: { pattern, added, changed, already } };
}

export function removedBackendsReport({ pattern, removed, absent, left }: RemovedBackends): Report {
  const parts = [
    removed.length > 0 ? `removed ${shownUrls(removed)}` : 'removed',
    absent.length > 0 ? `not there: ${shownUrls(absent)}` : '',
    left === null ? 'the route is gone' : `${countBackends(left)} left`,
  ].filter((part) => part !== '');
  return { text: `${pattern}: ${parts.join('; ')}\n`, json: { pattern, removed, absent, left: left ?? 0 } };
}

function countBackends(count: number): string {
  return count === 1 ? '1 backend' : `${count} backends`;
}

function hasServerName(url: string): boolean {
  return url.includes('servername=');
}

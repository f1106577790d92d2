import { printable } from '../base/printable.ts';
import type { HostOwner, ListedSource, OwnedChanges } from '../operations/owned-routes.ts';
import { shownUrls } from '../operations/routes.ts';
import { alignColumns, type Report } from './output.ts';
import { duration } from './when.ts';

export function ownersReport(sources: readonly ListedSource[], nowMs: number): Report {
  const rows = sources.map(({ holder, hosts, owner, seen, source }) => [
    ...[owner, source, `${hosts} host${hosts === 1 ? '' : 's'}`],
    seen === null ? 'never seen' : `seen ${duration(Math.max(0, nowMs - Date.parse(seen)))} ago`,
    holder === null ? '' : `kept by ${printable(holder)}`,
  ]);
  return { text: rows.length === 0 ? 'no route has an owner\n' : alignColumns(rows), json: { sources } };
}

export function hostOwnerReport(found: HostOwner): Report {
  const { options, owner, pattern, sources } = found;
  if (owner === null) return { text: `${pattern} has no owner\n`, json: found };
  const rows = [
    ['host', pattern],
    ['owner', printable(owner)],
    ...sources.map(({ backends, source }, row) => [row === 0 ? 'sources' : '', `${source}  ${shownUrls(backends)}`]),
    ...(options.length === 0 ? [] : [['options', options.map(printable).join(', ')]]),
  ];
  return { text: alignColumns(rows), json: found };
}

/** One line for each host that is not as before. */
export function ownedChangesReport(changes: OwnedChanges): Report {
  const { unchanged } = changes;
  const lines = [
    ...(['added', 'changed', 'removed'] as const).flatMap((kind) => changes[kind].map((host) => `${host}: ${kind}`)),
    ...refusalLines(changes),
    `${unchanged} unchanged`,
  ];
  return { text: lines.map((line) => `${line}\n`).join(''), json: changes };
}

/** Hosts and options for which nothing was done, and why. */
function refusalLines({ conflicts, refused }: OwnedChanges): string[] {
  return [
    ...refused.map(({ host, reason }) => `${printable(host)}: refused: ${printable(reason)}`),
    ...conflicts.map(({ holder, host, option }) => `${host}: option ${option}: the value of ${holder} holds`),
  ];
}

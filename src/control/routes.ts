import { HipacheError } from '../base/errors.ts';
import { printable } from '../base/printable.ts';
import { backendIdentity, parseBackendUrl, readBackendUrl } from '../routing/backend-url.ts';
import { parsePattern } from '../routing/host.ts';
import { buildFrontend } from '../routing/record.ts';
import type { RouteReader, RouteWriter } from '../stores/contract.ts';
import { alignColumns, alignedLines, type Output } from './output.ts';

/** The routes of a store, as the commands read and write them. */
type Routes = Pick<RouteReader, 'read'> & RouteWriter;

/** What a command has done or found: a text for a person, and the same as data. */
export interface Report {
  readonly text: string;
  readonly json: unknown;
}

/** A command whose arguments have been checked: what is left to do with the store. */
export type Task = (routes: Routes) => Promise<Report>;

const pageSize = 1000;

/** Writes every route: aligned lines, or one JSON object a line. Ends early where nobody reads any more. */
export async function listRoutes(routes: Routes, output: Output, asJson: boolean): Promise<void> {
  let after = '';
  let hostWidth = 0;
  while (!output.closed) {
    const page = await routes.list(after, pageSize);
    const last = page.at(-1);
    if (last === undefined) return;
    const rows = page.map(({ pattern, frontend }) => ({ pattern, id: frontend[0], backends: frontend.slice(1) }));
    if (asJson) {
      await output.write(rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    } else {
      // Grows only, so that the pages of a long list stay aligned with each other.
      hostWidth = Math.max(hostWidth, ...rows.map(({ pattern }) => Math.min(pattern.length, 60)));
      const lines = rows.map(({ pattern, backends }) => [printable(pattern).padEnd(hostWidth), shownUrls(backends)]);
      await output.write(alignColumns(lines));
    }
    after = last.pattern;
  }
}

/**
 * The record of one pattern, exactly that one.
 * @throws HipacheError COMMAND_INVALID, NOT_FOUND.
 */
export function showRoute(host: string): Task {
  const pattern = parsePattern(host);
  return async (routes) => {
    const [record] = await routes.read([pattern]);
    if (record === null || record === undefined) throw noRoute(pattern);
    const { id, backends, problems } = buildFrontend(pattern, record);
    const lines = alignedLines(
      backends.map(({ index, url, weight }) => [String(index), printable(url), `weight ${weight}`]),
    );
    const rows = [
      ['host', pattern],
      ['id', printable(id)],
      ...lines.map((line, row) => [row === 0 ? 'backends' : '', line]),
      ...problems.map(({ message }, row) => [row === 0 ? 'problems' : '', printable(message)]),
    ];
    if (backends.length === 0) rows.push(['backends', 'none that can be used']);
    return {
      text: alignColumns(rows),
      json: {
        pattern,
        id,
        backends: backends.map(({ index, url, weight }) => ({ index, url, weight })),
        problems: problems.map(({ message }) => message),
      },
    };
  };
}

/**
 * Makes or replaces a record.
 * @param id null keeps that of an existing record, else the pattern is the id.
 * @throws HipacheError COMMAND_INVALID.
 */
export function setRoute(host: string, urls: readonly string[], id: string | null): Task {
  const pattern = parsePattern(host);
  const checked = checkUrls(urls);
  if (id === '') throw new HipacheError('COMMAND_INVALID', 'the id is empty; leave --id out to keep or derive it');
  return async (routes) => {
    const [before] = await routes.read([pattern]);
    await routes.set(pattern, id, checked);
    const action = before === null || before === undefined ? 'created' : 'replaced';
    return {
      text: `${pattern}: route ${action}, ${countBackends(checked.length)}: ${checked.join(' ')}\n`,
      json: { pattern, action, backends: checked },
    };
  };
}

/**
 * Adds backends to a record, making it where there is none. One that is there with another weight gets the new one.
 * @throws HipacheError COMMAND_INVALID.
 */
export function addBackends(host: string, urls: readonly string[]): Task {
  const pattern = parsePattern(host);
  const checked = checkUrls(urls);
  return async (routes) => {
    const [before] = await routes.read([pattern]);
    const present = new Map(urlsOf(before?.frontend).map((url) => [backendIdentity(url), url]));
    const added: string[] = [];
    const changed: string[] = [];
    const already: string[] = [];
    for (const url of checked) {
      const known = present.get(backendIdentity(url));
      if (known === undefined) added.push(url);
      else if (hasWeight(known, url)) already.push(url);
      else changed.push(url);
    }
    if (added.length + changed.length > 0) await routes.add(pattern, [...added, ...changed]);
    const isNew = before === null || before === undefined;
    const said = [
      added.length > 0 ? `added ${added.join(' ')}${isNew ? ' (new route)' : ''}` : '',
      changed.length > 0 ? `new weight: ${changed.join(' ')}` : '',
      already.length > 0 ? `there already: ${already.join(' ')}` : '',
    ].filter((part) => part !== '');
    return { text: `${pattern}: ${said.join('; ')}\n`, json: { pattern, added, changed, already } };
  };
}

/**
 * Takes backends from a record, the whole record where none are named or none remain. A URL names its backend with
 * or without the weight; whatever stands in the record can be removed, also what is not a URL.
 * @throws HipacheError COMMAND_INVALID; NOT_FOUND where nothing of it is there.
 */
export function removeBackends(host: string, urls: readonly string[]): Task {
  const pattern = parsePattern(host);
  return async (routes) => {
    const [before] = await routes.read([pattern]);
    if (before === null || before === undefined) throw noRoute(pattern);
    const written = urlsOf(before.frontend);
    const meant = written.filter((known) => urls.some((url) => sameBackend(known, url)));
    const absent = urls.filter((url) => !written.some((known) => sameBackend(known, url)));
    if (urls.length > 0 && meant.length === 0) throw noBackend(pattern, absent);
    const removed = await routes.remove(pattern, meant);
    if (removed === null) throw noRoute(pattern);
    const [after] = await routes.read([pattern]);
    const left = after === null || after === undefined ? null : urlsOf(after.frontend).length;
    const said = [
      removed.length > 0 ? `removed ${shownUrls(removed)}` : 'removed',
      absent.length > 0 ? `not there: ${shownUrls(absent)}` : '',
      left === null ? 'the route is gone' : `${countBackends(left)} left`,
    ].filter((part) => part !== '');
    return { text: `${pattern}: ${said.join('; ')}\n`, json: { pattern, removed, absent, left: left ?? 0 } };
  };
}

/** Each URL in the form in which it is stored; a weight that is not given is not written. */
function checkUrls(urls: readonly string[]): string[] {
  const seen = new Set<string>();
  return urls.map((value) => {
    const { url, weight } = parseBackendUrl(value);
    if (seen.has(url)) {
      throw new HipacheError('COMMAND_INVALID', `${url} is given twice; a larger share is written ${url}#weight=2`);
    }
    seen.add(url);
    return value.includes('#weight=') ? `${url}#weight=${weight}` : url;
  });
}

function urlsOf(frontend: readonly unknown[] | undefined): string[] {
  return (frontend ?? []).slice(1).filter((url) => typeof url === 'string');
}

function sameBackend(written: string, given: string): boolean {
  return written === given || backendIdentity(written) === backendIdentity(given);
}

/** Whether the backend already has the weight that is asked for, if any. */
function hasWeight(written: string, given: string): boolean {
  return !given.includes('#') || parseBackendUrl(given).weight === (readBackendUrl(written).target?.weight ?? 1);
}

function shownUrls(urls: readonly unknown[]): string {
  return urls.map((url) => printable(typeof url === 'string' ? url : JSON.stringify(url))).join(' ');
}

function countBackends(count: number): string {
  return count === 1 ? '1 backend' : `${count} backends`;
}

function noRoute(pattern: string): HipacheError {
  return new HipacheError(
    'NOT_FOUND',
    `${pattern} has no route; "hipache route list" shows those that there are, "hipache explain" what a host matches`,
  );
}

function noBackend(pattern: string, urls: readonly string[]): HipacheError {
  return new HipacheError(
    'NOT_FOUND',
    `${pattern} has no backend ${shownUrls(urls)}; "hipache route show ${pattern}" lists them`,
  );
}

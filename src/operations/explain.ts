import { HipacheError } from '../base/errors.ts';
import { printable } from '../base/printable.ts';
import type { Backend } from '../routing/backend.ts';
import { normaliseHost, wildcardPatterns } from '../routing/host.ts';
import { buildFrontend } from '../routing/record.ts';
import type { RouteReader, StoredRoute } from '../stores/contract.ts';

/** A backend of a matching record, and whether requests go to it. */
export interface ExplainedBackend {
  readonly index: number;
  readonly url: string;
  readonly weight: number;
  readonly dead: ExplainedMark | null;
}

export interface ExplainedMark {
  /** ISO 8601, UTC. */
  readonly until: string;
  readonly since: string;
  readonly remainingMs: number;
  readonly reason: string;
  readonly instance: string;
}

/** Which route a request for a host takes, and why. */
export interface Explanation {
  /** The name that was looked up: lower case, without port. */
  readonly host: string;
  /** In the order of the lookup, to the one that matched. */
  readonly tried: readonly { readonly pattern: string; readonly matched: boolean }[];
  /** The pattern that matched, or null. */
  readonly matched: string | null;
  readonly id: string | null;
  readonly backends: readonly ExplainedBackend[];
  readonly problems: readonly string[];
}

/**
 * The name that a request for `host` is looked up by.
 * @throws HipacheError COMMAND_INVALID where it is not a host.
 */
export function parseHost(host: string): string {
  const name = normaliseHost(host);
  if (name === null) throw notAHost(host);
  return name;
}

/**
 * Looks up a name as the proxy does.
 * @param host as `parseHost` gives it.
 * @throws what the store throws.
 */
export async function explainHost(host: string, routes: RouteReader, nowMs: number): Promise<Explanation> {
  const patterns = [host, ...wildcardPatterns(host)];
  const records = await routes.read(patterns);
  const at = records.findIndex(isServed);
  const record = records[at];
  const pattern = patterns[at];
  const tried = (at === -1 ? patterns : patterns.slice(0, at + 1)).map((each) => ({
    pattern: each,
    matched: each === pattern,
  }));
  if (record === undefined || record === null || pattern === undefined) {
    return { host, tried, matched: null, id: null, backends: [], problems: [] };
  }
  const frontend = buildFrontend(pattern, record);
  return {
    host,
    tried,
    matched: pattern,
    id: frontend.id,
    backends: frontend.backends.map((backend) => explainBackend(backend, nowMs)),
    problems: frontend.problems.map((problem) => problem.message),
  };
}

/** As in the route cache: Hipache passes over an empty list; a record that cannot be read is one without backends. */
function isServed(record: StoredRoute | null): boolean {
  return record !== null && (record.frontend.length > 0 || record.problem !== undefined);
}

function explainBackend(backend: Backend, nowMs: number): ExplainedBackend {
  const { index, url, weight, down } = backend;
  if (down === null || !backend.isDown(nowMs)) return { index, url, weight, dead: null };
  return {
    index,
    url,
    weight,
    dead: {
      until: isoTime(down.untilMs),
      since: isoTime(down.sinceMs),
      remainingMs: down.untilMs - nowMs,
      reason: down.reason,
      instance: down.instance,
    },
  };
}

/** A mark in the store is other people's data: its time may be beyond what a Date can hold. */
function isoTime(epochMs: number): string {
  const latest = 8.64e15;
  return new Date(Math.max(-latest, Math.min(latest, epochMs))).toISOString();
}

function notAHost(host: string): HipacheError {
  const shown = JSON.stringify(host.length > 100 ? `${host.slice(0, 100)}…` : host);
  let hint = 'give it as a browser sends it, for example app.example.com';
  if (/^[a-z]+:\/\//i.test(host)) hint = 'leave out the scheme and the path';
  else if (host.includes('*')) hint = `a pattern is shown by "hipache route show '${printable(host)}'"`;
  return new HipacheError('COMMAND_INVALID', `${shown} is not a host; ${hint}`);
}

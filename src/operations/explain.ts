import { HipacheError } from '../base/errors.ts';
import { isHostName } from '../base/host-port.ts';
import type { Log } from '../base/log.ts';
import { printable } from '../base/printable.ts';
import type { NameResolver } from '../dns/name-resolver.ts';
import { resolveOnce } from '../dns/resolve-once.ts';
import { type DnsSettings, defaultDnsSettings, systemResolver } from '../dns/system-resolver.ts';
import type { AskedRequest } from '../policy/admission.ts';
import { selectorOf, stickyCookieOf } from '../policy/balancing.ts';
import { holdPolicyOf } from '../policy/hold.ts';
import type { OptionValues } from '../policy/option-schema.ts';
import type { Backend } from '../routing/backend.ts';
import { type ExplainedChoice, type ExplainedHold, explainChoice, explainHold } from '../routing/explained-choice.ts';
import { nameWithPort, normaliseHost, wildcardPatterns } from '../routing/host.ts';
import { pathOf } from '../routing/patterns.ts';
import { buildFrontend } from '../routing/record.ts';
import { type Selector, TwoRandomChoices } from '../routing/selector.ts';
import type { StickyCookie } from '../routing/sticky-cookie.ts';
import {
  type FailureCollection,
  hasRoute,
  type OptionCollection,
  type RouteCollection,
  type RouteReader,
} from '../stores/contract.ts';
import type { BackendFailures, FailuresByUrl } from '../stores/failures.ts';
import { type RouteExpiry, toExpiry } from './expiry.ts';
import { type ExplainedHealth, explainHealth, type HealthExplainStore } from './explain-health.ts';
import { backendPath, findMatch } from './explain-match.ts';
import { type ExplainedRefusal, explainDecision, parseRequest } from './explain-request.ts';
import { type FleetInstance, listFleet } from './fleet.ts';
import { type ExplainedOption, explainOptions } from './options.ts';
import { shownBackends, shownDraining } from './routes.ts';

/** A backend of a matching record, and whether requests go to it. */
export interface ExplainedBackend {
  readonly index: number;
  readonly url: string;
  readonly weight: number;
  /** Whether it gets requests only while no other backend can be used. */
  readonly backup: boolean;
  /** The share of the clients, in percent, that all canaries of the route get; null for other backends. */
  readonly canary: number | null;
  readonly dead: ExplainedMark | null;
  /** Its last failures, whether it is marked or not; null if there were none in the last ten minutes. */
  readonly failures: ExplainedFailures | null;
  /** The addresses of its name, as this machine resolves it; null if its URL has an address. */
  readonly addresses: readonly string[] | null;
  /** Why its name cannot be resolved; null if it can. */
  readonly addressProblem: string | null;
}

export interface ExplainedMark {
  /** ISO 8601, UTC. */
  readonly until: string;
  readonly since: string;
  readonly remainingMs: number;
  readonly reason: string;
  readonly instance: string;
}

/** Failed attempts, and responses with a status of 500 or above, of all instances together. */
export interface ExplainedFailures {
  readonly count: number;
  /** Of the first and the last one. ISO 8601, UTC. */
  readonly since: string;
  readonly last: string;
  /** Since the last one. */
  readonly agoMs: number;
  /** Of the last one. */
  readonly reason: string;
  readonly instance: string;
}

/** The collections of a store that explain a host. */
export interface ExplainedStore extends HealthExplainStore {
  readonly routes: RouteReader & Pick<RouteCollection, 'expiry'>;
  readonly options: Pick<OptionCollection, 'read'>;
  readonly failures: Pick<FailureCollection, 'read'>;
}

/** Which route a request for a host takes, and why. */
export interface Explanation {
  /** The name that was looked up: lower case, without port. */
  readonly host: string;
  /** In the order of the lookup, to the one that matched; that of a path follows its host. */
  readonly tried: readonly { readonly pattern: string; readonly matched: boolean }[];
  /** The pattern that matched, or null. */
  readonly matched: string | null;
  /** The path and query that backends get; null without a route. */
  readonly path: string | null;
  readonly id: string | null;
  /** Null if the route does not expire. */
  readonly expires: RouteExpiry | null;
  readonly backends: readonly ExplainedBackend[];
  /** Backends that get no requests, and when what is in progress there is ended: ISO 8601, UTC. */
  readonly draining: readonly { readonly url: string; readonly until: string }[];
  /** The reply of the proxy to this request, in place of a backend; null: it goes on to a backend, or no route matches. */
  readonly refusal: ExplainedRefusal | null;
  /** The regular checks of its backends; null for none. */
  readonly health: ExplainedHealth | null;
  /** The auth server that decides before (`forwardAuth`), which is not asked here; null for none. */
  readonly authServer: string | null;
  /** Why the request waits; null if it goes on, or is refused. */
  readonly held: ExplainedHold | null;
  /** The backend that the request gets, as far as the record says; null if it gets none. */
  readonly chosen: ExplainedChoice | null;
  /** The options that hold, and the pattern that each comes from. */
  readonly options: readonly ExplainedOption[];
  readonly problems: readonly string[];
  /** How far the running instances follow the store; null if it cannot tell. */
  readonly instances: readonly FleetInstance[] | null;
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

/** The name of a host with a port, whose own record may come first. */
export interface ExplainedPort {
  readonly name: string;
  /** Whether the proxy looks it up (`compat.hostPort`). */
  readonly isTried: boolean;
}

/** @param value a host that `parseHost` accepts. @returns null if it has no port. */
export function explainedPort(value: string, isTried: boolean): ExplainedPort | null {
  const host = parseHost(value);
  const name = nameWithPort(host, value);
  return name === host ? null : { name, isTried };
}

/** Like `explainHost`, with the resolver of this machine. @param dns null for the default settings. */
export async function explainHere(
  host: string,
  store: ExplainedStore,
  dns: DnsSettings | null,
  nowMs: number,
  port: ExplainedPort | null = null,
  asked: AskedRequest | null = null,
): Promise<Explanation> {
  const resolver = systemResolver({
    settings: dns ?? defaultDnsSettings,
    log: silent,
    onInternalError: (error) => {
      throw error;
    },
  });
  try {
    return await explainHost(host, store, resolver, nowMs, port, asked);
  } finally {
    resolver.close();
  }
}

/**
 * Looks up a name as the proxy does.
 * @param host as `parseHost` gives it.
 * @param port null if the request names none.
 * @param asked the request; null for GET / from no particular client.
 * @throws what the store throws.
 */
export async function explainHost(
  host: string,
  store: ExplainedStore,
  resolver: Pick<NameResolver, 'watch'>,
  nowMs: number,
  port: ExplainedPort | null = null,
  asked: AskedRequest | null = null,
): Promise<Explanation> {
  const patterns = [...(port?.isTried ? [port.name] : []), host, ...wildcardPatterns(host)];
  const request = asked ?? parseRequest(host, {});
  const match = await findMatch(store, patterns, request.request.path);
  const instances = await fleetOf(store, nowMs);
  const problems = port === null || port.isTried ? [] : await unusedRecord(port.name, store.routes);
  const { pattern, tried } = match;
  if (pattern === null) {
    return { host, tried, ...nothing, refusal: match.refusal, problems, instances };
  }
  const frontend = buildFrontend(pattern, match.record);
  const expiryMs = await store.routes.expiry(pattern);
  let failures: FailuresByUrl = new Map();
  problems.push(...frontend.problems.map((problem) => problem.message));
  const options = await explainOptions(pattern, store);
  problems.push(...options.problems.filter((problem) => !problems.includes(problem)));
  try {
    failures = await store.failures.read(pattern);
  } catch (error) {
    problems.push(`the last failures cannot be read: ${(error as Error).message}`);
  }
  const decision = await explainDecision(options.layers, request);
  const isRefused = decision.refusal !== null;
  const waiting = { hold: holdPolicyOf(options.values), isPaused: options.values.pause === true };
  const held = isRefused ? null : explainHold(frontend, waiting, nowMs);
  const shown = shownBackends(frontend);
  const urls = shown.map(({ backend }) => backend.url);
  // An account may have no right to read notes.
  const health = await explainHealth(pattern, options.layers, urls, store).catch((error: Error) => {
    problems.push(`the instances that check its backends cannot be read: ${error.message}`);
    return explainHealth(pattern, options.layers, urls, { instances: store.instances ?? null });
  });
  return {
    host,
    tried,
    matched: pattern,
    path: backendPath(match, request.request.path, pathOf(pattern), options.values.stripPath === true),
    id: frontend.id,
    expires: toExpiry(expiryMs, nowMs),
    backends: await Promise.all(
      shown.map(async ({ backend, canary }) => ({
        index: backend.index,
        url: backend.url,
        weight: backend.weight,
        backup: backend.isBackup,
        canary,
        dead: explainMark(backend, nowMs),
        failures: explainFailures(failures.get(backend.url), nowMs),
        ...(await explainName(backend.hostname, resolver)),
      })),
    ),
    draining: shownDraining(frontend.draining),
    health,
    options: options.inForce,
    ...decision,
    held,
    chosen: isRefused || held !== null ? null : explainChoice(frontend, choiceOf(options.values), request, nowMs),
    problems,
    instances,
  };
}

/** The explanation of a host without a route. */
const nothing = {
  matched: null,
  path: null,
  id: null,
  expires: null,
  backends: [],
  draining: [],
  health: null,
  authServer: null,
  held: null,
  chosen: null,
  options: [],
} satisfies Partial<Explanation>;

/** How a host with these options chooses. */
function choiceOf(values: OptionValues): { readonly selector: Selector; readonly sticky: StickyCookie | null } {
  const sticky = stickyCookieOf(values);
  return { sticky, selector: selectorOf(values, sticky) ?? new TwoRandomChoices(Math.random) };
}

/** An account may have the right to read routes alone. */
async function fleetOf({ instances = null }: ExplainedStore, nowMs: number): Promise<readonly FleetInstance[] | null> {
  if (instances === null) return null;
  return (await listFleet({ instances }, nowMs).catch(() => null))?.instances ?? null;
}

/** A problem if there is a record for the port, which only PlanB uses without a setting. */
async function unusedRecord(name: string, routes: RouteReader): Promise<string[]> {
  const [record = null] = await routes.read([name]);
  return hasRoute(record) ? [`the route ${name} exists too; it is only used with compat.hostPort`] : [];
}

function explainMark(backend: Backend, nowMs: number): ExplainedMark | null {
  const { down } = backend;
  if (down === null || !backend.isDown(nowMs)) return null;
  return {
    until: isoTime(down.untilMs),
    since: isoTime(down.sinceMs),
    remainingMs: down.untilMs - nowMs,
    reason: down.reason,
    instance: down.instance,
  };
}

function explainFailures(failures: BackendFailures | undefined, nowMs: number): ExplainedFailures | null {
  if (failures === undefined) return null;
  const { count, firstMs, lastMs, reason, instance } = failures;
  return { count, since: isoTime(firstMs), last: isoTime(lastMs), agoMs: nowMs - lastMs, reason, instance };
}

async function explainName(
  hostname: string,
  resolver: Pick<NameResolver, 'watch'>,
): Promise<Pick<ExplainedBackend, 'addresses' | 'addressProblem'>> {
  if (!isHostName(hostname)) return { addresses: null, addressProblem: null };
  try {
    return { addresses: await resolveOnce(resolver, hostname), addressProblem: null };
  } catch (error) {
    return { addresses: [], addressProblem: (error as Error).message };
  }
}

/** What is in the store is other people's data: a time may be beyond what a Date can hold. */
function isoTime(epochMs: number): string {
  const latest = 8.64e15;
  return new Date(Math.max(-latest, Math.min(latest, epochMs))).toISOString();
}

function notAHost(host: string): HipacheError {
  const shown = JSON.stringify(host.length > 100 ? `${host.slice(0, 100)}…` : host);
  let hint = 'give it as a browser sends it, for example app.example.com';
  if (/^[a-z]+:\/\//i.test(host)) hint = 'leave out the scheme';
  else if (host.includes('*')) hint = `a pattern is shown by "hipache route show '${printable(host)}'"`;
  return new HipacheError('COMMAND_INVALID', `${shown} is not a host; ${hint}`);
}

function ignore(): void {}

const silent: Log = { debug: ignore, info: ignore, warn: ignore, error: ignore };

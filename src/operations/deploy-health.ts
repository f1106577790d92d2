import { setTimeout as delay } from 'node:timers/promises';
import { HipacheError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { packageVersion } from '../base/version.ts';
import type { Config } from '../config/config.ts';
import type { NameResolver } from '../dns/name-resolver.ts';
import { defaultDnsSettings, systemResolver } from '../dns/system-resolver.ts';
import { probe, probedHost } from '../health/probe.ts';
import { bodyBytesOf, faultOf, type ResponseFault } from '../health/response-fault.ts';
import { type ExpectedResponse, probePath, statusRange } from '../policy/health-check.ts';
import { durationMs } from '../policy/option-type.ts';
import { type BackendTarget, parseBackendUrl } from '../routing/backend-url.ts';
import { type BackendTls, backendTls } from '../tls/backend-tls.ts';

/** How a new backend shows that it can serve. */
export interface FirstCheck extends ExpectedResponse {
  /** How long all backends may take together, in ms. */
  readonly timeoutMs: number;
}

/** The settings of a check as an operator gives them. */
export interface HealthCheckText {
  readonly health?: string | undefined;
  readonly healthStatus?: string | undefined;
  readonly healthText?: string | undefined;
  readonly healthTimeout?: string | undefined;
}

/** How backends are reached. */
export interface ProbeWays {
  readonly resolver: Pick<NameResolver, 'watch'>;
  readonly tls: BackendTls;
}

const timeoutDefault = '30s';
const timeoutMaxMs = 3_600_000;
/** Time for one attempt, and the pause between two, in ms. */
const attemptMs = 5000;
const pauseMs = 250;

/**
 * Without a path, a backend is healthy once it responds to `/` with a status below 500: it may well want a log-in. With
 * one, it must respond with success.
 * @throws HipacheError COMMAND_INVALID.
 */
export function parseHealthCheck(given: HealthCheckText): FirstCheck {
  const { health, healthStatus, healthText = null, healthTimeout = timeoutDefault } = given;
  const path = probePath.parse(health ?? '/', []);
  if (path === undefined) throw invalid('--health', health, probePath.allowed);
  const statuses = healthStatus ?? (health === undefined ? '100-499' : '200-299');
  const range = statusRange.parse(statuses, []);
  if (range === undefined) throw invalid('--health-status', statuses, statusRange.allowed);
  const timeoutMs = durationMs(healthTimeout);
  if (!(timeoutMs > 0 && timeoutMs <= timeoutMaxMs)) {
    throw invalid('--health-timeout', healthTimeout, 'a time up to 1h, with its unit: 30s');
  }
  return { path, statusMin: range.min, statusMax: range.max, text: healthText, timeoutMs };
}

/**
 * Asks backends until each has been healthy once.
 * @param onResult called when what a backend shows has changed: its problem, or an empty text once it is healthy.
 * @throws HipacheError DEPLOY_UNHEALTHY with what each of the others showed last.
 */
export async function untilHealthy(
  urls: readonly string[],
  pattern: string,
  check: FirstCheck,
  ways: ProbeWays,
  onResult: (url: string, problem: string) => void,
): Promise<void> {
  const endMs = performance.now() + check.timeoutMs;
  const results = await Promise.all(
    urls.map(async (url) => {
      const target = parseBackendUrl(url);
      const host = probedHost(pattern, target);
      const problem = await probeUntilHealthy(target, host, check, ways, endMs, (now) => onResult(url, now));
      return problem === '' ? [] : [`${url}: ${problem}`];
    }),
  );
  const problems = results.flat();
  if (problems.length === 0) return;
  const after = `after ${check.timeoutMs / 1000} s`;
  throw new HipacheError('DEPLOY_UNHEALTHY', `not healthy ${after}: ${problems.join('; ')}. Nothing has changed`);
}

/** @returns an empty text, or what the backend showed last. */
async function probeUntilHealthy(
  target: BackendTarget,
  host: string,
  check: FirstCheck,
  { resolver, tls }: ProbeWays,
  endMs: number,
  onChange: (problem: string) => void,
): Promise<string> {
  let shown: string | null = null;
  for (;;) {
    const timeoutMs = Math.max(1, Math.min(attemptMs, endMs - performance.now()));
    const common = { target, host, tls, resolver, timeoutMs, version: packageVersion(), path: check.path };
    const result = await probe({ ...common, bodyBytesMax: bodyBytesOf(check) });
    const fault = faultOf(result, check);
    const problem = fault === null ? '' : faultText(fault, check);
    if (problem !== shown) onChange(problem);
    shown = problem;
    if (problem === '' || performance.now() + pauseMs >= endMs) return problem;
    await delay(pauseMs);
  }
}

function faultText(fault: ResponseFault, { path, statusMax, statusMin, text }: FirstCheck): string {
  if (fault.kind === 'absent') return fault.detail;
  if (fault.kind === 'text') return `the response to ${path} does not contain ${JSON.stringify(text)}`;
  const expected = statusMin === statusMax ? statusMin : `${statusMin} to ${statusMax}`;
  return `${path} responds with ${fault.detail}; expected ${expected}`;
}

function invalid(option: string, found: string | undefined, allowed: string): HipacheError {
  return new HipacheError('COMMAND_INVALID', `${option}: found ${JSON.stringify(found)}, allowed ${allowed}`);
}

/** Calls `use` with ways to reach backends from this machine. @param config null for the default settings. */
export async function withProbeWays<Result>(
  config: Pick<Config, 'dns' | 'backendTls'> | null,
  use: (ways: ProbeWays) => Promise<Result>,
): Promise<Result> {
  const resolver = systemResolver({ settings: config?.dns ?? defaultDnsSettings, log: silent, onInternalError: raise });
  try {
    const { alpn, ca = [], verify = true } = config?.backendTls ?? {};
    return await use({ resolver, tls: backendTls(ca, verify, alpn) });
  } finally {
    resolver.close();
  }
}

function raise(error: Error): never {
  throw error;
}

function ignore(): void {}

const silent: Log = { debug: ignore, info: ignore, warn: ignore, error: ignore };

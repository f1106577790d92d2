import type { BackendHost } from './backend-host.ts';
import { type OptionType, or } from './option-type.ts';

/** A response that shows that a backend is healthy. */
export interface ExpectedResponse {
  /** Path and query that are asked for; or `grpc:` with the name of a service, by `grpc.health.v1`. */
  readonly path: string;
  /** Statuses of a healthy backend, both included. */
  readonly statusMin: number;
  readonly statusMax: number;
  /** Text in the first 64 KiB of the body; null: any body. */
  readonly text: string | null;
}

/** The regular checks of the backends of a host. */
export interface HealthCheck extends ExpectedResponse {
  /** From the beginning of a check to that of the next one, in ms. A check that takes longer delays the next one. */
  readonly intervalMs: number;
  /** From the beginning of a check to the end of the response, in ms. */
  readonly timeoutMs: number;
  /** Failures in a row after which a backend is marked. */
  readonly failuresWanted: number;
  /** Successes in a row after which its mark is lifted. */
  readonly successesWanted: number;
  /** The Host field; null: that of the pattern. */
  readonly host: BackendHost;
}

/** The values of the options that make a check. */
export interface HealthValues {
  readonly healthPath?: string | null;
  readonly healthInterval?: number;
  readonly healthTimeout?: number;
  readonly healthStatus?: StatusRange;
  readonly healthText?: string | null;
  readonly healthDown?: number;
  readonly healthUp?: number;
  readonly backendHost?: BackendHost;
}

interface StatusRange {
  readonly min: number;
  readonly max: number;
}

const pathCharsMax = 1024;
const textCharsMax = 1024;
const defaults = { intervalMs: 10_000, timeoutMs: 5000, statusMin: 200, statusMax: 299, failures: 3, successes: 2 };

/** What a probe asks for: a path, or the service of a gRPC server. */
export const probePath: OptionType<string> = {
  allowed: `a path such as /up, in printable ASCII and up to ${pathCharsMax} characters, or grpc: or grpc:my.Service`,
  parse: (text) =>
    /^grpc:[\w.]{0,127}$/.test(text) || (text.length <= pathCharsMax && /^\/[\x21-\x7e]*$/.test(text))
      ? text
      : undefined,
};

export const statusRange: OptionType<StatusRange> = {
  allowed: 'a status such as 200, or a range such as 200-399',
  parse(text) {
    const [, from = '', to = from] = /^([1-5]\d\d)(?:-([1-5]\d\d))?$/.exec(text) ?? [];
    const [min, max] = [Number(from), Number(to)];
    return from === '' || max < min ? undefined : { min, max };
  },
};

/** A text that a body has to contain. */
export const wantedText: OptionType<string | null> = or('none', {
  allowed: `a text of up to ${textCharsMax} characters without control characters`,
  parse: (text) => (text.length <= textCharsMax && /^[^\p{Cc}]+$/u.test(text) ? text : undefined),
});

/** The check that options make; null if the backends of the host are not checked. */
export function healthCheckOf(values: HealthValues): HealthCheck | null {
  const { healthPath = null, healthStatus } = values;
  if (healthPath === null) return null;
  return {
    path: healthPath,
    statusMin: healthStatus?.min ?? defaults.statusMin,
    statusMax: healthStatus?.max ?? defaults.statusMax,
    text: values.healthText ?? null,
    intervalMs: values.healthInterval ?? defaults.intervalMs,
    timeoutMs: values.healthTimeout ?? defaults.timeoutMs,
    failuresWanted: values.healthDown ?? defaults.failures,
    successesWanted: values.healthUp ?? defaults.successes,
    host: values.backendHost ?? null,
  };
}

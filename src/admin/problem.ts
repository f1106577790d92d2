import { type ErrorCode, HipacheError } from '../base/errors.ts';

/** The status of the response to each error that operators can cause; 500 for all others. */
const statuses: Partial<Readonly<Record<ErrorCode, number>>> = {
  COMMAND_INVALID: 422,
  CERTIFICATE_INVALID: 422,
  DEPLOY_UNHEALTHY: 422,
  NOT_FOUND: 404,
  CONFLICT: 412,
  DEPLOY_BUSY: 409,
  NOT_LIVE: 504,
  CERTIFICATE_ORDER_FAILED: 502,
  STORE_UNSUPPORTED: 501,
  STORE_UNAVAILABLE: 503,
  INSTANCE_UNREACHABLE: 503,
};

/** The body of a response that is an error (RFC 9457). */
export interface Problem {
  readonly status: number;
  /** As in docs/errors.md; `UNAUTHORIZED`, `FORBIDDEN` and the like for errors of the API alone. */
  readonly code: string;
  /** For people: the error, where it is, and how to mend it. */
  readonly detail: string;
}

/** An error of the API itself. */
export class ApiError extends Error {
  readonly problem: Problem;

  constructor(status: number, code: string, detail: string) {
    super(detail);
    this.problem = { status, code, detail };
  }
}

/** @returns null for an error that nobody expects. */
export function problemOf(error: unknown): Problem | null {
  if (error instanceof ApiError) return error.problem;
  if (error instanceof AggregateError) {
    const problems = error.errors.map(problemOf);
    const [first = null] = problems;
    if (first === null || problems.includes(null)) return null;
    return { ...first, detail: problems.map((one) => one?.detail).join('; ') };
  }
  if (!(error instanceof HipacheError)) return null;
  return { status: statuses[error.code] ?? 500, code: error.code, detail: fieldNames(error.message) };
}

/** Options of the command line by the names that they have here: `--health-timeout` is `healthTimeout`. */
function fieldNames(message: string): string {
  return message.replace(/^--([a-z]+(?:-[a-z]+)*)/, (_, name: string) =>
    name.replace(/-([a-z])/g, (_match, letter: string) => letter.toUpperCase()),
  );
}

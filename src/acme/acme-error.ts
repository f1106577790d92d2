import { printable } from '../base/printable.ts';

/** The beginning of the types that RFC 8555 section 6.7 defines. */
const namespace = 'urn:ietf:params:acme:error:';
/** Longest text of an authority that is kept, in characters. */
const detailCharsMax = 500;
/** Parts of a problem that are kept: one for each name of an order. */
const partsMax = 20;

/** The problem with one name of an order. */
export interface ProblemPart {
  /** Null if the authority does not say which. */
  readonly name: string | null;
  readonly type: string;
  readonly detail: string;
}

interface AcmeErrorParts {
  /** `rateLimited`, `badNonce`: the type without its namespace; a foreign type is whole. */
  readonly type: string;
  /** Of the response; 0 if there was none. */
  readonly status?: number;
  /** When the authority wants to be asked again, in ms from now; null if it does not say. */
  readonly retryAfterMs?: number | null;
  readonly parts?: readonly ProblemPart[];
  readonly cause?: unknown;
}

/**
 * Why an authority did not do what was asked: its own problem document (RFC 7807), or, with these types of ours:
 * `unreachable`, no whole response in time; `malformed`, a response that RFC 8555 does not allow.
 */
export class AcmeError extends Error {
  readonly type: string;
  readonly status: number;
  readonly retryAfterMs: number | null;
  readonly parts: readonly ProblemPart[];

  constructor(detail: string, { type, status = 0, retryAfterMs = null, parts = [], cause }: AcmeErrorParts) {
    super(detail, { cause });
    this.name = 'AcmeError';
    this.type = type;
    this.status = status;
    this.retryAfterMs = retryAfterMs;
    this.parts = parts;
  }
}

export function malformed(what: string, status = 0, cause?: unknown): AcmeError {
  return new AcmeError(what, { type: 'malformed', status, cause });
}

/** The error that a problem document describes. @param problem parsed JSON, of any shape. */
export function problemError(problem: unknown, status: number, retryAfterMs: number | null): AcmeError {
  const { type, detail, subproblems } = fieldsOf(problem);
  const parts = Array.isArray(subproblems) ? subproblems.slice(0, partsMax).map(partOf) : [];
  const shown = textOf(detail) || `status ${status} without an explanation`;
  return new AcmeError(shown, { type: typeOf(type), status, retryAfterMs, parts });
}

/** The problem of a challenge or an order that has failed, as `type: detail`; empty if there is none. */
export function problemText(problem: unknown): string {
  if (problem === undefined || problem === null) return '';
  const { detail, status, type } = fieldsOf(problem);
  const text = [typeOf(type), textOf(detail) || `status ${textOf(status)}`].filter((part) => part !== '').join(': ');
  return text;
}

function partOf(part: unknown): ProblemPart {
  const { detail, identifier, type } = fieldsOf(part);
  const { value } = fieldsOf(identifier);
  return { name: typeof value === 'string' ? textOf(value) : null, type: typeOf(type), detail: textOf(detail) };
}

function typeOf(type: unknown): string {
  const text = textOf(type);
  return text.startsWith(namespace) ? text.slice(namespace.length) : text || 'unknown';
}

/** Text of a stranger, on one line. */
function textOf(value: unknown): string {
  if (typeof value !== 'string' && typeof value !== 'number') return '';
  return printable(String(value).slice(0, detailCharsMax));
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}

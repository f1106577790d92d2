import { printable } from '../base/printable.ts';
import type { ExpectedResponse } from '../policy/health-check.ts';
import type { ProbeResult } from './probe.ts';

/** Beginning of a body in which a text is looked for, in bytes. */
const searchedBytesMax = 64 * 1024;
/** Longest part of a fault that comes from the backend, in characters. */
const detailCharsMax = 100;

/** How a response differs from the expected one. */
export type ResponseFault =
  /** There was none: why. */
  | { readonly kind: 'absent'; readonly detail: string }
  /** Its status, and where it redirects to. */
  | { readonly kind: 'status'; readonly detail: string }
  /** Its body lacks the text. */
  | { readonly kind: 'text' };

/** Bytes of a body that a probe has to read. */
export function bodyBytesOf({ text }: ExpectedResponse): number {
  return text === null ? 0 : searchedBytesMax;
}

/** Null for an expected response. */
export function faultOf(
  { body = '', location, problem, status }: ProbeResult,
  { statusMax, statusMin, text }: ExpectedResponse,
): ResponseFault | null {
  if (status === 0) return { kind: 'absent', detail: bounded(problem) };
  if (status < statusMin || status > statusMax) {
    const to = location === undefined ? '' : ` to ${bounded(location)}, which is not followed`;
    return { kind: 'status', detail: `${status}${to}` };
  }
  // Bodies are read as latin1.
  return text === null || body.includes(Buffer.from(text).toString('latin1')) ? null : { kind: 'text' };
}

function bounded(text: string): string {
  const shown = printable(text);
  return shown.length > detailCharsMax ? `${shown.slice(0, detailCharsMax)}…` : shown;
}

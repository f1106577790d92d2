import { type ErrorCode, errorKind } from '../base/errors.ts';
import type { Marking } from '../routing/health.ts';

/** How far an attempt got before it failed: nothing sent, request sent, or part of a response received. */
type Progress = 'unsent' | 'sent' | 'responded';

/** Why an attempt failed. */
export interface Failure {
  readonly code: ErrorCode;
  readonly detail: string;
  /** Whether the connection had served before: if so, its end may be unrelated to this request. */
  readonly reused: boolean;
  readonly progress: Progress;
}

/**
 * Whether the failure allows the same request to be sent again.
 * @param idempotent whether its method is.
 * @param retryTimeouts whether a backend that did not respond in time is a reason too.
 */
export function maySendAgain({ code, progress }: Failure, idempotent: boolean, retryTimeouts: boolean): boolean {
  if (code === 'BACKEND_TIMEOUT') return retryTimeouts && progress !== 'responded' && idempotent;
  switch (errorKind(code).resend) {
    case 'unsent':
      return progress === 'unsent';
    case 'idempotent':
      return progress !== 'responded' && idempotent;
    case 'never':
      return false;
  }
}

/**
 * Judges the backend by a failure. The end of a kept connection may be unrelated to this request, so it says
 * nothing. Nor does a reset while the body was being sent: a client that sends too much must not mark the backend for
 * everybody.
 * @param complete whether the client's request had been read completely.
 * @param byFirst whether one time-out marks: see `MarkingRule`.
 */
export function markingOf(failure: Failure, complete: boolean, byFirst: boolean): Marking {
  const { code } = failure;
  const isReset = code === 'BACKEND_RESET' || code === 'BACKEND_STREAM_RESET';
  if (isStale(failure) || (isReset && !complete)) return 'never';
  const { marks } = errorKind(code);
  return marks === 'by share' && byFirst ? 'at once' : marks;
}

/** Whether no connection to the backend could be made, so that nothing is there that could respond. */
export function isUnreachable({ code }: Failure): boolean {
  return code === 'BACKEND_CONNECT_REFUSED' || code === 'BACKEND_CONNECT_TIMEOUT';
}

/** Whether a request that waits for a backend goes on waiting: none is there, or it has no connection left. */
export function maySettleLater(failure: Failure): boolean {
  const { code } = failure;
  return isUnreachable(failure) || code === 'BACKEND_QUEUE_FULL' || code === 'BACKEND_QUEUE_TIMEOUT';
}

/**
 * Whether a connection was at fault, and not the backend: a kept one ended before any byte of a response, because the backend
 * closed it as it was being reused; or one of HTTP/2 took no more streams.
 */
export function isStale({ code, reused, progress }: Failure): boolean {
  if (code === 'BACKEND_STREAM_REFUSED') return true;
  return reused && progress !== 'responded' && code === 'BACKEND_RESET';
}

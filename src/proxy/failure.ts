import { type ErrorCode, errorKind } from '../base/errors.ts';

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

/** Whether the failure allows the same request to be sent again. @param idempotent whether its method is. */
export function maySendAgain({ code, progress }: Failure, idempotent: boolean): boolean {
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
 * Whether the failure marks its backend dead. The end of a kept connection may be unrelated to this request, so it says
 * nothing about the backend. Nor does a reset while the body was being sent: a client that sends too much must not mark
 * the backend for everybody.
 * @param complete whether the client's request had been read completely.
 */
export function marksBackend(failure: Failure, complete: boolean): boolean {
  if (!errorKind(failure.code).marks || isStale(failure)) return false;
  return failure.code !== 'BACKEND_RESET' || complete;
}

/** Whether a kept connection ended before any byte of a response: the backend closed it as it was being reused. */
export function isStale({ code, reused, progress }: Failure): boolean {
  return reused && progress !== 'responded' && code === 'BACKEND_RESET';
}

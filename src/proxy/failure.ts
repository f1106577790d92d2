import { type ErrorCode, errorKind } from '../base/errors.ts';

/** How far an attempt had come when it failed: nothing sent, sent, or with bytes of a response. */
type Progress = 'unsent' | 'sent' | 'answered';

/** Why an attempt failed. */
export interface Failure {
  readonly code: ErrorCode;
  readonly detail: string;
  /** Whether the connection had served before, so that its end may have nothing to do with this request. */
  readonly reused: boolean;
  readonly progress: Progress;
}

/** Whether the same request may be sent again, as far as the failure is concerned. @param idempotent its method is. */
export function maySendAgain({ code, progress }: Failure, idempotent: boolean): boolean {
  switch (errorKind(code).resend) {
    case 'unsent':
      return progress === 'unsent';
    case 'idempotent':
      return progress !== 'answered' && idempotent;
    case 'never':
      return false;
  }
}

/**
 * Whether the failure marks its backend dead. The end of a kept connection may have nothing to do with this request, and
 * says nothing of the backend. Nor does the end of a connection that was still being sent a body: a client that sends
 * too much must not mark a backend for all.
 * @param complete the request had been read whole from the client.
 */
export function marksBackend(failure: Failure, complete: boolean): boolean {
  if (!errorKind(failure.code).marks || isStale(failure)) return false;
  return failure.code !== 'BACKEND_RESET' || complete;
}

/** Whether a kept connection ended before any byte of a response: the backend closes it just as it was used. */
export function isStale({ code, reused, progress }: Failure): boolean {
  return reused && progress !== 'answered' && code === 'BACKEND_RESET';
}

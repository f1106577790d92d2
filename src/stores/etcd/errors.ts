import { status } from '@grpc/grpc-js';
import { type ErrorCode, HipacheError } from '../../base/errors.ts';

/** An error of gRPC or of etcd, which gives its status and a text. */
interface CallError {
  readonly code: number;
  readonly details: string;
}

/** The error for operators that stands for one of etcd, of the connection or of the client library, at `name`. */
export function etcdError(error: unknown, name: string): HipacheError {
  if (error instanceof HipacheError) return error;
  const { code, details } = callError(error);
  const [errorCode, message] = explain(code, details);
  return new HipacheError(errorCode, `${name}: ${message}`, { cause: error });
}

/** Whether another member may do what this one did not. */
export function isMemberFailure(error: unknown): boolean {
  const { code } = callError(error);
  return code === status.UNAVAILABLE || code === status.DEADLINE_EXCEEDED || code === status.CANCELLED;
}

/** Whether the members have no leader, which they elect within seconds if most of them can reach each other. */
export function isLeaderless(error: unknown): boolean {
  return leaderless.test(callError(error).details);
}

const leaderless = /no leader|leader changed|request timed out/i;

/** Whether the member did not reply in time. */
export function isLate(error: unknown): boolean {
  return callError(error).code === status.DEADLINE_EXCEEDED;
}

/** Whether a message, such as a page of a listing, is larger than a message may be. */
export function isTooLarge(error: unknown): boolean {
  return callError(error).code === status.RESOURCE_EXHAUSTED;
}

/** Whether the request cannot have reached a member. */
export function isUnsent(error: unknown): boolean {
  const { code, details } = callError(error);
  return code === status.UNAVAILABLE && /^No (TCP )?connection|^connect E|^getaddrinfo|name resolution/i.test(details);
}

/** The error of gRPC that stands for one of a TCP connection which could not be opened. */
export function unreachable(cause: Error): Error {
  // With several addresses, the message is empty.
  const details = cause.message || String((cause as NodeJS.ErrnoException).code);
  return Object.assign(new Error(details, { cause }), { code: status.UNAVAILABLE, details });
}

/** Whether the token has ended, or belongs to an older state of the accounts: a new one may do. */
export function isTokenInvalid(error: unknown): boolean {
  return /invalid auth token|auth(entication)? revision|revision of auth store/i.test(callError(error).details);
}

/** Whether the cluster has no accounts, so that a token is neither needed nor given. */
export function isWithoutAccounts(error: unknown): boolean {
  return /authentication is not enabled/i.test(callError(error).details);
}

function callError(error: unknown): CallError {
  const { code, details } = (error ?? {}) as Partial<CallError>;
  if (typeof code !== 'number' || typeof details !== 'string') {
    return { code: status.UNKNOWN, details: String((error as Error)?.message ?? error) };
  }
  // A member that notices the deadline of a request before this process does.
  const isLate = code === status.UNKNOWN && details === 'context deadline exceeded';
  return { code: isLate ? status.DEADLINE_EXCEEDED : code, details };
}

function explain(code: number, details: string): [ErrorCode, string] {
  const text = (/Last error: (?:\w*Error: )?(.*?)\. Resolution note/s.exec(details)?.[1] ?? details).replace(
    /^etcdserver: /,
    '',
  );
  if (/invalid user|authentication failed/i.test(text)) {
    return ['STORE_DENIED', `refuses the user or the password; see the driver URL (${text})`];
  }
  if (/user name is empty|invalid auth token/i.test(text)) {
    return ['STORE_DENIED', `wants a user and a password; put them into the driver URL (${text})`];
  }
  if (/permission denied/i.test(text)) {
    return ['STORE_DENIED', 'the user lacks a right; it needs readwrite on the prefix (docs/etcd.md)'];
  }
  if (/database space exceeded/i.test(text)) {
    return [
      'STORE_FULL',
      'its database is full; compact and defragment it, and disarm its alarm; the change was not made',
    ];
  }
  if (/request is too large/i.test(text)) {
    return ['STORE_FULL', 'the change is larger than its --max-request-bytes; it was not made'];
  }
  if (/too many operations/i.test(text)) {
    return ['STORE_UNSUPPORTED', 'its --max-txn-ops is lower than 128, the default; nothing was written'];
  }
  if (leaderless.test(text)) {
    return ['STORE_UNAVAILABLE', `its members have no majority (${text})`];
  }
  switch (code) {
    case status.DEADLINE_EXCEEDED:
      return ['STORE_UNAVAILABLE', 'does not reply'];
    case status.UNAVAILABLE:
      return [
        'STORE_UNAVAILABLE',
        /certificate/i.test(text) ? certificateProblem(text) : `cannot be reached (${text})`,
      ];
    case status.PERMISSION_DENIED:
    case status.UNAUTHENTICATED:
      return ['STORE_DENIED', text];
    default:
      return ['STORE_UNAVAILABLE', text];
  }
}

function certificateProblem(text: string): string {
  return `its certificate is not accepted: ${text}. For an authority of your own, add ?ca=FILE to the driver URL`;
}

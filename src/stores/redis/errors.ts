import { type ErrorCode, HipacheError } from '../../base/errors.ts';

/** The error for operators that stands for one of Redis, of the connection or of the client library, at `name`. */
export function redisError(error: unknown, name: string): HipacheError {
  if (error instanceof HipacheError) return error;
  const [code, message] = explain(error);
  return new HipacheError(code, `${name}: ${message}`, { cause: error });
}

/** Whether a reply says that a key does not have the type that its name requires. */
export function isWrongType(reply: unknown): boolean {
  return reply instanceof Error && reply.message.startsWith('WRONGTYPE');
}

/** Whether a reply says that the user lacks a right. */
export function isDenied(reply: unknown): boolean {
  const error = reply instanceof HipacheError ? reply.cause : reply;
  return error instanceof Error && error.message.startsWith('NOPERM');
}

/** Whether a reply to INCR says that the value is not a number. */
export function isNoCounter(reply: unknown): boolean {
  return isWrongType(reply) || (reply instanceof Error && reply.message.startsWith('ERR value is not an integer'));
}

/** Whether the server lacks the protocol or the tracking of Redis 6. */
export function isTooOld(error: unknown): boolean {
  return error instanceof Error && /^(NOPROTO|ERR unknown (sub)?command)/i.test(error.message);
}

/** Whether the server refuses a write because it is a replica. */
export function isDemoted(error: unknown): boolean {
  return error instanceof HipacheError && error.cause instanceof Error && error.cause.message.startsWith('READONLY');
}

/** Whether the server has no such user with this password, or, before Redis 6, no users at all. */
export function isUserRefused(error: unknown): boolean {
  return error instanceof Error && /^(WRONGPASS|ERR wrong number of arguments for 'auth')/i.test(error.message);
}

/** Whether the error passes by itself: the server is still starting. */
export function isStarting(error: unknown): boolean {
  return error instanceof Error && /^(LOADING|BUSY|MASTERDOWN)\b/.test(error.message);
}

/** The kind of an error, one of a few words. The log counts each kind by itself. */
export function errorSummary(error: HipacheError): string {
  const { cause } = error;
  const word = cause instanceof Error ? (/^[A-Z]+/.exec(cause.message)?.[0] ?? '') : '';
  if (word in replies) return word;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  return code in failures ? code : error.code;
}

function explain(error: unknown): [ErrorCode, string] {
  // A server quotes the arguments of a command that it does not know, which may be the password.
  const text = (error instanceof Error ? error.message : String(error)).replace(/,? with args beginning with:.*$/s, '');
  const byReply = replies[/^[A-Z]+/.exec(text)?.[0] ?? ''];
  if (byReply !== undefined) return [byReply[0], `${byReply[1]} (${text})`];
  if (/max number of clients/i.test(text)) {
    return ['STORE_UNAVAILABLE', `has no room for another client; raise its maxclients (${text})`];
  }
  if (/invalid password/i.test(text)) return ['STORE_DENIED', `refuses the password; see the driver URL (${text})`];
  if (/no password is set|without any password configured/i.test(text)) {
    return ['STORE_DENIED', `has no password, but the driver URL has one; remove it (${text})`];
  }
  if (/SELECT is not allowed in cluster mode/i.test(text)) return ['STORE_UNSUPPORTED', `${ofCluster} (${text})`];
  if (/cluster support disabled/i.test(text)) {
    return ['STORE_UNSUPPORTED', `has no cluster mode; write redis:// in the driver URL (${text})`];
  }
  if (text === 'The queue is full') return ['STORE_UNAVAILABLE', 'too many commands wait for its replies'];
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const byCode = failures[code];
  if (byCode !== undefined) return ['STORE_UNAVAILABLE', byCode];
  if (/certificate|^(ERR_TLS|ERR_SSL|EPROTO)/i.test(`${code} ${text}`)) {
    return [
      'STORE_UNAVAILABLE',
      `its certificate is not accepted: ${text}. For an authority of your own, start hipache with NODE_EXTRA_CA_CERTS=FILE`,
    ];
  }
  return ['STORE_UNAVAILABLE', text === '' ? code : text];
}

const ofCluster = 'is part of a Redis Cluster; write redis+cluster:// instead of redis:// in the driver URL';

const replies: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  WRONGPASS: ['STORE_DENIED', 'refuses the user or the password; see the driver URL'],
  NOAUTH: ['STORE_DENIED', 'wants a password; put it into the driver URL'],
  NOPERM: ['STORE_DENIED', 'its user lacks a right; docs/redis.md lists the necessary ones'],
  DENIED: ['STORE_DENIED', 'is in protected mode: it accepts no connection from another machine without a password'],
  LOADING: ['STORE_UNAVAILABLE', 'is still loading its data'],
  BUSY: ['STORE_UNAVAILABLE', 'is busy with a script'],
  MASTERDOWN: ['STORE_UNAVAILABLE', 'is a replica that has lost its primary and is configured not to serve old data'],
  MISCONF: ['STORE_READ_ONLY', 'accepts no writes because it cannot save them to its disk; see its log'],
  READONLY: ['STORE_READ_ONLY', 'is a read-only replica; name the primary as the second driver URL'],
  NOREPLICAS: ['STORE_READ_ONLY', 'accepts no writes because it has too few replicas'],
  OOM: ['STORE_FULL', 'its maxmemory is used up; the change was not made'],
  MOVED: ['STORE_UNSUPPORTED', ofCluster],
  ASK: ['STORE_UNSUPPORTED', ofCluster],
  CROSSSLOT: ['STORE_UNSUPPORTED', ofCluster],
  CLUSTERDOWN: ['STORE_UNAVAILABLE', 'its cluster is down: slots have no primary; see redis-cli cluster info'],
  TRYAGAIN: ['STORE_UNAVAILABLE', 'a slot of its cluster is moving'],
};

const failures: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'refuses the connection: no server runs there',
  ECONNRESET: 'closed the connection',
  EPIPE: 'closed the connection',
  ENOENT: 'there is no such socket',
  EACCES: 'this user may not open the socket',
  ENOTFOUND: 'its name is unknown',
  EAI_AGAIN: 'its name cannot be looked up now',
  ETIMEDOUT: 'does not reply',
  EHOSTUNREACH: 'cannot be reached',
  ENETUNREACH: 'cannot be reached',
};

import { type ErrorCode, HipacheError } from '../../base/errors.ts';

/** What an operator is told for an error of Redis, of the connection or of the client library, at `name`. */
export function redisError(error: unknown, name: string): HipacheError {
  if (error instanceof HipacheError) return error;
  const [code, message] = explain(error);
  return new HipacheError(code, `${name}: ${message}`, { cause: error });
}

/** Whether a reply says that a key has another type than its name promises. */
export function isWrongType(reply: unknown): boolean {
  return reply instanceof Error && reply.message.startsWith('WRONGTYPE');
}

/** Whether a reply says that what was to be counted up is no number. */
export function isNoCounter(reply: unknown): boolean {
  return isWrongType(reply) || (reply instanceof Error && reply.message.startsWith('ERR value is not an integer'));
}

/** Whether the server does not know the protocol or the tracking of Redis 6. */
export function isTooOld(error: unknown): boolean {
  return error instanceof Error && /^(NOPROTO|ERR unknown (sub)?command)/i.test(error.message);
}

/** Whether it is passing by itself: a server that starts. */
export function isStarting(error: unknown): boolean {
  return error instanceof Error && /^(LOADING|BUSY|MASTERDOWN)\b/.test(error.message);
}

/** A word for what went wrong, one of a few: what is logged apart. */
export function errorKind(error: HipacheError): string {
  const { cause } = error;
  const word = cause instanceof Error ? (/^[A-Z]+/.exec(cause.message)?.[0] ?? '') : '';
  if (word in replies) return word;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  return code in failures ? code : error.code;
}

function explain(error: unknown): [ErrorCode, string] {
  const text = error instanceof Error ? error.message : String(error);
  const byReply = replies[/^[A-Z]+/.exec(text)?.[0] ?? ''];
  if (byReply !== undefined) return [byReply[0], `${byReply[1]} (${text})`];
  if (/max number of clients/i.test(text)) {
    return ['STORE_UNAVAILABLE', `has as many clients as it takes; raise its maxclients (${text})`];
  }
  if (/invalid password/i.test(text)) return ['STORE_DENIED', `refuses the password; see the driver URL (${text})`];
  if (/no password is set|without any password configured/i.test(text)) {
    return ['STORE_DENIED', `has no password, but the driver URL does; take it out (${text})`];
  }
  if (text === 'The queue is full') return ['STORE_UNAVAILABLE', 'too many commands wait for its answers'];
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const byCode = failures[code];
  if (byCode !== undefined) return ['STORE_UNAVAILABLE', byCode];
  if (/certificate|^(ERR_TLS|ERR_SSL|EPROTO)/i.test(`${code} ${text}`)) {
    return [
      'STORE_UNAVAILABLE',
      `its certificate is not accepted: ${text}. For an authority of your own start hipache with NODE_EXTRA_CA_CERTS=FILE`,
    ];
  }
  return ['STORE_UNAVAILABLE', text === '' ? code : text];
}

const replies: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  WRONGPASS: ['STORE_DENIED', 'refuses the user or the password; see the driver URL'],
  NOAUTH: ['STORE_DENIED', 'wants a password; put it into the driver URL'],
  NOPERM: ['STORE_DENIED', 'its user lacks a right; docs/redis.md lists those that are needed'],
  DENIED: ['STORE_DENIED', 'is in protected mode: it takes no connection of another machine without a password'],
  LOADING: ['STORE_UNAVAILABLE', 'is still loading its data'],
  BUSY: ['STORE_UNAVAILABLE', 'is busy with a script'],
  MASTERDOWN: ['STORE_UNAVAILABLE', 'is a replica that has lost its primary, and set not to serve old data'],
  MISCONF: ['STORE_READ_ONLY', 'takes no writes since it cannot save them to its disk; see its log'],
  READONLY: ['STORE_READ_ONLY', 'is a read-only replica; name the primary as the second driver URL'],
  NOREPLICAS: ['STORE_READ_ONLY', 'takes no writes since it has too few replicas'],
  OOM: ['STORE_FULL', 'its maxmemory is used up; the change was not made'],
  MOVED: ['STORE_UNSUPPORTED', 'is part of a Redis Cluster, which is not supported'],
};

const failures: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'refuses the connection: no server runs there',
  ECONNRESET: 'closed the connection',
  EPIPE: 'closed the connection',
  ENOENT: 'there is no such socket',
  EACCES: 'this user may not open the socket',
  ENOTFOUND: 'its name is not known',
  EAI_AGAIN: 'its name cannot be looked up now',
  ETIMEDOUT: 'does not answer',
  EHOSTUNREACH: 'cannot be reached',
  ENETUNREACH: 'cannot be reached',
};

/** Where an error came from: who has to act on it. */
export type ErrorSource = 'client' | 'backend' | 'store' | 'operator' | 'internal';

/**
 * Whether the same request may be tried again after this error:
 * `never`; `unsent`: nothing of it left the proxy, so always; `idempotent`: only where the method allows it.
 */
export type ErrorRetry = 'never' | 'unsent' | 'idempotent';

interface ErrorKind {
  readonly source: ErrorSource;
  readonly retry: ErrorRetry;
  /** One sentence for the reference page (docs/errors.md, tested against this table). */
  readonly summary: string;
}

const kinds = {
  CONFIG_INVALID: ['operator', 'never', 'The configuration has wrong values; each is named.'],
  CONFIG_UNREADABLE: ['operator', 'never', 'The configuration file cannot be read or is not JSON or YAML.'],
  LISTEN_FAILED: [
    'operator',
    'never',
    'An address cannot be listened on: in use, not allowed, or not of this machine.',
  ],
  WORKER_FAILED: ['internal', 'never', 'A worker process cannot be started.'],
  PRIVILEGES: ['operator', 'never', 'The user or group to run as does not exist or cannot be changed to.'],
  COMMAND_INVALID: ['operator', 'never', 'An argument of a command is wrong: a host pattern, a backend URL, a store.'],
  NOT_FOUND: ['operator', 'never', 'The host or backend that a command names has no record in the store.'],

  CERTIFICATE_INVALID: [
    'operator',
    'never',
    'A certificate or its key does not parse, they do not belong together, or a passphrase is missing.',
  ],

  STORE_UNSUPPORTED: ['store', 'never', 'No driver of that name, or the driver cannot do what was asked.'],
  STORE_UNAVAILABLE: ['store', 'never', 'The store cannot be opened or reached.'],
  STORE_DAMAGED: ['store', 'never', 'The store file is not a database, is damaged, or belongs to another program.'],
  STORE_NEWER: ['store', 'never', 'The store file was written by a newer version of Hipache.'],
  STORE_READ_ONLY: ['store', 'never', 'The store cannot be written: its file or its directory is read-only.'],
  STORE_FULL: ['store', 'never', 'The disk of the store is full.'],
  STORE_DENIED: ['store', 'never', 'The store refuses the user, the password, or a command to this user.'],
  STORE_BUSY: ['store', 'never', 'Another process held the write lock of the store for too long.'],

  REQUEST_INVALID: ['client', 'never', 'The request breaks the grammar or framing of HTTP/1.1; the reason says how.'],
  REQUEST_HEAD_TOO_LARGE: ['client', 'never', 'The head of the request passes its limit of bytes or fields.'],
  REQUEST_TARGET_TOO_LONG: ['client', 'never', 'The target of the request passes its limit.'],
  REQUEST_VERSION: ['client', 'never', 'The request is of an HTTP version that is not served.'],
  REQUEST_METHOD: ['client', 'never', 'The method of the request is not served: CONNECT.'],
  REQUEST_EXPECTATION: ['client', 'never', 'The request expects something other than 100-continue.'],
  REQUEST_UPGRADE: ['client', 'never', 'The WebSocket handshake is of another version than 13.'],
  REQUEST_TIMEOUT: ['client', 'never', 'The client stopped sending its request.'],
  CLIENT_GONE: ['client', 'never', 'The client closed its connection, or stopped reading.'],
  HOST_MISSING: ['client', 'never', 'The request names no host.'],
  ROUTE_NOT_FOUND: ['client', 'never', 'No frontend matches the host.'],

  BACKEND_NONE: ['backend', 'never', 'The frontend has no backend that can be used.'],
  BACKEND_CONNECT_REFUSED: ['backend', 'unsent', 'The backend refused the connection or cannot be reached.'],
  BACKEND_CONNECT_TIMEOUT: ['backend', 'unsent', 'The backend did not accept the connection in time.'],
  BACKEND_TLS: ['backend', 'unsent', 'The TLS handshake failed: the certificate is not trusted, or of another host.'],
  BACKEND_RESET: ['backend', 'idempotent', 'The backend closed the connection before it had answered.'],
  BACKEND_TIMEOUT: ['backend', 'idempotent', 'The backend did not answer in time.'],
  BACKEND_RESPONSE_INVALID: [
    'backend',
    'never',
    'The response of the backend breaks the grammar or framing of HTTP/1.1.',
  ],
  BACKEND_RESPONSE_TRUNCATED: ['backend', 'never', 'The response of the backend ended before its end.'],
  BACKEND_QUEUE_FULL: ['backend', 'unsent', 'Too many requests wait for a connection to the backend.'],
  BACKEND_QUEUE_TIMEOUT: ['backend', 'unsent', 'No connection to the backend became free in time.'],

  TUNNEL_IDLE: ['client', 'never', 'No byte went through the tunnel for as long as it may be idle.'],
  TUNNEL_DRAINED: ['internal', 'never', 'The tunnel was told to end, since the process that had it stops.'],

  OVERLOADED: ['internal', 'never', 'A limit of this process is reached: descriptors, ports or memory.'],
} as const satisfies Record<string, readonly [ErrorSource, ErrorRetry, string]>;

export type ErrorCode = keyof typeof kinds;

/** Every code with its kind, in the order of the reference page. */
export const errorKinds: ReadonlyMap<ErrorCode, ErrorKind> = new Map(
  (Object.keys(kinds) as ErrorCode[]).map((code) => {
    const [source, retry, summary] = kinds[code];
    return [code, { source, retry, summary }];
  }),
);

/**
 * The one error class for operating errors. `code` is stable and documented in docs/errors.md; `message` says
 * what is wrong, where, and where possible what to do. Programmer errors are plain exceptions.
 */
export class HipacheError extends Error {
  readonly code: ErrorCode;
  readonly source: ErrorSource;
  readonly retry: ErrorRetry;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'HipacheError';
    this.code = code;
    this.source = kinds[code][0];
    this.retry = kinds[code][1];
  }
}

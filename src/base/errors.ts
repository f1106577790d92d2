import { exitCodes } from './exit-codes.ts';

/** The origin of an error: who must act on it. */
type ErrorSource = 'client' | 'backend' | 'store' | 'operator' | 'internal';

/**
 * Whether the same request may be sent again after this error. `never`. `unsent`: with any method, if nothing of it has been
 * sent. `idempotent`: only if its method is idempotent (RFC 9110 section 9.2.2) and no byte of a response has
 * arrived.
 */
type Resend = 'never' | 'unsent' | 'idempotent';

/** Whether one such failure marks the backend dead, or only a share of failures does (`MarkingRule`). */
type Marks = 'never' | 'at once' | 'by share';

/** Everything the program knows about an error code. This table is the only place for it. */
interface ErrorKind {
  readonly source: ErrorSource;
  /** Whether a request can end with it; if so, metrics and logs count it. */
  readonly endsRequests: boolean;
  /** Status of the local reply; null if none is sent. */
  readonly status: number | null;
  /** Body of the local reply if there is no page, and value of `x-debug-error`: Hipache 0.4's text if it had one. */
  readonly text: string;
  readonly resend: Resend;
  /** How it marks the backend dead; see `markingOf` in proxy/failure.ts. */
  readonly marks: Marks;
  /** If a limit causes it: how to raise that. */
  readonly limit: string | null;
  /** Exit code of a command or of the program. */
  readonly exitCode: number;
  /** One sentence for the reference page. */
  readonly summary: string;
}

type RequestRule = Partial<Pick<ErrorKind, 'resend' | 'marks' | 'limit'>>;

/** Every code, in the order of the reference page docs/errors.md, which is generated from this table. */
const kinds = {
  CONFIG_INVALID: operator('The configuration has wrong values; the message names each.', exitCodes.wrongInput),
  CONFIG_UNREADABLE: operator(
    'The configuration file cannot be read, or is neither JSON nor YAML.',
    exitCodes.wrongInput,
  ),
  LISTEN_FAILED: operator('Hipache cannot listen on an address: it is in use, not permitted, or not of this machine.'),
  WORKER_FAILED: ofProcess('internal', 'A worker process cannot be started.'),
  UPGRADE_FAILED: operator('An upgrade has failed, and the former program goes on; the log of the primary says why.'),
  PRIVILEGES: operator('The user or group to run as does not exist, or the process cannot change to it.'),
  COMMAND_INVALID: operator(
    'An argument of a command is wrong: a host pattern, a backend URL, a store.',
    exitCodes.wrongInput,
  ),
  NOT_LIVE: operator(
    'A change was made, and some instances did not serve it in the time of `--wait`; the message names them.',
    exitCodes.notLive,
  ),
  NOT_FOUND: operator('The host or backend that a command names has no record in the store.', exitCodes.notFound),

  CONFLICT: ofProcess(
    'store',
    'A route does not have the version that a change requires: something else has changed it. Nothing is written.',
    exitCodes.conflict,
  ),

  DEPLOY_UNHEALTHY: operator(
    'A new backend of a deploy did not become healthy in time; the message says which, and how it responded. Nothing has changed.',
    exitCodes.unhealthy,
  ),
  DEPLOY_BUSY: ofProcess(
    'store',
    'Another deploy of the same host is under way; the message says whose. Nothing has changed.',
    exitCodes.conflict,
  ),

  CERTIFICATE_INVALID: operator(
    'A certificate or its key cannot be parsed, they do not belong together, or a passphrase is missing.',
    exitCodes.wrongInput,
  ),

  CERTIFICATE_ORDER_FAILED: operator(
    'A certificate was not ordered: the authority refuses it, or no instance orders; the message says why.',
  ),

  STORE_UNSUPPORTED: ofProcess('store', 'There is no driver of that name, or the driver cannot do what was asked.'),
  STORE_UNAVAILABLE: ofRequest(
    'store',
    503,
    'routes are not available',
    'The store cannot be opened or reached. A request gets it if its route is not known either.',
  ),
  STORE_DAMAGED: ofProcess('store', 'The store file is not a database, is damaged, or belongs to another program.'),
  STORE_NEWER: ofProcess('store', 'A newer version of Hipache wrote the store file.'),
  DOCKER_UNREACHABLE: operator(
    'The API of Docker or Podman does not answer, or not as it should (`hipache docker --once`).',
  ),
  INSTANCE_UNREACHABLE: ofProcess(
    'operator',
    'A running instance does not answer at the address of its metrics (`hipache explain --live`).',
  ),
  STORE_READ_ONLY: ofProcess('store', 'The store cannot be written: its file or its directory is read-only.'),
  STORE_FULL: ofProcess('store', 'The disk of the store is full.'),
  STORE_DENIED: ofProcess('store', 'The store refuses the user, the password, or a command to this user.'),
  STORE_BUSY: ofProcess('store', 'Another process held the write lock of the store for too long.'),

  REQUEST_INVALID: client(
    400,
    'bad request',
    'The request is not well-formed, could be read in two ways, or has an invalid host name.',
  ),
  REQUEST_PLAIN: client(
    400,
    'this port expects https',
    'The client speaks HTTP without TLS to a port with TLS. Not in the access log.',
  ),
  REQUEST_HEAD_TOO_LARGE: client(
    431,
    'request head too large',
    'The head of the request exceeds `limits.headBytesMax` or `limits.headFieldsMax`.',
    { limit: 'limits.headBytesMax and limits.headFieldsMax allow more' },
  ),
  REQUEST_TARGET_TOO_LONG: client(
    414,
    'request target too long',
    'The target of the request exceeds `limits.targetBytesMax`.',
    { limit: 'limits.targetBytesMax allows more' },
  ),
  REQUEST_VERSION: client(505, 'HTTP version not supported', 'The major HTTP version of the request is not 1.'),
  REQUEST_METHOD: client(
    405,
    'method not allowed',
    'The method of the request is CONNECT, which is not served, or TRACE with `Max-Forwards: 0`.',
  ),
  REQUEST_EXPECTATION: client(417, 'expectation failed', 'The request expects something other than `100-continue`.'),
  REQUEST_BODY_TOO_LARGE: client(
    413,
    'request body too large',
    'The body of the request exceeds the option `requestBodyMax` of the host.',
    { limit: 'the option requestBodyMax allows larger bodies' },
  ),
  REQUEST_TRANSFER_CODING: client(
    501,
    'transfer coding not supported',
    'The body of the request has a transfer coding besides `chunked`.',
  ),
  REQUEST_UPGRADE: client(
    426,
    'WebSocket version not supported',
    'The WebSocket handshake asks for a version other than 13.',
  ),
  REQUEST_TIMEOUT: client(
    408,
    'request timed out',
    'The client stopped sending the head or the body of its request, or sent the body too slowly.',
    {
      limit: 'limits.headTimeoutSeconds, limits.bodyGraceSeconds and limits.bodyBytesPerSecondMin allow slower clients',
    },
  ),
  REQUEST_DEADLINE: client(
    504,
    'deadline exceeded',
    'The deadline of a gRPC call (`grpc-timeout`) has passed without a response.',
  ),
  CLIENT_GONE: client(null, '', 'The client closed its connection, or stopped reading.'),
  REQUEST_LOOP: client(
    508,
    'loop detected',
    'The request has come through Hipache `limits.passesMax` times: a backend of its host leads back here.',
    { limit: 'a backend of the host leads back here; limits.passesMax allows more passes' },
  ),
  HOST_MISSING: client(
    400,
    'no host header',
    'The request names no host, and there is no frontend `*`; or it is HTTP/1.1 without a Host field.',
  ),
  ROUTE_NOT_FOUND: client(400, 'frontend not found', 'No frontend matches the host.'),
  ACCESS_DENIED: client(
    403,
    'access denied',
    'The options `allow` and `deny` of the host exclude the client, or the request is a WebSocket handshake and its option `websockets` is off.',
  ),
  CREDENTIALS_REQUIRED: client(
    401,
    'credentials required',
    'The option `basicAuth` of the host asks for a name and a password, and the request has none, or wrong ones.',
  ),
  CLIENT_CERTIFICATE_REQUIRED: client(
    403,
    'client certificate required',
    'The option `clientCert` of the host is `required`, and the client has shown no certificate of an authority of `clientCa` that is valid, or its connection has no TLS.',
  ),
  MISDIRECTED: client(
    421,
    'misdirected request',
    'The option `clientCert` of the host is `required`, and the connection began for another host, or before the option was set: nobody asked the client for a certificate of this one. Browsers try again on another connection.',
  ),
  AUTH_SERVER_FAILED: backend(
    502,
    'access cannot be decided',
    'The auth server of the option `forwardAuth` did not respond as it should: it cannot be reached, is too slow, or sent a status of 500 or above, a 304, a broken response, or more than 64 KiB. Or a value of `forwardAuth` or `forwardAuthFields` cannot be used. Nobody is let in.',
  ),
  HOST_ASLEEP: ofRequest(
    'operator',
    503,
    'the host is not available yet',
    'Requests of the host wait for a backend (option `hold`): the request has waited too long, or too many wait.',
  ),
  RATE_LIMITED: client(
    429,
    'too many requests',
    'The request exceeds the option `rate` of the host. `Retry-After` says when the next one may come.',
  ),
  MAINTENANCE: ofRequest(
    'operator',
    503,
    'down for maintenance',
    'The option `maintenance` of the host is on, and the client is not one of `maintenanceAllow`.',
  ),

  BACKEND_NONE: backend(502, 'Cannot find a valid backend', 'The frontend has no backend that can be used.'),
  BACKEND_CONNECT_REFUSED: backend(
    502,
    'backend refused the connection',
    'The backend refused the connection or cannot be reached, or does not speak HTTP/2 although its URL says so.',
    { resend: 'unsent', marks: 'at once' },
  ),
  BACKEND_CONNECT_TIMEOUT: backend(
    504,
    'backend did not accept the connection in time',
    'The backend did not accept the connection within `limits.connectTimeoutSeconds`, or the option `connectTimeout` of the host.',
    { resend: 'unsent', marks: 'at once' },
  ),
  BACKEND_TLS: backend(
    502,
    'backend cannot be trusted',
    'The TLS handshake with the backend failed: its certificate is not trusted, or names another host.',
    { resend: 'unsent', marks: 'at once' },
  ),
  BACKEND_RESET: backend(
    502,
    'backend closed the connection',
    'The backend closed the connection before it had responded.',
    { resend: 'idempotent', marks: 'at once' },
  ),
  BACKEND_STREAM_REFUSED: backend(
    503,
    'backend takes no more requests',
    'The backend refused a stream of HTTP/2 (`REFUSED_STREAM`, or behind its `GOAWAY`): it has done nothing with the request.',
    { resend: 'unsent' },
  ),
  BACKEND_STREAM_RESET: backend(
    502,
    'backend gave up the request',
    'The backend reset the stream of HTTP/2 before it had responded, or ended the connection with an error.',
    { resend: 'idempotent', marks: 'by share' },
  ),
  BACKEND_TIMEOUT: backend(
    504,
    'backend did not respond in time',
    'The backend sent nothing for `server.tcpTimeout` while a response was due.',
    { resend: 'never', marks: 'by share', limit: 'server.tcpTimeout gives backends more time' },
  ),
  BACKEND_RESPONSE_INVALID: backend(502, 'backend is invalid', 'The response of the backend is not well-formed HTTP.'),
  BACKEND_RESPONSE_TOO_LARGE: backend(
    502,
    'the head of the response is too large',
    'The head or the trailers of a response, or the informational ones before it, exceed a limit.',
    {
      limit:
        'limits.responseHeadBytesMax, limits.responseHeadFieldsMax and limits.informationalResponsesMax allow more',
    },
  ),
  BACKEND_RESPONSE_SILENT: backend(
    null,
    '',
    'The backend sent nothing for `limits.responseIdleSeconds` within a response. The client already has a part, so its connection is reset.',
    { limit: 'limits.responseIdleSeconds allows longer pauses' },
  ),
  BACKEND_RESPONSE_TRUNCATED: backend(
    null,
    '',
    'The response of the backend ended prematurely. The client already has a part, so its connection is reset.',
  ),
  BACKEND_QUEUE_FULL: backend(
    503,
    'too many requests wait for the backend',
    'More than `limits.queueMax` requests wait for a connection to the backend.',
    { resend: 'unsent', limit: 'limits.queueMax lets more wait, server.maxSockets gives the backend more connections' },
  ),
  BACKEND_QUEUE_TIMEOUT: backend(
    503,
    'no connection to the backend became free in time',
    'No connection to the backend became free within `limits.queueTimeoutSeconds`.',
    {
      resend: 'unsent',
      limit: 'limits.queueTimeoutSeconds lets them wait longer, server.maxSockets gives the backend more connections',
    },
  ),

  TUNNEL_IDLE: client(null, '', 'No byte passed through the tunnel for `limits.tunnelIdleSeconds`.'),
  TUNNEL_DRAINED: ofRequest('internal', null, '', 'The process that held the tunnel stopped, and closed the tunnel.'),

  OVERLOADED: ofRequest(
    'internal',
    503,
    'overloaded',
    'This process has reached a limit: requests or tunnels of the host, descriptors, ports or memory.',
    { limit: 'limits.requestsPerHostMax, limits.tunnelsPerHostMax or the descriptors of the process allow more' },
  ),
} satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof kinds;

/** Every code with its kind, in the order of the reference page. */
export const errorKinds: ReadonlyMap<ErrorCode, ErrorKind> = new Map(Object.entries(kinds) as [ErrorCode, ErrorKind][]);

/** Everything the program knows about an error code. */
export function errorKind(code: ErrorCode): ErrorKind {
  return kinds[code];
}

/**
 * The error class for all operating errors. `code` is stable and documented in docs/errors.md. `message` says what is
 * wrong, where, and if possible what to do. Programming errors are other exceptions.
 */
export class HipacheError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'HipacheError';
    this.code = code;
  }

  get source(): ErrorSource {
    return kinds[this.code].source;
  }
}

function ofProcess(source: ErrorSource, summary: string, exitCode: number = exitCodes.failed): ErrorKind {
  const none = { endsRequests: false, status: null, text: '', limit: null } as const;
  return { source, ...none, resend: 'never', marks: 'never', exitCode, summary };
}

function operator(summary: string, exitCode?: number): ErrorKind {
  return ofProcess('operator', summary, exitCode);
}

function ofRequest(
  source: ErrorSource,
  status: number | null,
  text: string,
  summary: string,
  { resend = 'never', marks = 'never', limit = null }: RequestRule = {},
): ErrorKind {
  return { source, endsRequests: true, status, text, resend, marks, limit, exitCode: exitCodes.failed, summary };
}

function client(status: number | null, text: string, summary: string, rule?: RequestRule): ErrorKind {
  return ofRequest('client', status, text, summary, rule);
}

function backend(status: number | null, text: string, summary: string, rule?: RequestRule): ErrorKind {
  return ofRequest('backend', status, text, summary, rule);
}

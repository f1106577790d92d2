import type { ErrorCode } from '../base/errors.ts';

/** Responses that the proxy gives itself: Hipache's statuses and texts, and those of limits that it did not have. */
export interface LocalReply {
  readonly status: number;
  /** The body where there is no page, and the debug header `x-debug-error`. */
  readonly text: string;
}

const reasonPhrases: Readonly<Record<number, string>> = {
  200: 'OK',
  400: 'Bad Request',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  414: 'URI Too Long',
  417: 'Expectation Failed',
  426: 'Upgrade Required',
  431: 'Request Header Fields Too Large',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
};

const byCode: Partial<Record<ErrorCode, LocalReply>> = {
  HOST_MISSING: { status: 400, text: 'no host header' },
  ROUTE_NOT_FOUND: { status: 400, text: 'frontend not found' },
  REQUEST_INVALID: { status: 400, text: 'bad request' },
  REQUEST_METHOD: { status: 405, text: 'method not allowed' },
  REQUEST_TIMEOUT: { status: 408, text: 'request timed out' },
  REQUEST_TARGET_TOO_LONG: { status: 414, text: 'request target too long' },
  REQUEST_EXPECTATION: { status: 417, text: 'expectation failed' },
  REQUEST_UPGRADE: { status: 426, text: 'WebSocket version not supported' },
  REQUEST_HEAD_TOO_LARGE: { status: 431, text: 'request head too large' },
  REQUEST_VERSION: { status: 505, text: 'HTTP version not supported' },
  BACKEND_NONE: { status: 502, text: 'Cannot find a valid backend' },
  BACKEND_CONNECT_REFUSED: { status: 502, text: 'backend refused the connection' },
  BACKEND_TLS: { status: 502, text: 'backend cannot be trusted' },
  BACKEND_RESET: { status: 502, text: 'backend closed the connection' },
  BACKEND_RESPONSE_INVALID: { status: 502, text: 'backend is invalid' },
  BACKEND_RESPONSE_TRUNCATED: { status: 502, text: 'backend closed the connection' },
  BACKEND_CONNECT_TIMEOUT: { status: 504, text: 'backend did not accept the connection in time' },
  BACKEND_TIMEOUT: { status: 504, text: 'backend did not answer in time' },
  BACKEND_QUEUE_FULL: { status: 503, text: 'too many requests wait for the backend' },
  BACKEND_QUEUE_TIMEOUT: { status: 503, text: 'no connection to the backend became free in time' },
  OVERLOADED: { status: 503, text: 'overloaded' },
};

/** For what only the store can have to say. */
const routesUnavailable: LocalReply = { status: 503, text: 'routes are not available' };

/** Hipache's texts for a request that ran out of tries. */
export const retriesUsedUp = 'Reached max retries limit';
export const retriesDisabled = 'Retry on error is disabled';

export function localReplyFor(code: ErrorCode): LocalReply {
  return byCode[code] ?? routesUnavailable;
}

/** The code of a request whose head was refused with this status. */
export function refusalCode(status: number): ErrorCode {
  switch (status) {
    case 405:
      return 'REQUEST_METHOD';
    case 414:
      return 'REQUEST_TARGET_TOO_LONG';
    case 417:
      return 'REQUEST_EXPECTATION';
    case 426:
      return 'REQUEST_UPGRADE';
    case 431:
      return 'REQUEST_HEAD_TOO_LARGE';
    case 505:
      return 'REQUEST_VERSION';
    default:
      return 'REQUEST_INVALID';
  }
}

/** What a response's text depends on besides itself. */
export interface LocalReplyShape {
  /** Of the request. */
  readonly versionMinor: number;
  readonly isHead: boolean;
  /** Value of the Accept field, or an empty string. */
  readonly accept: string;
  /** The page for the status as latin1 text of its bytes, or null. */
  readonly page: string | null;
  readonly keepAlive: boolean;
  readonly epochMs: number;
  /** Further lines, as the debug fields; often empty. */
  readonly extraLines: string;
}

/** The whole response, head and body. @param code null for one that is no error. */
export function localReplyText(response: LocalReply, code: ErrorCode | null, shape: LocalReplyShape): string {
  const { contentType, body } =
    code === null
      ? { contentType: 'text/plain', body: response.text }
      : localBody(response, code, shape.accept, shape.page);
  let text =
    `HTTP/1.${shape.versionMinor} ${response.status} ${reasonPhrases[response.status] ?? 'Unknown'}\r\n` +
    `content-type: ${contentType}\r\ncache-control: no-cache\r\npragma: no-cache\r\nexpires: -1\r\n` +
    `date: ${new Date(shape.epochMs).toUTCString()}\r\ncontent-length: ${body.length}\r\n`;
  if (code !== null) text += `x-hipache-error: ${code}\r\n`;
  if (response.status === 405) text += 'allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n';
  // RFC 6455 section 4.4, RFC 9110 section 15.5.22.
  if (response.status === 426) text += 'sec-websocket-version: 13\r\nupgrade: websocket\r\n';
  text += shape.extraLines;
  if (!shape.keepAlive) text += 'connection: close\r\n';
  else if (shape.versionMinor === 0) text += 'connection: keep-alive\r\n';
  return `${text}\r\n${shape.isHead ? '' : body}`;
}

/** The body of an error response and its type, as the client asks for it: a page, JSON where it wants that, or text. */
interface LocalBody {
  readonly contentType: string;
  readonly body: string;
}

/** @param accept the value of the Accept field, or an empty string. */
function localBody(response: LocalReply, code: ErrorCode, accept: string, page: string | null): LocalBody {
  const wanted = accept.toLowerCase();
  if (!wanted.includes('text/html')) {
    if (/\bapplication\/([a-z.+-]+\+)?json\b/.test(wanted)) {
      const body = JSON.stringify({ status: response.status, error: code, message: response.text });
      return { contentType: 'application/json', body: `${body}\n` };
    }
    if (wanted.includes('text/plain')) return { contentType: 'text/plain', body: `${response.text}\n` };
  }
  return { contentType: 'text/html', body: page ?? response.text };
}

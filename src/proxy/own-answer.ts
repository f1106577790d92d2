import type { ErrorCode } from '../base/errors.ts';

/** Answers that the proxy gives itself: Hipache's statuses and texts, and those of limits that it did not have. */
export interface OwnAnswer {
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
  431: 'Request Header Fields Too Large',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
};

const byCode: Partial<Record<ErrorCode, OwnAnswer>> = {
  HOST_MISSING: { status: 400, text: 'no host header' },
  ROUTE_NOT_FOUND: { status: 400, text: 'frontend not found' },
  REQUEST_INVALID: { status: 400, text: 'bad request' },
  REQUEST_METHOD: { status: 405, text: 'method not allowed' },
  REQUEST_TIMEOUT: { status: 408, text: 'request timed out' },
  REQUEST_TARGET_TOO_LONG: { status: 414, text: 'request target too long' },
  REQUEST_EXPECTATION: { status: 417, text: 'expectation failed' },
  REQUEST_HEAD_TOO_LARGE: { status: 431, text: 'request head too large' },
  REQUEST_VERSION: { status: 505, text: 'HTTP version not supported' },
  BACKEND_NONE: { status: 502, text: 'Cannot find a valid backend' },
  BACKEND_CONNECT_REFUSED: { status: 502, text: 'backend refused the connection' },
  BACKEND_RESET: { status: 502, text: 'backend closed the connection' },
  BACKEND_ANSWER_INVALID: { status: 502, text: 'backend is invalid' },
  BACKEND_ANSWER_TRUNCATED: { status: 502, text: 'backend closed the connection' },
  BACKEND_CONNECT_TIMEOUT: { status: 504, text: 'backend did not accept the connection in time' },
  BACKEND_TIMEOUT: { status: 504, text: 'backend did not answer in time' },
  BACKEND_QUEUE_FULL: { status: 503, text: 'too many requests wait for the backend' },
  BACKEND_QUEUE_TIMEOUT: { status: 503, text: 'no connection to the backend became free in time' },
  OVERLOADED: { status: 503, text: 'overloaded' },
  STORE_UNAVAILABLE: { status: 503, text: 'routes are not available' },
};

const overloaded: OwnAnswer = { status: 503, text: 'routes are not available' };

/** Hipache's texts for a request that ran out of tries. */
export const retriesUsedUp = 'Reached max retries limit';
export const retriesDisabled = 'Retry on error is disabled';

export function ownAnswerFor(code: ErrorCode): OwnAnswer {
  return byCode[code] ?? overloaded;
}

export function reasonPhrase(status: number): string {
  return reasonPhrases[status] ?? 'Unknown';
}

/** The body of an error answer and its type, as the client asks for it: a page, JSON where it wants that, or text. */
export interface OwnBody {
  readonly contentType: string;
  readonly body: string;
}

/** @param accept the value of the Accept field, or an empty string. */
export function ownBody(answer: OwnAnswer, code: ErrorCode, accept: string, page: string | null): OwnBody {
  const wanted = accept.toLowerCase();
  if (!wanted.includes('text/html')) {
    if (/\bapplication\/([a-z.+-]+\+)?json\b/.test(wanted)) {
      const body = JSON.stringify({ status: answer.status, error: code, message: answer.text });
      return { contentType: 'application/json', body: `${body}\n` };
    }
    if (wanted.includes('text/plain')) return { contentType: 'text/plain', body: `${answer.text}\n` };
  }
  return { contentType: 'text/html', body: page ?? answer.text };
}

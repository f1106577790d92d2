import { type ErrorCode, errorKind } from '../base/errors.ts';
import { invariant } from '../base/invariant.ts';
import { httpDate } from '../http/date.ts';
import { FieldLines } from '../http/field-lines.ts';
import { GrpcStatus, grpcStatusFields, grpcStatusOf } from '../http/grpc.ts';
import type { Refusal } from '../policy/admission.ts';

/** The page of a host, in place of that of the instance. */
export interface ReplyPage {
  readonly contentType: string;
  /** Its bytes as latin1 text. */
  readonly body: string;
}

/** A response that the proxy generates. */
export interface LocalReply {
  readonly status: number;
  /** The body if there is no page, and the value of the debug field `x-debug-error`. */
  readonly text: string;
  /** Further fields, such as `location`. */
  readonly fields?: FieldLines;
  /** Latin1, in place of a page and `text`; `fields` describe it. */
  readonly body?: string;
  /** Default: that of the instance. */
  readonly page?: ReplyPage;
  /** If it is an error: its code. */
  readonly code?: ErrorCode;
}

const reasonPhrases: Readonly<Record<number, string>> = {
  200: 'OK',
  301: 'Moved Permanently',
  302: 'Found',
  303: 'See Other',
  307: 'Temporary Redirect',
  308: 'Permanent Redirect',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  413: 'Content Too Large',
  414: 'URI Too Long',
  417: 'Expectation Failed',
  426: 'Upgrade Required',
  421: 'Misdirected Request',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
  508: 'Loop Detected',
};

/** Limits below which the next attempt may be a moment later, and after how many seconds clients may make it. */
const passingLimits: ReadonlySet<ErrorCode> = new Set(['OVERLOADED', 'BACKEND_QUEUE_FULL', 'BACKEND_QUEUE_TIMEOUT']);
const retrySeconds = 1;

/** Hipache's texts for a request that ran out of attempts. */
export const retriesUsedUp = 'Reached max retries limit';
export const retriesDisabled = 'Retry on error is disabled';

/**
 * The local reply for an error.
 * @param detail of a malformed request: the client learns it. @param text replaces that of the code.
 */
export function localReplyFor(code: ErrorCode, detail = '', text?: string): LocalReply {
  const kind = errorKind(code);
  invariant(kind.status !== null, `a local reply for ${code}, which has no status`);
  const fault = code === 'REQUEST_INVALID' && detail !== '' ? `: ${detail}` : '';
  return { status: kind.status, text: text ?? `${kind.text}${fault}` };
}

/** The reply of a rule of a host. */
export function replyOf({ body, code, fields, status }: Refusal): LocalReply {
  const text = `${body === undefined ? 'redirected' : 'responded by the auth server'} (${status})`;
  const reply = code === null ? { status, text } : localReplyFor(code);
  return { ...reply, ...(fields === null ? {} : { fields }), ...(body === undefined ? {} : { body }) };
}

/** The fields and the body of a local reply depend on these. */
interface LocalReplyContext {
  /** Value of the Accept field, or an empty string. */
  readonly accept: string;
  /** The page for the status, its bytes as latin1 text; null for none. */
  readonly page: string | null;
  readonly epochMs: number;
  /** Further fields, such as the debug fields; null for none. */
  readonly added: FieldLines | null;
}

/** How to write a local reply in HTTP/1. */
export interface LocalReplyShape extends LocalReplyContext {
  /** Minor HTTP version of the request. */
  readonly versionMinor: number;
  readonly isHead: boolean;
  readonly keepAlive: boolean;
}

/** The complete response in HTTP/1, head and body. @param code null if it is not an error. */
export function localReplyText(response: LocalReply, code: ErrorCode | null, shape: LocalReplyShape): string {
  const { fields, body } = localReplyParts(response, code, shape);
  let text = `HTTP/1.${shape.versionMinor} ${response.status} ${reasonPhrases[response.status] ?? ''}\r\n${fields.text}`;
  if (!shape.keepAlive) text += 'connection: close\r\n';
  else if (shape.versionMinor === 0) text += 'connection: keep-alive\r\n';
  return `${text}\r\n${shape.isHead ? '' : body}`;
}

/** The fields and the body, the same in every version of HTTP. */
export function localReplyParts(
  response: LocalReply,
  code: ErrorCode | null,
  shape: LocalReplyContext,
): { readonly fields: FieldLines; readonly body: string } {
  const { contentType, body } = localBody(response, code, shape);
  let text = '';
  if (contentType !== null)
    text += `content-type: ${contentType}\r\ncache-control: no-cache\r\npragma: no-cache\r\nexpires: -1\r\n`;
  text += `date: ${httpDate(shape.epochMs)}\r\ncontent-length: ${body.length}\r\n`;
  if (code !== null) text += `x-hipache-error: ${code}\r\n`;
  if (code !== null && passingLimits.has(code)) text += `retry-after: ${retrySeconds}\r\n`;
  if (code !== null && response.status === 405) text += 'allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n';
  // RFC 6455 section 4.4, RFC 9110 section 15.5.22.
  if (code !== null && response.status === 426)
    text += 'sec-websocket-version: 13\r\nupgrade: websocket\r\nconnection: upgrade\r\n';
  if (response.fields !== undefined) text += response.fields.text;
  if (shape.added !== null) text += shape.added.text;
  return { fields: new FieldLines(text), body };
}

/** The codes of gRPC that say more than the mapping of the status of HTTP. */
const grpcStatuses: ReadonlyMap<ErrorCode, number> = new Map<ErrorCode, number>([
  ['REQUEST_DEADLINE', GrpcStatus.DEADLINE_EXCEEDED],
  ['REQUEST_BODY_TOO_LARGE', GrpcStatus.RESOURCE_EXHAUSTED],
  // As for 404: 400, the status of Hipache 0.4, would be a fault of the program.
  ['ROUTE_NOT_FOUND', GrpcStatus.UNIMPLEMENTED],
  ['HOST_MISSING', GrpcStatus.UNIMPLEMENTED],
]);

/** The same for a call of gRPC, as the only header section of its response. */
export function grpcReplyFields(
  { status, text }: LocalReply,
  code: ErrorCode,
  epochMs: number,
  added: FieldLines | null,
): FieldLines {
  const fields = new FieldLines(`content-type: application/grpc\r\ndate: ${httpDate(epochMs)}\r\n`);
  // Of a call, the cause says more than the end of its retries.
  const message = text === retriesUsedUp || text === retriesDisabled ? errorKind(code).text : text;
  fields.append(grpcStatusFields(grpcStatuses.get(code) ?? grpcStatusOf(status), message));
  fields.add('x-hipache-error', code);
  if (added !== null) fields.append(added);
  return fields;
}

/** The fields that end a call of gRPC whose response has begun. @param code null for an internal error. */
export function grpcAbortFields(code: ErrorCode | null): FieldLines {
  const { status, text } = code === null ? { status: null, text: '' } : errorKind(code);
  if (code === null || status === null) return grpcStatusFields(GrpcStatus.UNAVAILABLE, 'the response is incomplete');
  return grpcStatusFields(grpcStatuses.get(code) ?? grpcStatusOf(status), text);
}

/** The body of an error response and its type, by what the client accepts: a page, JSON or plain text. */
interface LocalBody {
  /** Null if the reply describes its body itself. */
  readonly contentType: string | null;
  readonly body: string;
}

/** @param code null if it is not an error. */
function localBody(response: LocalReply, code: ErrorCode | null, { accept, page }: LocalReplyContext): LocalBody {
  if (response.body !== undefined) return { contentType: null, body: response.body };
  if (code === null) return { contentType: 'text/plain', body: response.text };
  const wanted = accept.toLowerCase();
  if (!wanted.includes('text/html')) {
    if (/\bapplication\/([a-z.+-]+\+)?json\b/.test(wanted)) {
      const body = JSON.stringify({ status: response.status, error: code, message: response.text });
      return { contentType: 'application/json', body: `${body}\n` };
    }
    if (wanted.includes('text/plain')) return { contentType: 'text/plain', body: `${response.text}\n` };
  }
  return response.page ?? { contentType: 'text/html', body: page ?? response.text };
}

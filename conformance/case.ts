/** How binding the sentence is that a case checks. Robustness: the message is invalid, and a recipient may be lenient. */
export const levels = ['MUST', 'SHOULD', 'MAY', 'robustness', 'security'] as const;
export type Level = (typeof levels)[number];

/** One exchange of bytes, and what is right. Texts are bytes as Latin-1. */
export interface ConformanceCase {
  /** Unique among all cases; `--case` takes it. */
  readonly id: string;
  readonly title: string;
  /** A section of an RFC, an advisory, or an issue of a project. */
  readonly source: string;
  readonly level: Level;
  /** What the client sends to the host `a.test`, at once or step by step. */
  readonly send: string | readonly ClientStep[];
  /** What the backend does about the first request, the second and so on. Then it responds with `ok`. */
  readonly replies?: readonly (string | BackendReply)[];
  /** Final responses that the client waits for. Default 1. */
  readonly answers?: number;
  /** Whether the client closes its sending side behind its bytes. */
  readonly leaves?: boolean;
  /** What is right: first what the source asks for, then the alternatives that it allows. */
  readonly right: readonly Outcome[];
  /** Why Hipache deliberately does something else. */
  readonly reason?: string;
  /** What Hipache does wrong. To be mended, then removed. */
  readonly defect?: string;
}

/**
 * Bytes to send; the body that follows unless the first response is final, as `Expect: 100-continue` asks; or a wait for
 * the final response.
 */
export type ClientStep = string | { readonly bodyUnlessFinal: string } | { readonly untilFinal: true };

/** What the backend does about one request. A reply that is a text is its `end`. */
export interface BackendReply {
  /** Whether it sends a 100 first if the request expects one. */
  readonly continues?: boolean;
  /** Sent when the head of the request is complete. */
  readonly head?: string;
  /** Sent when the request is complete. */
  readonly end?: string;
  /** Sent when the client has its response and the connection is idle. */
  readonly idle?: string;
  /** Whether `end` is sent byte by byte. */
  readonly isSplit?: boolean;
  /** Whether the connection is closed, or reset, behind it. */
  readonly after?: 'close' | 'reset';
}

/** What counts as right. */
export type Outcome = Refusal | Replacement | Forwarding;

/** No complete request reaches the backend, and the client gets one of these statuses. */
export interface Refusal {
  readonly kind: 'refused';
  /** Empty: any status from 400 on, or the end of the connection without a response. */
  readonly statuses: readonly number[];
  readonly response?: ResponseWants;
}

/** The request reaches the backend; the client gets one of these statuses, and nothing of the backend's response. */
export interface Replacement {
  readonly kind: 'replaced';
  /** Empty: any status from 500 on, or the end of the connection without a response. */
  readonly statuses: readonly number[];
}

/** The request reaches the backend, and its response the client. */
export interface Forwarding {
  readonly kind: 'forwarded';
  /** A word for the table, such as "field dropped". */
  readonly as?: string;
  /** Requests that the backend gets from this case. Default: as many as there are answers. */
  readonly requests?: number;
  /** Of the first request: its request line. */
  readonly line?: string | RegExp;
  readonly fields?: FieldWants;
  readonly body?: string;
  readonly trailers?: FieldWants;
  /** Of the last request: its request line. */
  readonly lastLine?: string | RegExp;
  readonly response?: ResponseWants;
  /** Whether bytes pass in both directions after a 101, or what comes back of those that the client sends. */
  readonly tunnel?: boolean | string;
}

/** Of the first final response. */
export interface ResponseWants {
  readonly status?: number;
  readonly line?: RegExp;
  readonly fields?: FieldWants;
  readonly body?: string;
  /** The body of the last response to the case. */
  readonly lastBody?: string;
  readonly trailers?: FieldWants;
  /** Statuses of the informational responses before it. */
  readonly informational?: readonly number[];
  /** Whether the client can tell that the response is not whole. Default: it must be whole. */
  readonly end?: 'whole' | 'cut off';
  /** Whether the connection then takes another request, has ended, or refuses what follows. */
  readonly connection?: 'kept' | 'closed' | 'refused';
}

/** By name in lower case: the values in order; null: absent; an expression: the values, joined by comma and blank. */
export type FieldWants = Readonly<Record<string, string | readonly string[] | RegExp | null>>;

/** Cases with one heading. */
export interface Topic {
  readonly name: string;
  readonly title: string;
  readonly cases: readonly ConformanceCase[];
}

export function refused(...statuses: readonly number[]): Refusal {
  return { kind: 'refused', statuses };
}

export function replaced(...statuses: readonly number[]): Replacement {
  return { kind: 'replaced', statuses };
}

export function forwarded(wants: Omit<Forwarding, 'kind'> = {}): Forwarding {
  return { kind: 'forwarded', ...wants };
}

/** A response that has passed with these properties. */
export function passes(response: ResponseWants = {}, as?: string): Forwarding {
  return { kind: 'forwarded', response, ...(as === undefined ? {} : { as }) };
}

type Common = Pick<ConformanceCase, 'source' | 'level' | 'right'> & Partial<ConformanceCase>;
type Row = readonly [id: string, title: string, send: ConformanceCase['send'], more?: Partial<ConformanceCase>];

/** Cases that differ by what is sent. A row may replace what is common. */
export function cases(common: Common, rows: readonly Row[]): readonly ConformanceCase[] {
  return rows.map(([id, title, send, more]) => ({ ...common, id, title, send, ...more }));
}

/** Cases that differ by the backend's response to a GET. */
export function responses(
  common: Common,
  rows: readonly (readonly [
    id: string,
    title: string,
    reply: string | BackendReply,
    more?: Partial<ConformanceCase>,
  ])[],
): readonly ConformanceCase[] {
  return rows.map(([id, title, reply, more]) => ({
    ...{ ...common, id, title, send: get('/'), replies: [reply] },
    ...more,
  }));
}

/** A head for `a.test` with this start line and these additional field lines. */
export function head(startLine: string, ...lines: readonly string[]): string {
  return `${[startLine, 'Host: a.test', ...lines].join('\r\n')}\r\n\r\n`;
}

export function get(path: string, ...lines: readonly string[]): string {
  return head(`GET ${path} HTTP/1.1`, ...lines);
}

export function post(...lines: readonly string[]): string {
  return head('POST /post HTTP/1.1', ...lines);
}

/** A POST with a chunked body of these bytes. */
export function chunked(body: string, ...lines: readonly string[]): string {
  return post('Transfer-Encoding: chunked', ...lines) + body;
}

/** A complete response with a length. */
export function ok(body = 'ok', ...lines: readonly string[]): string {
  return answer('200 OK', body, ...lines);
}

export function answer(status: string, body: string, ...lines: readonly string[]): string {
  return `${[`HTTP/1.1 ${status}`, `Content-Length: ${body.length}`, ...lines].join('\r\n')}\r\n\r\n${body}`;
}

/** A response of these lines and bytes, without a length. */
export function bare(body: string, ...lines: readonly string[]): string {
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}

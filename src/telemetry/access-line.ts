import type { EndedExchange } from '../proxy/observer.ts';
import type { AccessEntry } from './access-fields.ts';

/**
 * Returns the access log line for an exchange, with its line feed, as latin1.
 * @param share of such exchanges that have a line, from 0 to 1. Default: 1.
 * @param textCharsMax truncates each text of a client, backend or record to this many characters. Default: no limit.
 */
export type AccessLine = (exchange: EndedExchange, epochMs: number, share?: number, textCharsMax?: number) => string;

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/**
 * Hipache's format: client, date of the request's beginning (UTC), request line, status, bytes, referer, user agent,
 * identifier of the virtual host, total and backend time in seconds. Characters that could end a quoted part are
 * escaped as `\xHH`; Hipache 0.4 did not do this. It has no place for the share.
 * @param epochMs when the exchange ended.
 */
export function hipacheLine(
  exchange: EndedExchange,
  epochMs: number,
  _share = 1,
  textCharsMax = Number.POSITIVE_INFINITY,
): string {
  const { endMs } = exchange;
  const totalMs = Math.round(endMs - exchange.startMs);
  const backendMs = exchange.sentMs === 0 ? 0 : Math.round(endMs - exchange.sentMs);
  const referer = quotable(cut(exchange.referer ?? '', textCharsMax));
  const userAgent = quotable(cut(exchange.userAgent ?? '', textCharsMax));
  const id = exchange.frontend === null ? '' : cut(exchange.frontend.logId, textCharsMax);
  return (
    `${exchange.clientAddress} - - [${dateText(epochMs - totalMs)}] "${requestLine(exchange, textCharsMax)}" ` +
    `${loggedStatus(exchange)} ${exchange.bytesSent} "${referer}" "${userAgent}" "${id}" ` +
    `${secondsText(totalMs)} ${secondsText(backendMs)}\n`
  );
}

/** One JSON object, with what Hipache's format has no place for: see `accessFields`. */
export function jsonLine(
  exchange: EndedExchange,
  epochMs: number,
  share = 1,
  textCharsMax = Number.POSITIVE_INFINITY,
): string {
  const { clientPort, endMs, backend, firstAttemptMs, firstByteMs, frontend, referer, sentMs, startMs, userAgent } =
    exchange;
  const entry: AccessEntry = {
    time: new Date(epochMs - (endMs - startMs)).toISOString(),
    client: exchange.clientAddress,
    clientPort: clientPort === 0 ? undefined : clientPort,
    requestId: cut(exchange.requestId, textCharsMax),
    method: cut(exchange.method, textCharsMax),
    host: cut(exchange.host, textCharsMax),
    target: cut(exchange.target, textCharsMax),
    version: exchange.version,
    tls: exchange.tlsVersion ?? undefined,
    status: loggedStatus(exchange),
    bytes: exchange.bytesSent,
    bytesReceived: exchange.isTunnel ? exchange.tunnelBytesReceived : exchange.bodyBytes,
    referer: referer === null ? undefined : cut(referer, textCharsMax),
    userAgent: userAgent === null ? undefined : cut(userAgent, textCharsMax),
    frontend: frontend === null ? undefined : cut(frontend.pattern, textCharsMax),
    id: frontend === null ? undefined : cut(frontend.id, textCharsMax),
    backend: backend === null ? undefined : cut(backend.url, textCharsMax),
    attempts: exchange.attempts,
    totalMs: between(startMs, endMs),
    waitMs: firstAttemptMs === 0 ? undefined : between(startMs, firstAttemptMs),
    connectMs: sentMs === 0 ? undefined : between(firstAttemptMs, sentMs),
    firstByteMs: firstByteMs < 0 ? undefined : firstByteMs,
    backendMs: sentMs === 0 ? undefined : between(sentMs, endMs),
    tunnel: exchange.isTunnel || undefined,
    sample: share < 1 ? share : undefined,
    error: exchange.errorCode ?? undefined,
    detail: exchange.errorDetail === '' ? undefined : cut(exchange.errorDetail, textCharsMax),
  };
  // Bytes from 0x80 are escaped, so that the line is ASCII whatever a client sent.
  return `${escapeNonAscii(JSON.stringify(entry))}\n`;
}

/** In ms, to the microsecond. */
function between(fromMs: number, toMs: number): number {
  return Math.max(0, Math.round((toMs - fromMs) * 1000) / 1000);
}

/** The status sent to the client; 499, as in nginx, if the client left before there was one. */
function loggedStatus(exchange: EndedExchange): number {
  return exchange.status === 0 ? 499 : exchange.status;
}

function requestLine(exchange: EndedExchange, charsMax: number): string {
  const method = cut(exchange.method, charsMax);
  if (method === '') return '-';
  return quotable(`${method} ${cut(exchange.target, charsMax)} HTTP/${exchange.version}`);
}

/** Marks truncated text with dots. */
function cut(text: string, charsMax: number): string {
  return text.length > charsMax ? `${text.slice(0, charsMax)}...` : text;
}

function quotable(text: string): string {
  return text.includes('"') || text.includes('\\') ? text.replace(/["\\]/g, escapeCharacter) : text;
}

function escapeCharacter(character: string): string {
  return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
}

function escapeNonAscii(text: string): string {
  return /[^\x20-\x7e]/.test(text)
    ? text.replace(/[^\x20-\x7e]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
    : text;
}

/** The date of the last second: all requests of that second share the text. */
let dateSecond = -1;
let dateOfSecond = '';

function dateText(epochMs: number): string {
  const second = Math.floor(epochMs / 1000);
  if (second !== dateSecond) {
    dateSecond = second;
    const date = new Date(second * 1000);
    const clock = date.toISOString().slice(11, 19);
    dateOfSecond = `${String(date.getUTCDate()).padStart(2, '0')}/${months[date.getUTCMonth()]}/${date.getUTCFullYear()}:${clock} +0000`;
  }
  return dateOfSecond;
}

const shortTimes = Array.from({ length: 1024 }, (_, ms) => String(ms / 1000));

/** Milliseconds as seconds in the shortest form: `0.012`, `0.5`, `1`. */
function secondsText(ms: number): string {
  return shortTimes[ms] ?? String(ms / 1000);
}

import { isIPv6 } from 'node:net';
import { domainToASCII } from 'node:url';
import { HipacheError } from '../base/errors.ts';

/** Longest host name in characters, without a trailing dot (RFC 1035, section 2.3.4, as text). */
const nameCharsMax = 253;
/** Longest label, in characters. */
const labelCharsMax = 63;
/** How many wildcard patterns are tried for one name: Hipache's depth, kept so that records have the same meaning. */
const wildcardStepsMax = 5;
/** Longest possible Host value: a name, its trailing dot, a colon and five digits. */
const valueCharsMax = nameCharsMax + 7;

const refused = 0;
const plain = 1;
const upper = 2;

/** The kind of each ASCII character in a name: refused, plain (including digits, `-` and `_`), or upper case. */
const kindOf = new Uint8Array(128);
for (const char of 'abcdefghijklmnopqrstuvwxyz0123456789-_') kindOf[char.charCodeAt(0)] = plain;
for (const char of 'ABCDEFGHIJKLMNOPQRSTUVWXYZ') kindOf[char.charCodeAt(0)] = upper;

/**
 * The host named by a request's Host value: lower case, without port and trailing dot; an IPv6 literal in brackets and
 * in canonical form. Null if it is not a host: user information, lists, blanks, control or non-ASCII characters, empty
 * labels, a port outside 1 to 65535 (an empty one is allowed, RFC 3986 section 3.2.3), more than 253 characters.
 * Underscores are allowed because real hosts use them; `*` is not, so that no request can name a wildcard record.
 */
export function normaliseHost(value: string): string | null {
  const length = value.length;
  if (length === 0 || length > valueCharsMax) return null;
  let labelStart = 0;
  let hasUpper = false;
  let end = length;
  for (let i = 0; i < length; i++) {
    const code = value.charCodeAt(i);
    const kind = code < 128 ? kindOf[code] : refused;
    if (kind === plain) continue;
    if (kind === upper) {
      hasUpper = true;
    } else if (code === 0x2e) {
      if (i === labelStart || i - labelStart > labelCharsMax) return null;
      labelStart = i + 1;
    } else if (code === 0x3a) {
      if (!isPort(value, i + 1)) return null;
      end = i;
      break;
    } else if (i === 0 && code === 0x5b) {
      return normaliseLiteral(value);
    } else {
      return null;
    }
  }
  if (labelStart === end) {
    // The name ends with a dot. A lone dot and two dots were refused above; an empty name is refused here.
    if (end === 0) return null;
    end--;
  } else if (end - labelStart > labelCharsMax) {
    return null;
  }
  if (end > nameCharsMax) return null;
  const name = end === length ? value : value.slice(0, end);
  return hasUpper ? name.toLowerCase() : name;
}

/**
 * The name of a host and port, `host:port`: that of PlanB's record for one port. The host alone if `value` has no port.
 * @param host what `normaliseHost` makes of `value`.
 */
export function nameWithPort(host: string, value: string): string {
  const port = portOf(value);
  return port === null ? host : `${host}:${port}`;
}

/** The port of a valid Host value or authority; null if it has none. */
export function portOf(value: string): number | null {
  const colon = value.lastIndexOf(':');
  if (colon === -1 || colon < value.lastIndexOf(']') || colon === value.length - 1) return null;
  return Number(value.slice(colon + 1));
}

/**
 * The patterns tried for a normalised host after the host itself, most specific first, `*` last.
 *
 * A literal in brackets only has `*`. An IPv4 address is treated as a name, as in Hipache 0.4 (`*.0.0.1`): only an
 * operator can create such a record, and the lookup needs no special case.
 */
export function wildcardPatterns(host: string): string[] {
  const patterns: string[] = [];
  if (!host.startsWith('[')) {
    let dot = firstWildcardDot(host);
    while (dot !== -1) {
      patterns.push(`*${host.slice(dot)}`);
      dot = host.indexOf('.', dot + 1);
    }
  }
  patterns.push('*');
  return patterns;
}

/**
 * Parses a host pattern written by an operator: an exact host, `*.domain` or `*`. Returns it in its stored form.
 * @throws HipacheError COMMAND_INVALID with the problem and what is allowed.
 */
export function parsePattern(value: string): string {
  if (value === '*') return value;
  const wildcard = value.startsWith('*.');
  const text = wildcard ? value.slice(2) : value;
  const host = normaliseHost(text);
  if (host === null || hasPort(text)) throw invalidPattern(value, whatIsWrong(text));
  if (!wildcard) return host;
  if (host.startsWith('[')) throw invalidPattern(value, 'an address has no subdomains');
  if (labelCount(host) > wildcardStepsMax) {
    throw invalidPattern(value, `a wildcard never matches past ${wildcardStepsMax} labels after "*."`);
  }
  return `*.${host}`;
}

/**
 * The dot before the longest wildcard suffix: the first one; in a name of more than six labels, the one after the
 * sixth-last label. -1 if there is none.
 */
function firstWildcardDot(host: string): number {
  let dot = host.length;
  for (let step = 0; step < wildcardStepsMax; step++) {
    const before = host.lastIndexOf('.', dot - 1);
    if (before === -1) break;
    dot = before;
  }
  return dot === host.length ? -1 : dot;
}

function isPort(value: string, start: number): boolean {
  const digits = value.length - start;
  if (digits === 0) return true;
  if (digits > 5) return false;
  let port = 0;
  for (let i = start; i < value.length; i++) {
    const digit = value.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return false;
    port = port * 10 + digit;
  }
  return port >= 1 && port <= 65535;
}

/** An IPv6 literal, `[address]` or `[address]:port`. Zone ids are refused: they are meaningless on other machines. */
function normaliseLiteral(value: string): string | null {
  const close = value.indexOf(']');
  if (close === -1) return null;
  const address = value.slice(1, close);
  if (!/^[0-9a-fA-F:.]+$/.test(address) || !isIPv6(address)) return null;
  if (close + 1 < value.length && (value[close + 1] !== ':' || !isPort(value, close + 2))) return null;
  return new URL(`http://[${address}]`).hostname;
}

function hasPort(text: string): boolean {
  return text.startsWith('[') ? !text.endsWith(']') : text.includes(':');
}

function labelCount(host: string): number {
  return host.split('.').length;
}

function invalidPattern(value: string, problem: string): HipacheError {
  const shown = JSON.stringify(value.length > 100 ? `${value.slice(0, 100)}…` : value);
  return new HipacheError(
    'COMMAND_INVALID',
    `host pattern ${shown}: ${problem}; allowed are a host (app.example.com), *.domain (*.example.com) and *`,
  );
}

function whatIsWrong(text: string): string {
  if (text === '') return 'it is empty';
  if (/^[a-z]+:\/\//i.test(text)) return 'it is a URL; omit the scheme and the path';
  if (text.includes('/')) return 'it has a path; only the host is routed';
  if (text.includes('*')) return '"*" can only be the whole first label';
  if (text.includes('@')) return '"@" is not part of a host';
  if (isIPv6(text)) return `an IPv6 address needs brackets: [${text}]`;
  if (text.includes(':')) return 'it has a port; a route serves every port that the proxy listens on';
  if (text.includes('..') || text.startsWith('.')) return 'it has an empty label';
  if (/[^ -~]/.test(text) && !/\p{Cc}/u.test(text)) {
    const ascii = domainToASCII(text);
    return ascii === '' ? 'it has a character that no host can have' : `write it in its ASCII form, ${ascii}`;
  }
  if (text.length > nameCharsMax) return `it is longer than ${nameCharsMax} characters`;
  if (text.split('.').some((label) => label.length > labelCharsMax)) {
    return `a label is longer than ${labelCharsMax} characters`;
  }
  return 'it has a character that no host can have (letters, digits, "-", "_" and "." are allowed)';
}

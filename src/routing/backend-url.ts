import { HipacheError } from '../base/errors.ts';
import { shownUrl } from '../base/shown-url.ts';
import { normaliseHost, portOf } from './host.ts';

/** Highest weight of a backend. The lowest is 1, the default. */
export const weightMax = 1000;
/** Longest backend URL, in characters. */
const urlCharsMax = 2048;
/** Longest path of a Unix socket, in bytes: `sun_path` of Linux has 108 with the final NUL (unix(7)). */
const socketPathBytesMax = 107;

/** The usable parts of a backend URL. */
export interface BackendTarget {
  /** As written, without credentials and the part from `#`: the identity of the backend. */
  readonly url: string;
  /**
   * Lower case. An IPv6 address has no brackets, as `net.connect` requires. Of a Unix socket, its absolute path as it is
   * written: `isSocketPath`.
   */
  readonly hostname: string;
  /** 1 to 65535; by default 80, or 443 with TLS. 0 for a Unix socket. */
  readonly port: number;
  /** Whether to connect with TLS: `https://` and `h2://`. */
  readonly secure: boolean;
  /** Whether to speak HTTP/2, without asking: `h2://` and `h2c://`. */
  readonly isHttp2: boolean;
  /** The name for SNI, which the certificate must match: by default the host. */
  readonly serverName: string;
  /** 1 to 1000. */
  readonly weight: number;
  /** Until when it drains, in epoch ms; null for a backend that gets requests. */
  readonly drainUntilMs: number | null;
  /** Whether it gets requests only while no other backend can be used. */
  readonly isBackup: boolean;
  /** The share of the clients, in percent, that its record gives to backends such as this; null: it is no canary. */
  readonly canaryShare: number | null;
  /** The valid settings as written after the URL: `#weight=2&servername=a.test`; empty for none. */
  readonly fragment: string;
}

export type BackendUrlReading =
  /** `ignored` says which part of the URL has no effect; null if all of it has. */
  | { readonly target: BackendTarget; readonly ignored: string | null }
  | { readonly target: null; readonly problem: string };

/** The parts of an entry: scheme, authority, path with query, and settings. A URL of any scheme. */
const urlForm = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)([^#]*)(#.*)?$/is;
/**
 * The same of an entry as PlanB serves it, `host:port`. The port is required, since a lone word can be anything, and
 * `http:80` lacks its host.
 */
const hostPortForm = /^(?!https?:)()([^\s/?#@]+:[0-9]{1,5})()(#.*)?$/is;
/** The schemes of backends on a Unix socket, whose path is percent-encoded in place of the host. */
const socketScheme = 'http+unix';
const http2SocketScheme = 'h2c+unix';
/** All that begins as if it were one. */
const unixScheme = /^(?:[a-z0-9]+\+)?unix:/i;
const schemes: ReadonlySet<string> = new Set(['http', 'https', 'h2', 'h2c', socketScheme, http2SocketScheme]);
const http2Schemes: ReadonlySet<string> = new Set(['h2', 'h2c', http2SocketScheme]);
const socketForm = `a Unix socket is written as ${socketScheme}://%2Frun%2Fapp.sock`;

/**
 * Reads an element of a record in the store, whatever it is. Never throws: a value that is unusable gives a `problem`.
 * Parts that Hipache 0.4 ignored (path, query, credentials, an unknown scheme) and a bad weight (1 applies
 * instead) are `ignored`. So is the lack of a scheme, with which PlanB serves.
 */
export function readBackendUrl(value: unknown): BackendUrlReading {
  if (typeof value !== 'string') return { target: null, problem: `not a string but ${describe(value)}` };
  if (value.length > urlCharsMax) return { target: null, problem: `longer than ${urlCharsMax} characters` };
  const match = urlForm.exec(value) ?? hostPortForm.exec(value);
  if (match === null) return { target: null, problem: formProblem(value) };
  const [, scheme = '', authority = '', rest = '', fragment = ''] = match;
  const protocol = scheme.toLowerCase();
  const secure = protocol === 'https' || protocol === 'h2';
  const at = authority.lastIndexOf('@');
  const hostPort = authority.slice(at + 1);
  const host = unixScheme.test(value) ? readSocketPath(protocol, hostPort) : readHostPort(hostPort, rest, secure);
  if ('problem' in host) return { target: null, problem: host.problem };
  const settings = readFragment(fragment, secure);
  const ignored = [
    schemes.has(protocol) ? null : otherScheme(scheme, hostPort),
    at === -1 ? null : 'user and password are ignored',
    rest === '' || rest === '/' ? null : `the path ${quote(shownUrl(rest))} is ignored; the request's own is used`,
    ...settings.ignored,
  ].filter((text) => text !== null);
  const { hostname, port } = host;
  return {
    target: {
      url: scheme === '' ? hostPort : `${scheme}://${hostPort}${rest}`,
      hostname,
      port,
      weight: settings.weight,
      drainUntilMs: settings.drainUntilMs,
      isBackup: settings.isBackup,
      canaryShare: settings.canaryShare,
      secure,
      isHttp2: http2Schemes.has(protocol),
      serverName: settings.serverName ?? hostname,
      fragment: settings.valid.size === 0 ? '' : `#${[...settings.valid.values()].join('&')}`,
    },
    ignored: ignored.length === 0 ? null : ignored.join('; '),
  };
}

/**
 * Parses a backend URL written by an operator, `http[s]://host[:port][/][#weight=1..1000][&backup][&canary=PERCENT]
 * [&servername=NAME]`, with HTTP/2 `h2c://` and `h2://` for `http://` and `https://`, or `http+unix://PATH[#weight=1..1000][&backup][&canary=PERCENT]` with the percent-encoded path of a Unix socket. Stricter than
 * `readBackendUrl`: parts without an effect are refused.
 * @throws HipacheError COMMAND_INVALID with the problem.
 */
export function parseBackendUrl(value: string): BackendTarget {
  const reading = readBackendUrl(value);
  if (reading.target !== null && reading.ignored === null) return reading.target;
  const problem = reading.target === null ? reading.problem : strictly(reading.ignored);
  throw new HipacheError(
    'COMMAND_INVALID',
    `backend ${quote(shownUrl(value))}: ${problem}; ` +
      `write a backend as http://host:port or https://host:port, with #weight=2 to #weight=${weightMax} for a ` +
      'larger share, with #backup if it serves only in place of the others, with #canary=5 if it serves 5 % of the ' +
      'clients, and for https with #servername=NAME if its certificate has another name; or a Unix socket as ' +
      `${socketScheme}://%2Frun%2Fapp.sock; or with HTTP/2 as h2c://host:port, h2://host:port with TLS, or ${http2SocketScheme}://`,
  );
}

/** The identity of a backend URL in a record: itself without `#weight=`. An invalid URL is its own identity. */
export function backendIdentity(value: string): string {
  const reading = readBackendUrl(value);
  return reading.target === null ? value : reading.target.url;
}

/** A backend URL with another share as a canary, and its other settings. @param share null: it is no canary. */
export function withCanaryShare(value: string, share: number | null): string {
  const { target } = readBackendUrl(value);
  if (target === null) return value;
  const settings = target.fragment.slice(1).split('&');
  const kept = settings.filter((setting) => setting !== '' && !setting.startsWith('canary='));
  if (share !== null) kept.push(`canary=${share}`);
  return kept.length === 0 ? target.url : `${target.url}#${kept.join('&')}`;
}

/** Formats an external value for a message: quoted, control characters escaped, truncated to 100 characters. */
export function quote(value: string): string {
  return JSON.stringify(value.length > 100 ? `${value.slice(0, 100)}…` : value);
}

/** The host to connect to, or the reason why there is none. */
type HostReading = Pick<BackendTarget, 'hostname' | 'port'> | { readonly problem: string };

function readHostPort(hostPort: string, rest: string, secure: boolean): HostReading {
  const host = normaliseHost(hostPort);
  if (host === null) {
    // With an `@` in the path, the password has an unescaped slash: a message about the host would show a part of it.
    return { problem: rest.includes('@') ? formProblem('') : hostProblem(hostPort) };
  }
  return {
    hostname: host.startsWith('[') ? host.slice(1, -1) : host,
    port: portOf(hostPort) ?? (secure ? 443 : 80),
  };
}

function readSocketPath(protocol: string, encoded: string): HostReading {
  if ((protocol !== socketScheme && protocol !== http2SocketScheme) || encoded === '') return { problem: socketForm };
  if (encoded.includes(':')) return { problem: `a Unix socket has no port; a colon in its path is written as %3A` };
  const path = decoded(encoded);
  if (path === null) return { problem: `${quote(encoded)} is not percent-encoded UTF-8; ${socketForm}` };
  if (!path.startsWith('/')) return { problem: `${quote(path)} is not an absolute path; ${socketForm}` };
  if (path.includes('\0')) return { problem: 'the path of its Unix socket has a NUL' };
  if (Buffer.byteLength(path) > socketPathBytesMax) {
    return { problem: `the path of its Unix socket is longer than ${socketPathBytesMax} bytes` };
  }
  return { hostname: path, port: 0 };
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

function formProblem(value: string): string {
  return unixScheme.test(value) ? socketForm : 'not a URL of the form http://host:port';
}

interface Settings {
  weight: number;
  serverName: string | null;
  drainUntilMs: number | null;
  isBackup: boolean;
  canaryShare: number | null;
  /** The valid settings by name, as they are written: the last of several counts. */
  readonly valid: Map<string, string>;
  readonly ignored: string[];
}

/** Parses `#name=value&name`. Unknown settings and invalid values are listed as ignored. */
function readFragment(fragment: string, secure: boolean): Settings {
  const settings: Settings = {
    weight: 1,
    serverName: null,
    drainUntilMs: null,
    isBackup: false,
    canaryShare: null,
    valid: new Map(),
    ignored: [],
  };
  if (fragment === '' || fragment === '#') return settings;
  for (const part of fragment.slice(1).split('&')) {
    if (part === 'canary') {
      settings.ignored.push(`"#canary" lacks its share: it is not #canary=0.1 to #canary=99.9; ${noCanary}`);
      continue;
    }
    if (part === 'backup') {
      settings.isBackup = true;
      settings.valid.set(part, part);
      continue;
    }
    const [, name = '', value = ''] = /^([a-z]+)=(.*)$/s.exec(part) ?? [];
    if (name === 'weight') {
      const weight = /^[1-9][0-9]{0,3}$/.test(value) ? Number(value) : 0;
      if (weight >= 1 && weight <= weightMax) {
        settings.weight = weight;
        settings.valid.set(name, `weight=${weight}`);
      } else settings.ignored.push(`${quote(`#${part}`)} is not #weight=1 to #weight=${weightMax}; the weight is 1`);
    } else if (name === 'drain') {
      if (/^[1-9][0-9]{0,14}$/.test(value)) {
        settings.drainUntilMs = Number(value);
        settings.valid.set(name, part);
      } else settings.ignored.push(`${quote(`#${part}`)} is not a time in epoch ms; the backend does not drain`);
    } else if (name === 'canary') {
      const share = readShare(value);
      if (share !== null) {
        settings.canaryShare = share;
        settings.valid.set(name, `canary=${share}`);
      } else settings.ignored.push(`${quote(`#${part}`)} is not #canary=0.1 to #canary=99.9; ${noCanary}`);
    } else if (name === 'servername' && secure) {
      const host = value.includes(':') ? null : normaliseHost(value);
      if (host !== null) {
        settings.serverName = host;
        settings.valid.set(name, `servername=${host}`);
      } else settings.ignored.push(`${quote(`#${part}`)} is not a host name; the one of the URL is used`);
    } else if (name === 'backup') {
      settings.ignored.push(`${quote(`#${part}`)} is not #backup; the backend is none`);
    } else if (name === 'servername') {
      settings.ignored.push('#servername is ignored without https:// or h2://');
    } else {
      settings.ignored.push(`${quote(`#${part}`)} is not #weight=1 to #weight=${weightMax}; the weight is 1`);
    }
  }
  return settings;
}

const noCanary = 'the backend is no canary';

/** A share in percent, 0.1 to 99.9 with at most one decimal; null for other text. */
export function readShare(text: string): number | null {
  const share = /^(?:0|[1-9][0-9]?)(?:\.[0-9])?$/.test(text) ? Number(text) : 0;
  return share === 0 ? null : share;
}

function otherScheme(scheme: string, hostPort: string): string {
  const given = scheme === '' ? 'the lack of a scheme' : `the scheme ${quote(scheme)}`;
  return `${given} is ignored, and the backend read as http://${hostPort}`;
}

function hostProblem(hostPort: string): string {
  if (hostPort === '') return 'it has no host';
  const port = /^(\[.*\]|[^:[\]]*):(.*)$/.exec(hostPort);
  if (port !== null && normaliseHost(port[1] ?? '') !== null)
    return `the port ${quote(port[2] ?? '')} is not 1 to 65535`;
  if (hostPort.split(':').length > 2 && !hostPort.startsWith('['))
    return 'an IPv6 address needs brackets: http://[::1]:80';
  return `${quote(hostPort)} is not a host`;
}

/** Words the problems that the store's reader forgives as a refusal. */
function strictly(ignored: string | null): string {
  return (ignored ?? '').replaceAll(/ (?:is|are) ignored/g, ' would be ignored');
}

function describe(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

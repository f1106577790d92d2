import { HipacheError } from '../base/errors.ts';
import { shownUrl } from '../base/shown-url.ts';

/** The parts of a driver URL of Hipache's form; null where the URL leaves one out. */
export interface DriverUrl {
  /** Lower case, without the `s` that means TLS. */
  readonly protocol: string;
  readonly tls: boolean;
  readonly user: string | null;
  readonly password: string | null;
  /** An IPv6 address without its brackets. */
  readonly host: string | null;
  /** 1 to 65535. */
  readonly port: number | null;
  /** The part after the first `/`. */
  readonly database: string | null;
  /** The beginning of every key; may be empty. */
  readonly prefix: string;
}

/** Protocols with a plain and a TLS form. At the end of any other, an `s` is part of the name. */
const withTls = new Set(['redis', 'redis+sentinel', 'redis+cluster', 'etcd', 'memcached', 'zookeeper']);

/**
 * Splits a driver URL of any form at its first colon.
 * @throws HipacheError COMMAND_INVALID.
 */
export function splitDriverUrl(value: string): { readonly scheme: string; readonly rest: string } {
  const match = /^([a-z][a-z0-9+.-]*):(.*)$/is.exec(value);
  if (match === null) throw invalidDriverUrl(value, 'it has no protocol');
  const [, scheme = '', rest = ''] = match;
  return { scheme: scheme.toLowerCase(), rest };
}

/**
 * Parses `protocol://user:password@host:port/database#prefix`, in which every part but the protocol is optional.
 * @throws HipacheError COMMAND_INVALID, with what is wrong and without the password.
 */
export function parseDriverUrl(value: string): DriverUrl {
  const { scheme, rest } = splitDriverUrl(value);
  const [, name = '', variant = ''] = /^([^+]*)(.*)$/.exec(scheme) ?? [];
  const plain = name.slice(0, -1) + variant;
  const tls = name.endsWith('s') && withTls.has(plain);
  return { ...parseRest(value, rest), protocol: tls ? plain : scheme, tls };
}

export interface HostAndPort {
  /** An IPv6 address has no brackets. */
  readonly host: string;
  readonly port: number;
}

/**
 * Parses the same form with several hosts, `host:port,host:port`. A host that is left out is this machine.
 * @returns the URL with the first of the hosts, and all of them.
 * @throws HipacheError COMMAND_INVALID, with what is wrong and without the password.
 */
export function parseDriverUrlOfMany(
  value: string,
  portDefault: number,
): { readonly url: DriverUrl; readonly hosts: readonly HostAndPort[] } {
  const [, head = '', list = '', tail = ''] = /^([a-z+]+:\/\/(?:[^/@]*@)?)([^/#]*)(.*)$/is.exec(value) ?? [];
  const [first = '', ...more] = list.split(',');
  const url = parseDriverUrl(list === '' ? value : head + first + tail);
  const others = more.map((host) => {
    if (!/^(?:\[[^\]/]*\]|[^\s:/@[\]]+)(?::[0-9]*)?$/.test(host))
      throw invalidDriverUrl(value, `${quoted(host)} is no host`);
    return parseDriverUrl(`any://${host}`);
  });
  const hosts = [url, ...others].map(({ host, port }) => ({ host: host ?? '127.0.0.1', port: port ?? portDefault }));
  return { url, hosts };
}

function quoted(text: string): string {
  return JSON.stringify(shownUrl(text));
}

export function invalidDriverUrl(
  value: string,
  problem: string,
  example = 'sqlite:/var/lib/hipache/routes.db',
): HipacheError {
  return new HipacheError(
    'COMMAND_INVALID',
    `driver ${JSON.stringify(shownUrl(value))}: ${problem}; for example ${example}`,
  );
}

const nothing = { user: null, password: null, host: null, port: null, database: null, prefix: '' };

function parseRest(value: string, rest: string): Omit<DriverUrl, 'protocol' | 'tls'> {
  const hash = rest.indexOf('#');
  const before = hash === -1 ? rest : rest.slice(0, hash);
  const prefix = hash === -1 ? '' : decode(value, rest.slice(hash + 1));
  if (before === '') return { ...nothing, prefix };
  const match = /^\/\/(?:([^/@]*)@)?(\[[^\]/]*\]|[^:/@[\]]*)(?::([0-9]*))?(?:\/(.*))?$/s.exec(before);
  if (match === null) throw invalidDriverUrl(value, 'it is not protocol://user:password@host:port/database#prefix');
  const [, credentials, host = '', port, database] = match;
  if (/[\s,]/.test(host)) throw invalidDriverUrl(value, `${quoted(host)} is no host`);
  const colon = credentials?.indexOf(':') ?? -1;
  const user = colon === -1 ? credentials : credentials?.slice(0, colon);
  return {
    user: user ? decode(value, user) : null,
    password: colon === -1 ? null : decode(value, credentials?.slice(colon + 1) ?? ''),
    host: host === '' ? null : host.replace(/^\[|\]$/g, '').toLowerCase(),
    port: port ? parsePort(value, port) : null,
    database: database ? decode(value, database) : null,
    prefix,
  };
}

function parsePort(value: string, text: string): number {
  const port = Number(text);
  if (port < 1 || port > 65535) throw invalidDriverUrl(value, `the port ${text} is not 1 to 65535`);
  return port;
}

function decode(value: string, text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalidDriverUrl(value, 'a "%" in it is not followed by two hexadecimal digits (write %25 for "%")');
  }
}

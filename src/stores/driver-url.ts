import { resolve } from 'node:path';
import { HipacheError } from '../base/errors.ts';
import { defaultStorePath } from '../base/store-path.ts';

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
  /** What follows the first `/`. */
  readonly database: string | null;
  /** Put before every key. Empty where there is none. */
  readonly prefix: string;
  /** The file of `sqlite:`, absolute; null for every other protocol. */
  readonly path: string | null;
}

/** The defaults of a driver URL depend on these; those of the process where left out. */
export interface DriverUrlContext {
  /** What a relative path is relative to. */
  readonly directory?: string;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly userId?: number;
}

/** Protocols with a plain and a TLS form; of others a last `s` is part of the name. */
const withTls = new Set(['redis', 'etcd', 'memcached', 'zookeeper']);

/**
 * Parses `protocol://user:password@host:port/database#prefix`, every part but the protocol optional, or `sqlite:PATH`.
 * @throws HipacheError COMMAND_INVALID, with what is wrong and without the password.
 */
export function parseDriverUrl(value: string, context: DriverUrlContext = {}): DriverUrl {
  const match = /^([a-z][a-z0-9+.-]*):(.*)$/is.exec(value);
  if (match === null) throw invalid(value, 'it has no protocol');
  const [, name = '', rest = ''] = match;
  const protocol = name.toLowerCase();
  if (protocol === 'sqlite') return { ...nothing, protocol, path: sqlitePath(value, rest, context) };
  const plain = protocol.endsWith('s') && withTls.has(protocol.slice(0, -1)) ? protocol.slice(0, -1) : protocol;
  return { ...nothing, ...parseRest(value, rest), protocol: plain, tls: plain !== protocol };
}

/** A driver URL as it may be shown: the password replaced by `***`. */
export function censorDriverUrl(value: string): string {
  return value.replace(/^([a-z][a-z0-9+.-]*:\/\/[^/?#]*?):[^/?#]*@/i, '$1:***@');
}

const nothing: DriverUrl = {
  protocol: '',
  tls: false,
  user: null,
  password: null,
  host: null,
  port: null,
  database: null,
  prefix: '',
  path: null,
};

function sqlitePath(value: string, rest: string, context: DriverUrlContext): string {
  if (rest === '' || rest === '//')
    return defaultStorePath(context.environment ?? process.env, (context.userId ?? process.getuid?.()) === 0);
  if (rest === ':memory:' || rest.includes('\0'))
    throw invalid(value, 'the store is a file that every process can open');
  if (rest.startsWith('//') && !rest.startsWith('///')) throw invalid(value, 'a file has no host; write sqlite:PATH');
  return resolve(context.directory ?? process.cwd(), rest.startsWith('///') ? rest.slice(2) : rest);
}

function parseRest(value: string, rest: string): Partial<DriverUrl> {
  const hash = rest.indexOf('#');
  const before = hash === -1 ? rest : rest.slice(0, hash);
  const prefix = hash === -1 ? '' : decode(value, rest.slice(hash + 1));
  if (before === '') return { prefix };
  const match = /^\/\/(?:([^/@]*)@)?(\[[^\]/]*\]|[^:/@[\]]*)(?::([0-9]*))?(?:\/(.*))?$/s.exec(before);
  if (match === null) throw invalid(value, 'it is not protocol://user:password@host:port/database#prefix');
  const [, credentials, host = '', port, database] = match;
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
  if (port < 1 || port > 65535) throw invalid(value, `the port ${text} is not 1 to 65535`);
  return port;
}

function decode(value: string, text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid(value, 'a "%" in it is not followed by two hexadecimal digits (write %25 for "%")');
  }
}

function invalid(value: string, problem: string): HipacheError {
  return new HipacheError(
    'COMMAND_INVALID',
    `driver ${JSON.stringify(censorDriverUrl(value))}: ${problem}; for example sqlite:/var/lib/hipache/routes.db`,
  );
}

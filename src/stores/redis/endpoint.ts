import { HipacheError } from '../../base/errors.ts';
import { hostPort } from '../../base/host-port.ts';
import { shownUrl } from '../../base/shown-url.ts';
import {
  type DriverUrl,
  type HostAndPort,
  invalidDriverUrl,
  parseDriverUrl,
  parseDriverUrlOfMany,
} from '../driver-url.ts';

/** The address of a Redis server, and the account to use there. */
export interface RedisEndpoint {
  /** A name or an address; null if `path`, `sentinels` or `cluster` is set. */
  readonly host: string | null;
  readonly port: number;
  /** A Unix socket; null for TCP. */
  readonly path: string | null;
  readonly tls: boolean;
  /** A user of Redis's access control list; null for the default user. */
  readonly user: string | null;
  readonly password: string | null;
  /** 0 and up. */
  readonly database: number;
  /** The sentinels that know which server is the primary; null if `host` or `path` is the server. */
  readonly sentinels: SentinelGroup | null;
  /** Nodes of the cluster that keeps the records; null if there is none. */
  readonly cluster: readonly HostAndPort[] | null;
  /** The name of the server in messages. */
  readonly name: string;
}

/** The sentinels of one group of Redis servers. */
export interface SentinelGroup {
  readonly addresses: readonly HostAndPort[];
  /** The name of the group, as in `sentinel monitor`. */
  readonly name: string;
  /** The account at the sentinels themselves; null for none. */
  readonly user: string | null;
  readonly password: string | null;
}

/** The servers of one store. */
export interface RedisEndpoints {
  /** The server to read records from. It also reports changes. */
  readonly reads: RedisEndpoint;
  /** The server to write to: the primary of `reads`, or the same object. */
  readonly writes: RedisEndpoint;
  /** Stands before every key. */
  readonly prefix: string;
}

const portDefault = 6379;
const sentinelPortDefault = 26_379;

/**
 * Parses one URL, or a pair of URLs: the replica to read, the primary to write.
 * @throws HipacheError COMMAND_INVALID, STORE_UNSUPPORTED.
 */
export function parseRedisUrls(values: readonly string[]): RedisEndpoints {
  const [first, last, ...more] = values;
  if (first === undefined || more.length > 0) {
    throw new HipacheError(
      'STORE_UNSUPPORTED',
      `driver: ${values.length} URLs of redis; one is supported, or a pair: the replica to read, the primary to write`,
    );
  }
  if (isSentinelUrl(first)) {
    if (last !== undefined) throw invalid(last, 'sentinels are one URL: they name the server to read and to write');
    return parseSentinelUrl(first);
  }
  if (isClusterUrl(first)) {
    if (last !== undefined) throw invalid(last, 'a cluster is one URL, with several of its nodes');
    return parseClusterUrl(first);
  }
  if (last !== undefined && (isSentinelUrl(last) || isClusterUrl(last))) {
    throw invalid(last, 'the second URL of a pair names one server, the primary');
  }
  const reads = parseDriverUrl(first);
  const writes = last === undefined ? reads : parseDriverUrl(last);
  if (writes.prefix !== '' && writes.prefix !== reads.prefix) {
    throw invalid(last ?? first, 'its prefix differs from that of the other URL; both name the same keys');
  }
  const from = toEndpoint(first, reads);
  return { reads: from, writes: last === undefined ? from : toEndpoint(last, writes), prefix: reads.prefix };
}

function toEndpoint(value: string, url: DriverUrl): RedisEndpoint {
  // A lone word before the "@" is a password, as in the original.
  const [user, password] = url.password === null ? [null, url.user] : [url.user, url.password];
  const shared = { tls: url.tls, user, password, sentinels: null, cluster: null };
  if (url.protocol !== 'redis+unix') {
    const { host, port } = { host: url.host ?? '127.0.0.1', port: url.port ?? portDefault };
    return {
      ...shared,
      host,
      port,
      path: null,
      database: parseDatabase(value, url.database),
      name: `${url.tls ? 'rediss' : 'redis'}://${hostPort(host, port)}`,
    };
  }
  const [path = '', query] = (url.database ?? '').split('?');
  if (url.host !== null || url.port !== null || path === '') {
    throw invalid(value, 'a socket is written with its whole path: redis+unix:///run/redis.sock?db=0');
  }
  if (query !== undefined && !/^db=[0-9]+$/.test(query)) throw invalid(value, 'after "?" only db=NUMBER is known');
  return {
    ...shared,
    host: null,
    port: portDefault,
    path: `/${path}`,
    database: parseDatabase(value, query?.slice('db='.length) ?? null),
    name: shownUrl(`redis+unix:///${path}`),
  };
}

function isSentinelUrl(value: string): boolean {
  return /^rediss?\+sentinel:/i.test(value);
}

/** `redis+sentinel://user:password@sentinel,sentinel/group/database?user=…&password=…#prefix`. */
function parseSentinelUrl(value: string): RedisEndpoints {
  const { url, hosts } = parseDriverUrlOfMany(value, sentinelPortDefault);
  const [path = '', query = ''] = (url.database ?? '').split(/\?(.*)/s);
  const [name = '', database, ...rest] = path.split('/');
  if (name === '' || rest.length > 0) {
    throw invalidDriverUrl(value, 'the name of the group follows the sentinels', sentinelExample);
  }
  const account = new URLSearchParams(query);
  const unknown = [...account.keys()].find((key) => key !== 'user' && key !== 'password');
  if (unknown !== undefined) {
    throw invalidDriverUrl(value, 'after "?" only user= and password= of the sentinels are known', sentinelExample);
  }
  const shared = sharedParts(url, hosts, 'sentinel');
  const endpoint = {
    ...shared,
    database: parseDatabase(value, database ?? null),
    sentinels: { addresses: hosts, name, user: account.get('user'), password: account.get('password') },
    cluster: null,
    name: `${shared.name}/${name}`,
  };
  return { reads: endpoint, writes: endpoint, prefix: url.prefix };
}

const sentinelExample = 'redis+sentinel://10.0.0.1,10.0.0.2,10.0.0.3/mymaster';

function isClusterUrl(value: string): boolean {
  return /^rediss?\+cluster:/i.test(value);
}

/** `redis+cluster://user:password@node,node#prefix`. */
function parseClusterUrl(value: string): RedisEndpoints {
  const { url, hosts } = parseDriverUrlOfMany(value, portDefault);
  if (url.database !== null && url.database !== '0') {
    throw invalidDriverUrl(value, 'a cluster has only the database 0', clusterExample);
  }
  const endpoint = { ...sharedParts(url, hosts, 'cluster'), database: 0, sentinels: null, cluster: hosts };
  return { reads: endpoint, writes: endpoint, prefix: url.prefix };
}

const clusterExample = 'redis+cluster://10.0.0.1,10.0.0.2,10.0.0.3';

function parseDatabase(value: string, text: string | null): number {
  if (text === null) return 0;
  if (!/^[0-9]{1,9}$/.test(text)) throw invalid(value, 'its part after the "/" is not the number of a database');
  return Number(text);
}

function invalid(value: string, problem: string): HipacheError {
  return invalidDriverUrl(value, problem, 'redis://127.0.0.1:6379/0');
}

type UrlOfMany = ReturnType<typeof parseDriverUrlOfMany>;

/** The parts that URLs of several servers have in common: the one to use is found later. */
function sharedParts(url: UrlOfMany['url'], hosts: UrlOfMany['hosts'], kind: 'sentinel' | 'cluster') {
  const [user, password] = url.password === null ? [null, url.user] : [url.user, url.password];
  const listed = hosts.map(({ host, port }) => hostPort(host, port)).join(',');
  const name = `${url.tls ? 'rediss' : 'redis'}+${kind}://${listed}`;
  return { host: null, port: portDefault, path: null, tls: url.tls, user, password, name };
}

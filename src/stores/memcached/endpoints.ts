import { hostPort } from '../../base/host-port.ts';
import { type HostAndPort, invalidDriverUrl, parseDriverUrlOfMany } from '../driver-url.ts';

/** The servers of one pool. Each key is on one of them. */
export interface MemcachedPool {
  readonly servers: readonly HostAndPort[];
  readonly tls: boolean;
  /** Stands before every key. */
  readonly prefix: string;
  /** The name of the store in messages. */
  readonly name: string;
}

const portDefault = 11_211;
const example = 'memcached://10.0.0.1:11211';

/**
 * Parses the URLs of a pool, each with one or several servers, separated by commas. The prefix is that of the first; the
 * others may repeat it.
 * @throws HipacheError COMMAND_INVALID.
 */
export function parseMemcachedUrls(values: readonly string[]): MemcachedPool {
  const urls = values.map((value) => {
    const { url, hosts } = parseDriverUrlOfMany(value, portDefault);
    if (url.user !== null || url.password !== null) {
      throw invalidDriverUrl(value, 'memcached has no accounts in its text protocol', example);
    }
    if (url.database !== null) throw invalidDriverUrl(value, 'its path means nothing to memcached', example);
    return { ...url, hosts };
  });
  const [first] = urls;
  if (first === undefined) throw invalidDriverUrl('', 'no URL', example);
  const other = urls.findIndex(({ prefix, tls }) => (prefix !== '' && prefix !== first.prefix) || tls !== first.tls);
  if (other !== -1) {
    throw invalidDriverUrl(values[other] ?? '', 'it differs from the first URL in more than host and port', example);
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the protocol separates keys by them.
  if (/[\x00-\x20\x7f]/.test(first.prefix)) {
    throw invalidDriverUrl(values[0] ?? '', 'a key of memcached has no blanks and control characters', example);
  }
  const servers = urls.flatMap(({ hosts }) => hosts);
  const names = servers.map(({ host, port }) => hostPort(host, port)).join(',');
  return {
    servers,
    tls: first.tls,
    prefix: first.prefix,
    name: `${first.tls ? 'memcacheds' : 'memcached'}://${names}`,
  };
}

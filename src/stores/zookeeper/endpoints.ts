import { hostPort } from '../../base/host-port.ts';
import { type HostAndPort, invalidDriverUrl, parseDriverUrlOfMany } from '../driver-url.ts';

/** The servers of an ensemble, and how to use them. */
export interface ZooKeeperEnsemble {
  readonly servers: readonly HostAndPort[];
  readonly tls: boolean;
  /** `user:password` for the scheme digest; null for none. */
  readonly account: string | null;
  /** The path of the node above all others; empty for the root. */
  readonly root: string;
  /** The name of the store in messages. */
  readonly name: string;
}

const portDefault = 2181;
const example = 'zookeeper://10.0.0.1:2181,10.0.0.2:2181/hipache';

/**
 * Parses one URL with one or several servers, separated by commas, or several URLs with one each. The chroot is the path;
 * the prefix, as in Hipache 0.4, is a node below it. Both are those of the first URL.
 * @throws HipacheError COMMAND_INVALID.
 */
export function parseZooKeeperUrls(values: readonly string[]): ZooKeeperEnsemble {
  const [first, ...others] = values.map(parseOne);
  if (first === undefined) throw invalidDriverUrl('', 'no URL', example);
  for (const [i, other] of others.entries()) {
    const differs =
      (other.account !== null && other.account !== first.account) ||
      (other.root !== '' && other.root !== first.root) ||
      other.tls !== first.tls;
    if (differs) {
      throw invalidDriverUrl(values[i + 1] ?? '', 'it differs from the first URL in more than the servers', example);
    }
  }
  const servers = [first, ...others].flatMap((one) => one.servers);
  const names = servers.map(({ host, port }) => hostPort(host, port)).join(',');
  const name = `${first.tls ? 'zookeepers' : 'zookeeper'}://${names}${first.root}`;
  return { servers, tls: first.tls, account: first.account, root: first.root, name };
}

function parseOne(value: string): Omit<ZooKeeperEnsemble, 'name'> {
  const { url, hosts: servers } = parseDriverUrlOfMany(value, portDefault);
  if ((url.user === null) !== (url.password === null)) {
    throw invalidDriverUrl(value, 'a user and a password belong together', 'zookeeper://user:password@10.0.0.1');
  }
  const root = [url.database ?? '', url.prefix]
    .flatMap((path) => path.split('/'))
    .filter((name) => name !== '')
    .map((name) => `/${name}`)
    .join('');
  return {
    servers,
    tls: url.tls,
    account: url.user === null ? null : `${url.user}:${url.password}`,
    root,
  };
}

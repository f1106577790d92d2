import { hostPort } from '../../base/host-port.ts';
import { type DriverUrl, type HostAndPort, invalidDriverUrl, parseDriverUrlOfMany } from '../driver-url.ts';

/** The members of an etcd cluster, and how to use them. */
export interface EtcdEndpoints {
  /** The members that are known. */
  readonly hosts: readonly HostAndPort[];
  readonly tls: boolean;
  /** Files in PEM; null where none is named. */
  readonly files: { readonly ca: string | null; readonly cert: string | null; readonly key: string | null };
  /** Null for a cluster without authentication. */
  readonly account: { readonly user: string; readonly password: string } | null;
  /** Stands before every key; begins with a slash. */
  readonly prefix: string;
  /** The name of the store in messages. */
  readonly name: string;
}

const portDefault = 2379;
const example = 'etcd://10.0.0.1:2379';
const fileOptions = ['ca', 'cert', 'key'] as const;

/**
 * Parses one URL with one or several members, separated by commas, or several URLs. Account, prefix and files are those
 * of the first; the others may repeat them.
 * @throws HipacheError COMMAND_INVALID.
 */
export function parseEtcdUrls(values: readonly string[]): EtcdEndpoints {
  const urls = values.map((value) => ({ value, ...parseDriverUrlOfMany(value, portDefault) }));
  const [first] = urls;
  if (first === undefined) throw invalidDriverUrl('', 'no URL', example);
  for (const { value, url } of urls.slice(1)) checkSame(value, url, first.url);
  const { tls, user, password, prefix } = first.url;
  if ((user === null) !== (password === null)) {
    throw invalidDriverUrl(first.value, 'a user and a password belong together', 'etcd://user:password@10.0.0.1:2379');
  }
  const files = readFiles(first.value, first.url);
  const hosts = urls.flatMap((one) => one.hosts);
  const addresses = hosts.map(({ host, port }) => hostPort(host, port)).join(',');
  return {
    hosts,
    tls,
    files,
    account: user === null || password === null ? null : { user, password },
    prefix: `/${prefix.replace(/^\/+/, '')}`,
    name: `${tls ? 'etcds' : 'etcd'}://${addresses}`,
  };
}

function checkSame(value: string, url: DriverUrl, first: DriverUrl): void {
  const differs = (['user', 'password', 'database', 'prefix'] as const).some(
    (part) => url[part] !== null && url[part] !== '' && url[part] !== first[part],
  );
  if (differs || url.tls !== first.tls) {
    throw invalidDriverUrl(value, 'it differs from the first URL in more than host and port', example);
  }
}

function readFiles(value: string, { database, tls }: DriverUrl): EtcdEndpoints['files'] {
  const [path, query = ''] = (database ?? '').split(/\?(.*)/s);
  if (path !== '') throw invalidDriverUrl(value, `the path ${JSON.stringify(path)} means nothing to etcd`, example);
  const files: { ca: string | null; cert: string | null; key: string | null } = { ca: null, cert: null, key: null };
  for (const [name, file] of new URLSearchParams(query)) {
    const option = fileOptions.find((known) => known === name);
    if (option === undefined || file === '') {
      throw invalidDriverUrl(value, `after "?" only ca=FILE, cert=FILE and key=FILE are known`, example);
    }
    files[option] = file;
  }
  if (query !== '' && !tls) throw invalidDriverUrl(value, 'files of TLS need etcds://', 'etcds://10.0.0.1:2379');
  if ((files.cert === null) !== (files.key === null)) {
    throw invalidDriverUrl(value, 'cert=FILE and key=FILE belong together', example);
  }
  return files;
}

import { defaultStorePath } from '../base/store-path.ts';
import type { FileConfig } from './schema.ts';

/** One address of plain HTTP. */
interface HttpBind {
  /** IPv4, IPv6 without brackets, or a host name. */
  readonly address: string;
  /** 0 to 65535; 0 is any free port. */
  readonly port: number;
  /** Whether every connection has to start with a PROXY protocol header. */
  readonly proxyProtocol: boolean;
}

type ServerFile = FileConfig['server'];

/** The resolved configuration: every key has its value. Names and units are those of the file. */
export interface Config {
  readonly server: Readonly<Omit<ServerFile, 'lruCache' | OptionalInFile>> &
    Readonly<Required<{ [Name in OptionalInFile]: NonNullable<ServerFile[Name]> }>>;
  readonly http: { readonly bind: readonly HttpBind[] };
  /** Never with an address in this version. */
  readonly https: Readonly<FileConfig['https']>;
  /** One URL, or several; never empty. */
  readonly driver: readonly [string, ...string[]];
  readonly user: string;
  /** null: the group of the user. */
  readonly group: string | null;
  readonly limits: Readonly<FileConfig['limits']>;
}

type OptionalInFile = 'accessLog' | 'accessLogFormat' | 'logLevel' | 'logFormat' | 'httpKeepAlive';

/** What the defaults depend on besides the file. */
export interface Surroundings {
  /** Whether there is a configuration file: without one the defaults are those of a newcomer's first run. */
  readonly hasFile: boolean;
  /** Paths such as `server.workers` that stand in the file. */
  isGiven(path: string): boolean;
  readonly env: NodeJS.ProcessEnv;
  readonly isRoot: boolean;
}

/** What was noticed on the way: `notes` to know, `warnings` to act on, `problems` to refuse. */
export interface Remarks {
  readonly notes: string[];
  readonly warnings: string[];
  readonly problems: string[];
}

/** Fills in the defaults that depend on other keys or on the machine, and says what this version does not do. */
export function resolveConfig(file: FileConfig, around: Surroundings, remarks: Remarks): Config {
  remarkOnServer(file, around, remarks);
  refuseTls(file, remarks);
  const { lruCache, ...server } = file.server;
  return {
    server: {
      ...server,
      logLevel: server.logLevel ?? (server.debug ? 'debug' : 'info'),
      logFormat: server.logFormat ?? 'text',
      accessLog: server.accessLog ?? (around.hasFile ? '/var/log/hipache/access.log' : '-'),
      accessLogFormat: server.accessLogFormat ?? 'hipache',
      httpKeepAlive: server.httpKeepAlive ?? !around.hasFile,
    },
    http: { bind: httpBinds(file.http, around, remarks) },
    https: file.https,
    driver: drivers(file, around, remarks),
    user: file.user,
    group: file.group,
    limits: { ...file.limits, cacheEntriesMax: cacheEntries(file, lruCache, around, remarks) },
  };
}

function httpBinds(http: FileConfig['http'], around: Surroundings, remarks: Remarks): readonly HttpBind[] {
  const port = http.port ?? (around.hasFile ? 80 : 8080);
  const given = http.bind ?? '127.0.0.1';
  const entries = typeof given === 'string' ? [given] : given;
  const binds = entries.map((entry): HttpBind => {
    if (typeof entry === 'string') return { address: entry, port, proxyProtocol: false };
    return { address: entry.address, port: entry.port ?? port, proxyProtocol: entry.proxyProtocol };
  });
  if (binds.length === 0) {
    remarks.problems.push('http.bind: found an empty array, allowed at least one address: nothing would be served');
  }
  const seen = new Set<string>();
  for (const { address, port } of binds) {
    const name = `${address} port ${port}`;
    if (port !== 0 && seen.has(name)) remarks.problems.push(`http.bind: found ${name} twice, allowed once`);
    seen.add(name);
  }
  return binds;
}

function drivers(file: FileConfig, around: Surroundings, remarks: Remarks): readonly [string, ...string[]] {
  if (typeof file.driver === 'string') return [file.driver];
  const [first, ...more] = file.driver ?? [];
  if (first !== undefined) return [first, ...more];
  const driver = `sqlite:${defaultStorePath(around.env, around.isRoot)}`;
  if (around.hasFile) {
    remarks.notes.push(`no driver is given: the embedded store is used, ${driver} (Hipache 0.4 meant redis:)`);
  }
  return [driver];
}

function cacheEntries(
  file: FileConfig,
  lruCache: FileConfig['server']['lruCache'],
  around: Surroundings,
  remarks: Remarks,
): number {
  if (lruCache === undefined || lruCache === null || lruCache === false) return file.limits.cacheEntriesMax;
  if (lruCache.ttl !== undefined) {
    remarks.notes.push('server.lruCache.ttl: not needed, the route cache is told of every change');
  }
  if (lruCache.size === undefined) return file.limits.cacheEntriesMax;
  if (around.isGiven('limits.cacheEntriesMax')) {
    remarks.notes.push('server.lruCache.size: not used, limits.cacheEntriesMax is given as well');
    return file.limits.cacheEntriesMax;
  }
  remarks.notes.push(`server.lruCache.size: used as limits.cacheEntriesMax, ${lruCache.size}`);
  return lruCache.size;
}

function remarkOnServer(file: FileConfig, around: Surroundings, remarks: Remarks): void {
  if (around.isGiven('server.workers') && file.server.workers !== 1) {
    remarks.warnings.push(
      `server.workers: found ${file.server.workers}; this version serves from one process, whatever the number`,
    );
  }
}

function refuseTls(file: FileConfig, remarks: Remarks): void {
  const { bind } = file.https;
  if (bind !== undefined && bind.length > 0) {
    remarks.problems.push('https.bind: found addresses, allowed none: TLS is not in this version');
  } else if (file.https.key !== undefined || file.https.cert !== undefined) {
    remarks.notes.push('https.key, https.cert: not used, as no address is listened on with TLS');
  }
}

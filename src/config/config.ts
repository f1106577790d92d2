import { join } from 'node:path';
import { parseLogTarget } from '../base/log-target.ts';
import { defaultStorePath, runtimeDirectory, stateDirectory } from '../base/store-path.ts';
import { parseAdminBind } from './admin.ts';
import { clientProtocols } from './listen.ts';
import type { FileConfig } from './schema.ts';

/** By its name in ALPN (RFC 7301). */
type ClientProtocol = (typeof clientProtocols)[number];

/** One listen address. */
interface Bind {
  /** IPv4, IPv6 without brackets, or a host name. */
  readonly address: string;
  /** 0 to 65535; 0 stands for any free port. */
  readonly port: number;
  /** Whether every connection must start with a PROXY protocol header. */
  readonly proxyProtocol: boolean;
  /** Whether a client that has only closed its sending side still gets its response. */
  readonly halfClose: boolean;
}

/** One address without TLS. */
interface HttpBind extends Bind {
  /** Whether clients may speak HTTP/2, by prior knowledge. */
  readonly h2c: boolean;
}

/** One TLS address: its own values, else those of the section, else null. */
interface HttpsBind extends Bind {
  /** The protocols for ALPN, the preferred one first. */
  readonly alpn: readonly ClientProtocol[];
  /** Paths; both or neither. */
  readonly key: string | null;
  readonly cert: string | null;
  readonly ca: readonly string[];
  readonly passphrase: string | null;
  readonly ciphers: string | null;
  readonly honorCipherOrder: boolean | null;
  readonly secureProtocol: string | null;
  readonly secureOptions: number | string | null;
}

/** How records are written for DNS-01: by a program, or by a web service. */
interface AcmeDnsConfig {
  readonly hook:
    | { readonly kind: 'command'; readonly path: string }
    | { readonly kind: 'url'; readonly url: string; readonly username: string; readonly password: string };
  readonly waitSeconds: number;
  /** In lower case, without dots around it; null: aliases are not followed. */
  readonly aliasZone: string | null;
}

/** The orders of certificates. */
interface AcmeConfig {
  /** URLs; none: nothing is ordered. */
  readonly directory: readonly string[];
  /** Whether certificates are ordered for hosts that do not say. */
  readonly hosts: 'listed' | 'all';
  /** E-mail addresses. */
  readonly contact: readonly string[];
  /** A path; null for the public authorities. */
  readonly ca: string | null;
  readonly profile: string | null;
  readonly preferredChain: string | null;
  readonly externalAccount: { readonly keyId: string; readonly hmacKey: string } | null;
  readonly passphrase: string | null;
  /** Those that are possible, the preferred one first. */
  readonly challenges: FileConfig['acme']['challenges'];
  readonly dns: AcmeDnsConfig | null;
  /** Whether the proof of a name is looked for before an order. */
  readonly check: boolean;
  /** Where authorities ask. */
  readonly httpPort: number;
  readonly tlsPort: number;
  /** Empty: those of the machine. */
  readonly nameServers: readonly string[];
  readonly ordersPerHourMax: number;
  readonly ordersPerDomainMax: number;
  readonly ordersPerAddressMax: number;
  readonly keepRemovedDays: number;
}

/** The admin API. */
interface AdminConfig {
  /** As `parseAdminBind` reads it; null: it is off. */
  readonly bind: string | null;
  readonly tokens: readonly AdminToken[];
  readonly hosts: readonly string[];
  /** Paths; both or neither. */
  readonly cert: string | null;
  readonly key: string | null;
  readonly clientCa: string | null;
}

interface AdminToken {
  readonly name: string;
  /** `sha256:` and 64 hexadecimal digits. */
  readonly hash: string;
  readonly access: 'read' | 'write';
}

type ServerFile = FileConfig['server'];

/** The resolved configuration: every key has a value. Names and units are those of the file. */
export interface Config {
  readonly server: Readonly<Omit<ServerFile, 'lruCache' | 'snapshotDirectory' | OptionalInFile>> &
    Readonly<Required<{ [Name in OptionalInFile]: NonNullable<ServerFile[Name]> }>> & {
      readonly snapshotDirectory: string | null;
    };
  readonly http: { readonly bind: readonly HttpBind[] };
  readonly https: {
    readonly bind: readonly HttpsBind[];
    /** A directory; null for none. */
    readonly certificates: string | null;
    readonly storeCertificates: boolean;
    /** Whether the instances on one store open each other's session tickets. */
    readonly sharedTicketKeys: boolean;
  };
  readonly acme: AcmeConfig;
  readonly backendTls: {
    readonly verify: boolean;
    /** Paths; empty for the public authorities. */
    readonly ca: readonly string[];
    /** Protocols that `https://` backends may choose from: `h2` and `http/1.1`. */
    readonly alpn: readonly string[];
  };
  /** One URL or several; never empty. */
  readonly driver: readonly [string, ...string[]];
  readonly user: string;
  /** null: the user's group. */
  readonly group: string | null;
  readonly dns: Readonly<FileConfig['dns']>;
  readonly limits: Readonly<FileConfig['limits'] & { responseIdleSeconds: number }>;
  readonly metrics: Readonly<FileConfig['metrics']>;
  readonly admin: AdminConfig;
  readonly compat: Readonly<FileConfig['compat']>;
  /** Lifetime of what was read from a store that does not notify of changes. */
  readonly storeTtlSeconds: number;
}

const storeTtlSecondsDefault = 1;
const responseIdleSecondsDefault = 300;

type OptionalInFile =
  | 'accessLog'
  | 'accessLogFacility'
  | 'accessLogFormat'
  | 'logLevel'
  | 'logFormat'
  | 'httpKeepAlive'
  | 'deadBackendRule'
  | 'mappedAddresses';

/** Circumstances besides the file on which defaults depend. */
export interface Environment {
  /** Whether there is a configuration file. Without one, the defaults suit a first run. */
  readonly hasFile: boolean;
  /** Whether there is a file, and all its keys are of Hipache 0.3 or 0.4. */
  readonly isLegacy: boolean;
  /** Whether the file contains a path such as `limits.cacheEntriesMax`. */
  isGiven(path: string): boolean;
  readonly env: NodeJS.ProcessEnv;
  readonly isRoot: boolean;
}

/** Findings: `notes` for information, `warnings` that need attention, `problems` that make the file invalid. */
export interface Diagnostics {
  readonly notes: string[];
  readonly warnings: string[];
  readonly problems: string[];
}

/**
 * Sets the defaults that depend on other keys or on the machine, and reports whatever this version handles differently.
 */
export function resolveConfig(file: FileConfig, environment: Environment, diagnostics: Diagnostics): Config {
  const http = httpBinds(file.http, environment);
  const https = httpsBinds(file.https, diagnostics);
  checkBinds(http, https, file.metrics, diagnostics);
  checkTtls(file.dns, diagnostics);
  const { lruCache, ...server } = file.server;
  return {
    server: {
      ...server,
      logLevel: server.logLevel ?? (server.debug ? 'debug' : 'info'),
      logFormat: server.logFormat ?? 'text',
      accessLog: accessLog(server.accessLog, environment),
      accessLogFacility: server.accessLogFacility ?? 'local0',
      accessLogFormat: server.accessLogFormat ?? 'hipache',
      httpKeepAlive: server.httpKeepAlive ?? !environment.hasFile,
      mappedAddresses: server.mappedAddresses ?? environment.isLegacy,
      snapshotDirectory:
        server.snapshotDirectory === undefined
          ? stateDirectory(environment.env, environment.isRoot)
          : server.snapshotDirectory,
      deadBackendRule: server.deadBackendRule ?? (environment.hasFile ? 'first' : 'share'),
    },
    http: { bind: http },
    https: {
      bind: https,
      certificates: file.https.certificates,
      storeCertificates: file.https.storeCertificates,
      sharedTicketKeys: file.https.sharedTicketKeys,
    },
    acme: acmeOf(file, http.length, https.length, diagnostics),
    backendTls: {
      verify: file.backendTls.verify,
      ca: listOf(file.backendTls.ca),
      alpn: file.backendTls.alpn ?? ['http/1.1'],
    },
    driver: drivers(file, environment, diagnostics),
    user: file.user,
    group: file.group,
    dns: file.dns,
    limits: {
      ...file.limits,
      responseIdleSeconds: file.limits.responseIdleSeconds ?? responseIdle(server.tcpTimeout),
      cacheEntriesMax: cacheEntries(file, lruCache, environment, diagnostics),
    },
    metrics: file.metrics,
    admin: adminOf(file.admin, environment, diagnostics),
    compat: file.compat,
    storeTtlSeconds: storeTtl(lruCache),
  };
}

function accessLog(path: string | undefined, { hasFile }: Environment): string {
  if (path === undefined) return hasFile ? '/var/log/hipache/access.log' : '-';
  return parseLogTarget(path)?.kind === 'stdout' ? '-' : path;
}

const defaultTraits = { proxyProtocol: false, halfClose: false };

function httpBinds(http: FileConfig['http'], environment: Environment): readonly HttpBind[] {
  const port = http.port ?? (environment.hasFile ? 80 : 8080);
  return listOf(http.bind ?? '127.0.0.1').map((entry): HttpBind => {
    if (typeof entry === 'string') return { address: entry, port, ...defaultTraits, h2c: false };
    return { ...entry, port: entry.port ?? port };
  });
}

function httpsBinds(https: FileConfig['https'], diagnostics: Diagnostics): readonly HttpsBind[] {
  const binds = listOf(https.bind).map((entry): HttpsBind => {
    const own = typeof entry === 'string' ? { address: entry, ...defaultTraits } : entry;
    const all = { ...https, ...own, port: ('port' in own ? own.port : undefined) ?? https.port };
    return {
      address: own.address,
      port: all.port,
      proxyProtocol: own.proxyProtocol,
      halfClose: own.halfClose,
      alpn: all.alpn ?? clientProtocols,
      key: all.key ?? null,
      cert: all.cert ?? null,
      ca: listOf(all.ca),
      passphrase: all.passphrase ?? null,
      ciphers: all.ciphers ?? null,
      honorCipherOrder: all.honorCipherOrder ?? null,
      secureProtocol: all.secureProtocol ?? null,
      secureOptions: all.secureOptions ?? null,
    };
  });
  for (const [index, { key, cert }] of binds.entries()) {
    if ((key === null) !== (cert === null)) {
      const [given, missing] = key === null ? ['cert', 'key'] : ['key', 'cert'];
      diagnostics.problems.push(
        `https.bind[${index}].${missing}: found nothing, allowed a path, because ${given} is given`,
      );
    } else if (key === null && https.certificates === null && !https.storeCertificates) {
      diagnostics.problems.push(
        `https.bind[${index}].key: found nothing, allowed a path: neither https.certificates nor the store provides certificates`,
      );
    } else if (key === null) {
      diagnostics.notes.push(
        `https.bind[${index}]: has no key and cert; handshakes for names without a certificate fail`,
      );
    }
  }
  if (binds.length === 0 && (https.key !== undefined || https.cert !== undefined)) {
    diagnostics.notes.push('https.key, https.cert: not used, because no address has TLS');
  }
  return binds;
}

/** @param plainBinds addresses without TLS. @param tlsBinds those with it. */
function acmeOf(
  { acme, dns, https }: FileConfig,
  plainBinds: number,
  tlsBinds: number,
  diagnostics: Diagnostics,
): AcmeConfig {
  const directory = listOf(acme.directory);
  if (directory.length > 0 && !https.storeCertificates) {
    diagnostics.problems.push(
      'acme.directory: found a URL, but https.storeCertificates is false; allowed is one of the two: ordered certificates are in the store',
    );
  }
  if (directory.length > 0 && tlsBinds === 0) {
    diagnostics.warnings.push('acme.directory: certificates are ordered, but no address has TLS: set https.bind');
  }
  const hook = acmeDnsOf(acme.dns, diagnostics);
  const isPossible: Readonly<Record<AcmeConfig['challenges'][number], boolean>> = {
    'http-01': plainBinds > 0,
    'tls-alpn-01': tlsBinds > 0,
    'dns-01': hook !== null,
    'dns-persist-01': true,
  };
  const challenges = [...new Set(acme.challenges)].filter((kind) => isPossible[kind]);
  if (directory.length > 0 && challenges.length === 0) {
    diagnostics.warnings.push(
      'acme.challenges: no name can be proved: http-01 needs an address in http.bind, tls-alpn-01 one in https.bind, dns-01 needs acme.dns',
    );
  }
  return {
    directory,
    hosts: acme.hosts ?? 'listed',
    contact: listOf(acme.contact),
    ca: acme.ca ?? null,
    profile: acme.profile ?? null,
    preferredChain: acme.preferredChain ?? null,
    externalAccount: acme.externalAccount ?? null,
    passphrase: acme.passphrase ?? null,
    challenges,
    dns: hook,
    check: acme.check,
    httpPort: acme.httpPort,
    tlsPort: acme.tlsPort,
    nameServers: acme.nameServers.length > 0 ? acme.nameServers : dns.servers,
    ordersPerHourMax: acme.ordersPerHourMax,
    ordersPerDomainMax: acme.ordersPerDomainMax,
    ordersPerAddressMax: acme.ordersPerAddressMax,
    keepRemovedDays: acme.keepRemovedDays,
  };
}

function acmeDnsOf(dns: FileConfig['acme']['dns'], diagnostics: Diagnostics): AcmeDnsConfig | null {
  if (dns === undefined) return null;
  const { command, password = '', url, username = '', waitSeconds } = dns;
  const aliasZone = dns.aliasZone?.toLowerCase().replace(/^\.|\.$/g, '') ?? null;
  if ((command === undefined) === (url === undefined)) {
    const found = command === undefined ? 'neither "command" nor "url"' : 'both "command" and "url"';
    diagnostics.problems.push(`acme.dns: found ${found}; allowed is one of the two`);
    return null;
  }
  if (command !== undefined) return { hook: { kind: 'command', path: command }, waitSeconds, aliasZone };
  return { hook: { kind: 'url', url: url ?? '', username, password }, waitSeconds, aliasZone };
}

function adminOf(admin: FileConfig['admin'], environment: Environment, diagnostics: Diagnostics): AdminConfig {
  const { cert, clientCa, hosts, key, tokens } = admin;
  const { env, isLegacy, isRoot } = environment;
  const directory = isLegacy ? null : runtimeDirectory(env, isRoot);
  const byDefault = directory === null ? null : `unix:${join(directory, 'admin.sock')}`;
  const bind = admin.bind === undefined ? byDefault : admin.bind;
  if (parseAdminBind(bind)?.kind === 'tcp' && tokens.length === 0 && clientCa === null) {
    diagnostics.problems.push(
      'admin.bind: found an address, allowed a socket: without admin.tokens or admin.clientCa, everybody who reaches it could change everything',
    );
  }
  if ((cert === null) !== (key === null)) {
    diagnostics.problems.push(
      `admin.${cert === null ? 'cert' : 'key'}: found nothing, allowed a path: both or neither`,
    );
  }
  if (clientCa !== null && cert === null) {
    diagnostics.problems.push('admin.clientCa: found a path, allowed only with admin.cert and admin.key');
  }
  const names = tokens.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined) diagnostics.problems.push(`admin.tokens: found the name ${twice} twice, allowed once`);
  return { bind, tokens, hosts: hosts.map((name) => name.toLowerCase()), cert, key, clientCa };
}

type BindPlace = Pick<Bind, 'address' | 'port'>;

function named(section: string, places: readonly BindPlace[]): { section: string; bind: BindPlace }[] {
  return places.map((bind) => ({ section, bind }));
}

/** No two listeners may have the same address and port: the kernel would distribute connections over both. */
function checkBinds(
  http: readonly HttpBind[],
  https: readonly Bind[],
  metrics: FileConfig['metrics'],
  diagnostics: Diagnostics,
): void {
  if (http.length + https.length === 0) {
    diagnostics.problems.push('http.bind: found an empty array, allowed at least one address: nothing would be served');
  }
  const ofMetrics = metrics.port === null ? [] : [{ address: metrics.bind, port: metrics.port }];
  const seen = new Set<string>();
  for (const { section, bind } of [...named('http', http), ...named('https', https), ...named('metrics', ofMetrics)]) {
    const name = `${bind.address} port ${bind.port}`;
    if (bind.port !== 0 && seen.has(name))
      diagnostics.problems.push(`${section}.bind: found ${name} twice, allowed once`);
    seen.add(name);
  }
}

function checkTtls({ ttlSecondsMin, ttlSecondsMax }: FileConfig['dns'], diagnostics: Diagnostics): void {
  if (ttlSecondsMax >= ttlSecondsMin) return;
  diagnostics.problems.push(
    `dns.ttlSecondsMax: found ${ttlSecondsMax}, allowed dns.ttlSecondsMin, which is ${ttlSecondsMin}, or more`,
  );
}

/** Turns a value that can be given alone or in an array into an array. */
function listOf<Item>(value: Item | readonly Item[] | undefined): readonly Item[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? (value as readonly Item[]) : [value as Item];
}

function drivers(file: FileConfig, environment: Environment, diagnostics: Diagnostics): readonly [string, ...string[]] {
  if (typeof file.driver === 'string') return [file.driver];
  const [first, ...more] = file.driver ?? [];
  if (first !== undefined) return [first, ...more];
  const driver = `sqlite:${defaultStorePath(environment.env, environment.isRoot)}`;
  if (environment.isLegacy) {
    // An operator who moves from Hipache 0.4 would serve from an empty store, without a single route.
    diagnostics.warnings.push(
      `driver: not given; the embedded store, "${driver}", is used, where Hipache 0.4 used Redis; ` +
        'set driver to "redis:" for the routes in Redis, or to the URL of the embedded store',
    );
  } else if (environment.hasFile) {
    diagnostics.notes.push(`no driver is given; using the embedded store, ${driver} (Hipache 0.4 meant redis:)`);
  }
  return [driver];
}

/** An operator who has raised the time-out of the original did so for such responses too. */
function responseIdle(tcpTimeout: number): number {
  return tcpTimeout === 0 ? 0 : Math.max(responseIdleSecondsDefault, tcpTimeout);
}

function storeTtl(lruCache: FileConfig['server']['lruCache']): number {
  const { ttl = 0 } = lruCache || {};
  return ttl > 0 ? ttl : storeTtlSecondsDefault;
}

function cacheEntries(
  file: FileConfig,
  lruCache: FileConfig['server']['lruCache'],
  environment: Environment,
  diagnostics: Diagnostics,
): number {
  if (lruCache === undefined || lruCache === null || lruCache === false) return file.limits.cacheEntriesMax;
  if (lruCache.ttl !== undefined) {
    diagnostics.notes.push('server.lruCache.ttl: only used if the store does not notify of changes (Redis before 6)');
  }
  if (lruCache.size === undefined) return file.limits.cacheEntriesMax;
  if (environment.isGiven('limits.cacheEntriesMax')) {
    diagnostics.notes.push('server.lruCache.size: not used, limits.cacheEntriesMax is given as well');
    return file.limits.cacheEntriesMax;
  }
  diagnostics.notes.push(`server.lruCache.size: used as limits.cacheEntriesMax, ${lruCache.size}`);
  return lruCache.size;
}

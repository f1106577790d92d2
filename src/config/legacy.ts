import { isPlain, type Plain } from './shape.ts';

/** Every address of the machine, of IPv6 and of IPv4: where 0.3 listened without `server.address`. */
const allAddresses = '::';

/**
 * Moves the keys of Hipache 0.3 to their new names, with a warning for each. If the new key is present as well, it
 * takes precedence. A file of 0.3 without `server.address` listens on all addresses, as it did there.
 */
export function translateLegacyKeys(file: Plain, warnings: string[]): Plain {
  const translated: Plain = { ...file };
  const hasRedis = redisKeys.some((name) => Object.hasOwn(file, name));
  const server = isPlain(file['server']) ? { ...file['server'] } : hasRedis ? {} : null;
  if (server !== null) {
    translated['server'] = server;
    const isOpen = isOfVersion3(file, server) && isMissing(server['address']);
    if (isOpen) delete server['address'];
    moveListeners(translated, server, isOpen ? allAddresses : '127.0.0.1', warnings);
    if (isOpen) openHttp(translated, warnings);
  }
  // In 0.3, the Redis keys were at the top level of the file; some files have them under "server".
  for (const holder of server === null ? [translated] : [translated, server]) {
    moveRedis(translated, holder, holder === server ? 'server.' : '', warnings);
  }
  return translated;
}

/**
 * Whether the file has keys that only 0.3 had, and no section of later versions in their place: 0.4 reads the keys of
 * 0.3 too, but listens on the loopback address if it finds none.
 */
function isOfVersion3(file: Plain, server: Plain): boolean {
  if (isPlain(file['http']) || isPlain(file['https'])) return false;
  const listeners = ['port', 'address', 'https'].some((name) => Object.hasOwn(server, name));
  return listeners || redisKeys.some((name) => Object.hasOwn(file, name) || Object.hasOwn(server, name));
}

function isMissing(value: unknown): boolean {
  return value === undefined || value === null;
}

function openHttp(file: Plain, warnings: string[]): void {
  file['http'] = { ...(isPlain(file['http']) ? file['http'] : {}), bind: allAddresses };
  warnings.push(openWarning('http.bind'));
}

function openWarning(key: string): string {
  return `${key}: not given; "${allAddresses}", all addresses, is used, as in Hipache 0.3; set ${key} to those to listen on`;
}

function moveListeners(file: Plain, server: Plain, addressDefault: string, warnings: string[]): void {
  if (Object.hasOwn(server, 'https')) {
    const old = server['https'];
    // 0.3 listened for https whenever this key was present, on the addresses of http.
    const bind = server['address'] ?? addressDefault;
    move(file, 'https', isPlain(old) ? { bind, ...old } : old, 'server.https', warnings);
    if (addressDefault === allAddresses && isPlain(old) && !Object.hasOwn(old, 'bind'))
      warnings.push(openWarning('https.bind'));
    delete server['https'];
  }
  const http: Plain = isPlain(file['http']) ? { ...file['http'] } : {};
  for (const [oldName, newName] of [
    ['port', 'port'],
    ['address', 'bind'],
  ] as const) {
    if (!Object.hasOwn(server, oldName)) continue;
    move(http, newName, server[oldName], `server.${oldName}`, warnings, 'http.');
    delete server[oldName];
    if (isPlain(file['http']) || file['http'] === undefined || file['http'] === null) file['http'] = http;
  }
}

function move(to: Plain, newName: string, value: unknown, oldPath: string, warnings: string[], newPrefix = ''): void {
  if (Object.hasOwn(to, newName)) {
    warnings.push(`${oldPath}: a key of Hipache 0.3, not used: ${newPrefix}${newName} is given as well`);
    return;
  }
  to[newName] = value;
  warnings.push(`${oldPath}: a key of Hipache 0.3; its name is ${newPrefix}${newName} now`);
}

const redisKeys = [
  'redisHost',
  'redisPort',
  'redisDatabase',
  'redisPassword',
  'redisMasterHost',
  'redisMasterPort',
  'redisMasterDatabase',
  'redisMasterPassword',
] as const;

function moveRedis(file: Plain, holder: Plain, path: string, warnings: string[]): void {
  const given = redisKeys.filter((name) => Object.hasOwn(holder, name));
  if (given.length === 0) return;
  const driver = redisDriver(holder);
  for (const name of given) delete holder[name];
  const names = given.map((name) => `${path}${name}`).join(', ');
  const old = given.length === 1 ? 'a key' : 'keys';
  if (Object.hasOwn(file, 'driver')) {
    warnings.push(`${names}: ${old} of Hipache 0.3, not used: driver is given as well`);
    return;
  }
  file['driver'] = driver;
  warnings.push(
    `${names}: ${old} of Hipache 0.3; the name is driver now, as a URL: redis://:password@host:port/database`,
  );
}

/** One URL, or a pair: a replica to read from and a primary to write to. */
function redisDriver(holder: Plain): string | string[] {
  const reads = redisUrl(holder, 'redis');
  const hasPrimary = redisKeys.some((name) => name.startsWith('redisMaster') && Object.hasOwn(holder, name));
  return hasPrimary ? [reads, redisUrl(holder, 'redisMaster')] : reads;
}

function redisUrl(holder: Plain, prefix: 'redis' | 'redisMaster'): string {
  const host = holder[`${prefix}Host`] ?? '127.0.0.1';
  const port = holder[`${prefix}Port`] ?? 6379;
  const database = holder[`${prefix}Database`] ?? 0;
  const password = holder[`${prefix}Password`];
  const user = password === undefined || password === null ? '' : `:${encodeURIComponent(String(password))}@`;
  return `redis://${user}${host}:${port}/${database}`;
}

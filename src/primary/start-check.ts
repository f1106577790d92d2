import { closeSync, constants, existsSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { Access, accessProblem, type FileUser, nearestDirectory } from '../base/access-problem.ts';
import { ErrorCollector } from '../base/error-collector.ts';
import { HipacheError } from '../base/errors.ts';
import { logFileOf } from '../base/log-target.ts';
import type { Config } from '../config/config.ts';
import type { LoadedConfig } from '../config/load.ts';
import { isUnknownGroupNumber, resolveAccount } from '../processes/privileges.ts';
import type { StoreDescription } from '../stores/driver.ts';
import { checkDriver, describeDriver } from '../stores/open-store.ts';
import { backendTls } from '../tls/backend-tls.ts';
import { TlsKeeper } from '../tls/tls-state.ts';
import { portProblems } from './port-check.ts';

export interface StartCheck {
  readonly warnings: readonly string[];
  /** Collects what the program would refuse to serve with. */
  readonly errors: ErrorCollector;
}

/** Files of the certificate directory that are looked at. */
const filesMax = 1000;

/**
 * Checks what a configuration names outside of itself: the user, certificates and keys, files and directories, the kind
 * of store, and whether its ports are free. Opens no store, and changes nothing.
 */
export async function checkStart({ config, warnings }: LoadedConfig): Promise<StartCheck> {
  const found = [...warnings];
  const errors = new ErrorCollector();
  const account = await errors.take(() => resolveAccount(config.user, config.group));
  if (account !== null && isUnknownGroupNumber(config.group)) {
    found.push(`group: no group has the number ${config.group} on this machine; the program runs with it all the same`);
  }
  await errors.take(() => new TlsKeeper(config.https.bind, found, () => {}));
  await errors.take(() => checkBackendTls(config, account));
  await errors.take(() => checkAcme(config, account));
  const driver = await errors.take(() => describeDriver(config.driver));
  for (const problem of fileProblems(config, driver?.files ?? [], account)) errors.add(problem);
  if (driver !== null) {
    for (const warning of (await errors.take(() => storeWarnings(config, driver, account))) ?? []) found.push(warning);
  }
  found.push(...certificateDirectoryProblems(config, account), ...pidFileProblems(config, account));
  for (const problem of await portProblems(config)) {
    if (problem.isInUse) found.push(`${problem.message}; if that is not this Hipache, it will not start`);
    else errors.add(new HipacheError('LISTEN_FAILED', problem.message));
  }
  return { warnings: found, errors };
}

/**
 * Problems of a store in files that the program only reads.
 * @throws HipacheError why it would not start.
 */
async function storeWarnings(
  { driver }: Config,
  { readFiles = [], optionalFiles = [] }: StoreDescription,
  account: FileUser | null,
): Promise<readonly string[]> {
  for (const file of readFiles.filter((path) => existsSync(path))) {
    const problem = accessProblem(file, Access.READ, account);
    if (problem !== null) throw new HipacheError('CONFIG_INVALID', `driver: ${problem}`);
  }
  const problems = await checkDriver(driver);
  const writer = process.getuid?.() === 0 ? null : account;
  const unwritable = optionalFiles.flatMap((file) =>
    existsSync(file)
      ? (accessProblem(file, Access.READ | Access.WRITE, writer) ?? [])
      : (accessProblem(nearestDirectory(file), Access.WRITE | Access.ENTER, writer) ?? []),
  );
  return [...problems, ...unwritable.slice(0, 1)].map((problem) => `driver: ${problem}`);
}

/**
 * Why certificates in `https.certificates` cannot be used: the directory, or keys in it. Handshakes for their names would
 * fail later.
 * @param account null for the account of this process.
 */
export function certificateDirectoryProblems({ https }: Config, account: FileUser | null): readonly string[] {
  const { certificates } = https;
  if (certificates === null) return [];
  const hint = /letsencrypt/.test(certificates) ? '; docs/tls.md (certbot) says what to change' : '';
  const problem = accessProblem(certificates, Access.READ | Access.ENTER, account);
  if (problem !== null) return [`https.certificates: ${problem}: no certificate in it is served${hint}`];
  const unusable = keyFiles(certificates).flatMap((file) => accessProblem(file, Access.READ, account) ?? []);
  const [first] = unusable;
  if (first === undefined) return [];
  const others = unusable.length > 1 ? ` and ${unusable.length - 1} more` : '';
  return [`https.certificates: ${first}${others}: their names get no certificate${hint}`];
}

function keyFiles(directory: string): readonly string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .slice(0, filesMax)
      .flatMap((entry) => {
        const path = join(directory, entry.name);
        if (entry.isDirectory()) return [join(path, 'privkey.pem'), join(path, 'fullchain.pem')];
        return /\.(pem|crt|key)$/.test(entry.name) ? [path] : [];
      })
      .filter((path) => existsSync(path));
  } catch {
    // Only the account that will serve may list it.
    return [];
  }
}

/** @throws HipacheError CERTIFICATE_INVALID. */
function checkBackendTls({ backendTls: { ca, verify } }: Config, account: FileUser | null): void {
  for (const file of ca) {
    const problem = accessProblem(file, Access.READ, account);
    if (problem !== null) throw new HipacheError('CERTIFICATE_INVALID', `backendTls.ca: ${problem}`);
  }
  backendTls(ca, verify);
}

function checkAcme({ acme: { ca } }: Config, account: FileUser | null): void {
  const problem = ca === null ? null : accessProblem(ca, Access.READ, account);
  if (problem !== null) throw new HipacheError('CERTIFICATE_INVALID', `acme.ca: ${problem}`);
}

/** Why the file that names the primary cannot be written. The program would serve all the same. */
function pidFileProblems({ server: { pidFile } }: Config, account: FileUser | null): readonly string[] {
  if (pidFile === null) return [];
  // Started as root for another user, the program makes the directory and the file.
  if (process.getuid?.() === 0 && account !== null) return [];
  const place = existsSync(pidFile) ? pidFile : dirname(resolve(pidFile));
  const rights = place === pidFile ? Access.WRITE : Access.WRITE | Access.ENTER;
  const problem = accessProblem(place, rights, account) ?? (isDirectory(pidFile) ? `${pidFile} is a directory` : null);
  return problem === null ? [] : [`server.pidFile: ${problem}; "hipache upgrade" would not find the program`];
}

/** Files that the program reads or writes as the account to which it changes. */
function fileProblems({ server }: Config, storeFiles: readonly string[], account: FileUser | null): HipacheError[] {
  const problems: HipacheError[] = [];
  const add = (key: string, problem: string | null): void => {
    if (problem !== null) problems.push(new HipacheError('CONFIG_INVALID', `${key}: ${problem}`));
  };
  if (server.staticDir !== null)
    add('server.staticDir', accessProblem(server.staticDir, Access.READ | Access.ENTER, account));
  // Started as root, the program makes missing directories, and gives the files to the account.
  const writer = process.getuid?.() === 0 ? null : account;
  const logFile = logFileOf(server.accessLog);
  const files = [
    ...storeFiles.map((file) => ['driver', file]),
    ...(logFile === null ? [] : [['server.accessLog', logFile]]),
  ];
  for (const [key, file] of files as [string, string][]) {
    const missing = !existsSync(file);
    add(
      key,
      missing
        ? accessProblem(nearestDirectory(file), Access.WRITE | Access.ENTER, writer)
        : (kindProblem(file, key === 'driver' && file === storeFiles[0]) ??
            accessProblem(file, Access.READ | Access.WRITE, writer)),
    );
  }
  return problems;
}

/** Why a file is of a kind that cannot be written, or that is no store. */
function kindProblem(path: string, isStore: boolean): string | null {
  if (isDirectory(path)) return `${path} is a directory`;
  if (!isStore) return null;
  if (!statSync(path).isFile()) return `${path} is not a regular file`;
  return isDatabase(path) ? null : `${path} is not a SQLite database`;
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** The header of SQLite's file format. An empty file becomes a database, and an unreadable one has its own message. */
function isDatabase(path: string): boolean {
  const header = Buffer.from('SQLite format 3\0');
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const start = Buffer.alloc(header.length);
      return readSync(fd, start) === 0 || start.equals(header);
    } finally {
      closeSync(fd);
    }
  } catch {
    return true;
  }
}

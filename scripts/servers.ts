import { accessSync, constants, existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runHere } from './run.ts';

/** A program that is not ours, and the Debian package that has it. */
interface Server {
  /** Its name; null for a library, and for a program with its version in its name. */
  readonly program: string | null;
  readonly package: string;
}

/** What the tests start or call. */
export const testServers: readonly Server[] = [
  { program: 'apache2', package: 'apache2-bin' },
  { program: 'busybox', package: 'busybox-static' },
  { program: 'certutil', package: 'libnss3-tools' },
  { program: 'chromium', package: 'chromium' },
  { program: 'curl', package: 'curl' },
  { program: 'dnsmasq', package: 'dnsmasq-base' },
  { program: 'docker-registry', package: 'docker-registry' },
  { program: 'etcd', package: 'etcd-server' },
  { program: 'etcdctl', package: 'etcd-client' },
  { program: 'fcgiwrap', package: 'fcgiwrap' },
  { program: 'firefox-esr', package: 'firefox-esr' },
  { program: 'git', package: 'git' },
  { program: 'gunicorn', package: 'gunicorn' },
  { program: 'ip', package: 'iproute2' },
  { program: 'iptables', package: 'iptables' },
  { program: 'javac', package: 'default-jdk-headless' },
  { program: 'h2load', package: 'nghttp2-client' },
  { program: 'logrotate', package: 'logrotate' },
  { program: 'memcached', package: 'memcached' },
  { program: 'nginx', package: 'nginx-light' },
  { program: 'openssl', package: 'openssl' },
  { program: 'pebble', package: 'pebble' },
  { program: 'pebble-challtestsrv', package: 'pebble' },
  { program: 'podman', package: 'podman' },
  { program: 'prometheus', package: 'prometheus' },
  { program: 'promtool', package: 'prometheus' },
  { program: 'puma', package: 'puma' },
  { program: 'rails', package: 'ruby-railties' },
  { program: 'redis-cli', package: 'redis-tools' },
  { program: 'redis-server', package: 'redis-server' },
  { program: 'rsyslogd', package: 'rsyslog' },
  { program: 'runc', package: 'runc' },
  { program: 'script', package: 'bsdutils' },
  { program: 'skopeo', package: 'skopeo' },
  { program: 'systemd-analyze', package: 'systemd' },
  { program: null, package: 'conmon' },
  { program: null, package: 'libspring-web-servlet-java' },
  { program: null, package: 'libtomcat9-java' },
  { program: null, package: 'netavark' },
  { program: null, package: 'php-fpm' },
  { program: null, package: 'python3-django' },
  { program: null, package: 'python3-flask' },
  { program: null, package: 'python3-grpcio' },
  { program: null, package: 'python3-h2' },
  { program: null, package: 'python3-hpack' },
  { program: null, package: 'ruby-actioncable' },
  { program: null, package: 'zookeeper' },
];

/** What the benchmark compares with, and what makes the load. */
export const benchServers: readonly Server[] = [
  { program: 'nginx', package: 'nginx-light' },
  { program: 'haproxy', package: 'haproxy' },
  { program: 'caddy', package: 'caddy' },
  { program: 'wrk', package: 'wrk' },
  { program: 'h2load', package: 'nghttp2-client' },
  { program: 'openssl', package: 'openssl' },
  { program: 'redis-server', package: 'redis-server' },
  { program: 'etcd', package: 'etcd-server' },
  { program: 'java', package: 'default-jre-headless' },
  { program: null, package: 'zookeeper' },
];

/** What the conformance cases compare with. */
export const conformanceServers: readonly Server[] = [
  { program: 'nginx', package: 'nginx-light' },
  { program: 'haproxy', package: 'haproxy' },
];

/** Where Debian has programs for administrators, which is not in everybody's PATH. */
const administratorPaths = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

/**
 * Makes sure that every program is there. As root it installs the missing ones from Debian's packages; else it
 * prints the command that does.
 * @returns whether all are there now.
 */
export async function ensureServers(servers: readonly Server[]): Promise<boolean> {
  const missing = servers.filter(isMissing);
  if (missing.length === 0) return true;
  const programs = missing.map(nameOf).join(', ');
  const packages = [...new Set(missing.map((server) => server.package))];
  const command = `apt-get install --yes --no-install-recommends ${packages.join(' ')}`;
  if (process.getuid?.() !== 0 || findProgram('apt-get') === null) {
    process.stderr.write(`Missing: ${programs}. Install with:\n\n  sudo apt-get update && sudo ${command}\n\n`);
    return false;
  }
  process.stderr.write(`Missing: ${programs}. Installing ${packages.join(' ')}.\n`);
  await install(packages);
  const still = missing.filter(isMissing);
  if (still.length === 0) return true;
  const names = still.map(nameOf).join(', ');
  process.stderr.write(`Still missing: ${names}. This was tried:\n\n  apt-get update && ${command}\n\n`);
  return false;
}

/** This process' environment, with every directory of programs in its PATH. */
export function withAllPrograms(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: programFolders().join(':') };
}

function programFolders(): string[] {
  const given = (process.env['PATH'] ?? '').split(':').filter((folder) => folder !== '');
  return [...given, ...administratorPaths.filter((folder) => !given.includes(folder))];
}

/** The path of a program, null where it is not installed. */
export function findProgram(program: string): string | null {
  return (
    programFolders()
      .map((folder) => join(folder, program))
      .find(isExecutable) ?? null
  );
}

function nameOf(server: Server): string {
  return server.program ?? server.package;
}

/** A library is there if its Debian package is: those of other installations are not for Debian's programs. */
function isMissing(server: Server): boolean {
  if (server.program !== null) return findProgram(server.program) === null;
  return !existsSync(`/var/lib/dpkg/info/${server.package}.list`);
}

async function install(packages: readonly string[]): Promise<void> {
  const env = { ...withAllPrograms(), DEBIAN_FRONTEND: 'noninteractive' };
  const removePolicy = forbidServices();
  try {
    await runHere('apt-get', ['update', '--quiet'], env);
    await runHere('apt-get', ['install', '--yes', '--quiet', '--no-install-recommends', ...packages], env);
  } finally {
    removePolicy();
  }
}

/**
 * Keeps the packages from starting their service, which would take port 80: a policy for invoke-rc.d, where the
 * machine has none of its own. Gives back what takes it away again.
 */
function forbidServices(): () => void {
  const policy = '/usr/sbin/policy-rc.d';
  if (existsSync(policy)) return () => {};
  writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  const remove = () => rmSync(policy, { force: true });
  const stop = () => {
    remove();
    process.exit(1);
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  return () => {
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
    remove();
  };
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { root } from '../scripts/files.ts';
import { findProgram } from '../scripts/servers.ts';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly kernel: string;
  readonly memoryGib: number;
}

export function describeMachine(): Machine {
  const all = cpus();
  return {
    cpu: all[0]?.model ?? 'unknown',
    cores: all.length,
    kernel: release(),
    memoryGib: Math.round(totalmem() / 1024 ** 3),
  };
}

/** The versions of all that takes part. */
export function describeVersions(): Readonly<Record<string, string>> {
  return {
    hipache: packageVersion(join(root, 'package.json')),
    node: process.versions.node,
    nginx: versionOf('nginx', '-v'),
    haproxy: versionOf('haproxy', '-v'),
    caddy: versionOf('caddy', 'version'),
    'fast-proxy': packageVersion(join(root, 'node_modules', 'fast-proxy', 'package.json')),
    wrk: versionOf('wrk', '-v'),
  };
}

export interface Revision {
  readonly revision: string;
  /** Whether the files differ from the revision. */
  readonly changed: boolean;
}

/** The commit of a checkout, and whether the files that matter differ from it. Writes nothing there. */
export function describeRevision(checkout: string): Revision {
  const git = (...args: string[]) =>
    spawnSync('git', ['--no-optional-locks', ...args], { cwd: checkout, encoding: 'utf8' }).stdout?.trim() ?? '';
  return {
    revision: git('rev-parse', '--short=12', 'HEAD'),
    changed: git('status', '--porcelain', '--', 'bin', 'src', 'bench', 'package-lock.json') !== '',
  };
}

function versionOf(program: string, option: string): string {
  const { stdout, stderr } = spawnSync(findProgram(program) ?? program, [option], { encoding: 'utf8' });
  return /\d+\.\d+(\.\d+)?/.exec(`${stdout} ${stderr}`)?.[0] ?? 'unknown';
}

function packageVersion(path: string): string {
  const { version } = JSON.parse(readFileSync(path, 'utf8'));
  return String(version);
}

import { posix } from 'node:path';
import type { SourceFile } from './files.ts';

/** A room of src/: what it may import, and from outside the repository. */
interface Room {
  readonly rooms: readonly string[];
  /** Rooms of which only types may be imported. */
  readonly types?: readonly string[];
  readonly packages?: readonly string[];
  /** No I/O: neither sockets nor files nor processes. */
  readonly pure?: boolean;
}

/** Who may import whom; the composition, src/main.ts and src/main-*.ts, may import every room. */
const rooms: Readonly<Record<string, Room>> = {
  base: { rooms: [], packages: ['pino'] },
  config: { rooms: ['base'], packages: ['zod', 'yaml'] },
  http1: { rooms: ['base'], pure: true },
  routing: { rooms: ['base'], pure: true },
  stores: { rooms: ['base', 'routing'] },
  tls: { rooms: ['base'] },
  sockets: { rooms: ['base', 'http1', 'tls'] },
  proxy: { rooms: ['base', 'http1', 'routing', 'sockets', 'tls'] },
  health: { rooms: ['base', 'http1', 'routing', 'tls'] },
  telemetry: { rooms: ['base'], types: ['proxy'], packages: ['prom-client'] },
  supervisor: { rooms: ['base', 'config'] },
  control: { rooms: ['base', 'config', 'routing', 'stores', 'telemetry', 'tls'], packages: ['commander'] },
};

const impure = [
  'child_process',
  'cluster',
  'dgram',
  'dns',
  'fs',
  'http',
  'http2',
  'https',
  'sqlite',
  'tls',
  'worker_threads',
];

interface Import {
  readonly line: number;
  readonly specifier: string;
  /** Whether it vanishes when types are stripped. */
  readonly typeOnly: boolean;
}

/** Every import of `files` that breaks the table above, one line each. */
export function importProblems(files: readonly SourceFile[]): readonly string[] {
  return files
    .filter(({ path }) => path.startsWith('src/') && !isTest(path))
    .flatMap((file) =>
      importsOf(file.text).flatMap((imported) => {
        const problem = problemOf(file.path, imported);
        return problem === null ? [] : [`${file.path}:${imported.line}: ${problem}`];
      }),
    );
}

function isTest(path: string): boolean {
  return /\.(test|suite)\.ts$/.test(path);
}

function problemOf(path: string, { specifier, typeOnly }: Import): string | null {
  const from = roomOf(path);
  const room = /^main(?:-[a-z]+)*\.ts$/.test(from) ? null : rooms[from];
  if (room === undefined) return `src/${from} is not a room that scripts/imports.ts knows`;
  if (specifier.startsWith('node:')) return nodeProblem(from, room, specifier);
  if (!specifier.startsWith('.')) {
    if (room === null || from === 'stores' || room.packages?.includes(packageOf(specifier))) return null;
    return `${from}/ may not import the package ${packageOf(specifier)}`;
  }
  const target = posix.join(posix.dirname(path), specifier);
  if (!target.startsWith('src/')) return `imports ${target}, which is not in src/`;
  if (isTest(target)) return `imports the test ${target}`;
  const to = roomOf(target);
  if (room === null || to === from || room.rooms.includes(to)) return null;
  if (room.types?.includes(to)) return typeOnly ? null : `${from}/ may import only types of ${to}/ (import type)`;
  return `${from}/ may not import ${to}/`;
}

function nodeProblem(from: string, room: Room | null, specifier: string): string | null {
  const name = specifier.slice('node:'.length).split('/')[0] ?? '';
  if (room?.pure === true && impure.includes(name)) return `${from}/ is pure: it may not import ${specifier}`;
  if (from === 'http1' && name === 'net') return 'http1/ never touches a socket: it may not import node:net';
  return null;
}

function roomOf(path: string): string {
  return path.split('/')[1] ?? '';
}

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

/** Static imports and exports as the formatter leaves them, at the start of a line; dynamic ones anywhere. */
const patterns = [
  /^(?:import|export)\s+(?<type>type\s)?(?:[\w$*\s{},]+?\sfrom\s+)'(?<specifier>[^']+)'/gm,
  /^import\s+'(?<specifier>[^']+)'/gm,
  /\bimport\(\s*'(?<specifier>[^']+)'\s*\)/g,
];

/** Every import of a text in our format, with comments left out. */
export function importsOf(text: string): readonly Import[] {
  const code = text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, (comment) => comment.replace(/[^\n]/g, ' '));
  return patterns.flatMap((pattern) =>
    [...code.matchAll(pattern)].map((match) => ({
      line: code.slice(0, match.index).split('\n').length,
      specifier: match.groups?.['specifier'] ?? '',
      typeOnly: match.groups?.['type'] !== undefined,
    })),
  );
}

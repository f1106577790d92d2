import { posix } from 'node:path';
import type { SourceFile } from './files.ts';

/** A room of src/: what it may import, from the repository and from outside. */
interface Room {
  /** Rooms, or single files of them: `stores/contract.ts`. */
  readonly imports: readonly string[];
  /** Rooms of which only types may be imported. */
  readonly types?: readonly string[];
  readonly packages?: readonly string[];
  /** No I/O: neither sockets nor files nor processes. */
  readonly pure?: boolean;
}

/** Room by room, who may import whom. The folders inside a room (`stores/redis`) are rooms of their own as well. */
const rooms: Readonly<Record<string, Room>> = {
  base: { imports: [], packages: ['pino'] },
  config: { imports: ['base'], packages: ['zod', 'yaml'] },
  dns: { imports: ['base'] },
  http: { imports: ['base'], pure: true },
  http1: { imports: ['base', 'http'], pure: true },
  http2: { imports: ['base', 'http'], pure: true },
  websocket: { imports: ['base', 'http'], pure: true },
  routing: { imports: ['base', 'http'], types: ['policy'], pure: true },
  policy: { imports: ['base', 'http', 'routing'], pure: true },
  limits: { imports: ['base'], pure: true },
  platform: { imports: ['base', 'stores/contract.ts', 'stores/note-name.ts'] },
  passwords: { imports: ['base'], packages: ['bcryptjs'] },
  tls: { imports: ['base'] },
  acme: {
    imports: ['base', 'stores/contract.ts', 'stores/lease.ts', 'stores/note-name.ts', 'tls'],
    packages: ['zod', 'tldts', '@peculiar/asn1-csr', '@peculiar/asn1-schema', '@peculiar/asn1-x509'],
  },
  sockets: { imports: ['base', 'tls'] },
  web: { imports: ['base', 'dns', 'tls'], types: ['policy'] },
  proxy: { imports: ['base', 'dns', 'http', 'http1', 'http2', 'websocket', 'routing', 'policy', 'sockets', 'tls'] },
  stores: { imports: ['base', 'routing'] },
  'stores/redis': { imports: ['base', 'routing', 'stores'], packages: ['@redis/client'] },
  'stores/key-value': { imports: ['base', 'routing', 'stores'] },
  'stores/etcd': {
    imports: ['base', 'routing', 'stores', 'stores/key-value'],
    packages: ['@grpc/grpc-js', '@grpc/proto-loader'],
  },
  'stores/memcached': { imports: ['base', 'routing', 'stores', 'stores/key-value'] },
  'stores/zookeeper': { imports: ['base', 'routing', 'stores', 'stores/key-value'] },
  'stores/sqlite': { imports: ['base', 'routing', 'stores', 'stores/key-value'] },
  'stores/file': {
    imports: ['base', 'routing', 'stores', 'stores/key-value', 'config/json.ts'],
    packages: ['yaml'],
  },
  'route-cache': { imports: ['base', 'routing', 'policy', 'stores/contract.ts'] },
  health: {
    imports: ['base', 'dns', 'http', 'http1', 'policy', 'routing', 'stores/contract.ts', 'stores/failures.ts', 'tls'],
  },
  telemetry: { imports: ['base'], types: ['proxy'], packages: ['prom-client'] },
  processes: { imports: ['base', 'config'] },
  operations: {
    imports: [
      'acme',
      'base',
      'config',
      'dns',
      'health',
      'http',
      'passwords',
      'routing',
      'policy',
      'stores',
      'telemetry',
      'tls',
    ],
    packages: ['zod'],
  },
  docker: { imports: ['base', 'policy', 'routing'], types: ['operations'], packages: ['zod'] },
  cli: {
    imports: ['admin/admin-client.ts', 'base', 'config', 'docker', 'operations', 'telemetry'],
    packages: ['commander'],
  },
  admin: {
    imports: ['base', 'config', 'operations', 'route-cache/store-watch.ts', 'stores', 'telemetry'],
    packages: ['zod', 'hono', '@hono/node-server'],
  },
  primary: {
    imports: [
      'acme',
      'admin/messages.ts',
      'base',
      'config',
      'dns',
      'health',
      'operations',
      'platform',
      'processes',
      'route-cache',
      'stores',
      'telemetry',
      'tls',
    ],
    types: ['proxy'],
  },
  worker: {
    imports: [
      'acme',
      'base',
      'config',
      'dns',
      'health',
      'http',
      'limits',
      'passwords',
      'policy',
      'processes',
      'proxy',
      'route-cache',
      'routing',
      'stores',
      'telemetry',
      'tls',
      'web',
    ],
  },
  'main.ts': { imports: ['cli', 'primary', 'stores'] },
};

/** Rooms that know bytes, but no socket. */
const codecs: readonly string[] = ['http', 'http1', 'http2', 'websocket'];

/** Folders of one room that must not know each other: what they share lies in the room itself. */
const apart: readonly (readonly [room: string, folders: readonly string[]])[] = [
  ['proxy', ['server', 'backend', 'tunnel']],
  ['stores', ['sqlite', 'file', 'redis', 'etcd', 'memcached', 'zookeeper']],
];

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
  const room = rooms[from];
  if (room === undefined) return `src/${from} is not a room that scripts/imports.ts knows`;
  if (specifier.startsWith('node:')) return nodeProblem(from, room, specifier);
  if (!specifier.startsWith('.')) {
    if (room.packages?.includes(packageOf(specifier))) return null;
    return `${from}/ may not import the package ${packageOf(specifier)}`;
  }
  const target = posix.join(posix.dirname(path), specifier);
  if (!target.startsWith('src/')) return `imports ${target}, which is not in src/`;
  if (isTest(target)) return `imports the test ${target}`;
  return directionProblem(path, target, room, typeOnly);
}

function directionProblem(path: string, target: string, room: Room, typeOnly: boolean): string | null {
  const from = roomOf(path);
  const to = roomOf(target);
  const [outerFrom] = from.split('/');
  const [outerTo = ''] = to.split('/');
  const parts = apart.find(([name]) => name === outerFrom && name === outerTo)?.[1] ?? [];
  const [, , folderFrom = ''] = path.split('/');
  const [, , folderTo = ''] = target.split('/');
  if (folderFrom !== folderTo && parts.includes(folderFrom) && parts.includes(folderTo)) {
    return `${outerFrom}/${folderFrom}/ may not import ${outerTo}/${folderTo}/`;
  }
  if (outerTo === outerFrom || room.imports.includes(outerTo)) return null;
  if (room.imports.includes(target.slice('src/'.length))) return null;
  if (room.types?.includes(outerTo)) {
    return typeOnly ? null : `${from}/ may import only types of ${outerTo}/ (import type)`;
  }
  return `${from}/ may not import ${target.slice('src/'.length)}`;
}

function nodeProblem(from: string, room: Room, specifier: string): string | null {
  const name = specifier.slice('node:'.length).split('/')[0] ?? '';
  if (room.pure === true && impure.includes(name)) return `${from}/ is pure: it may not import ${specifier}`;
  if (codecs.includes(from) && name === 'net') return `${from}/ never touches a socket: it may not import node:net`;
  return null;
}

/** The innermost room that a path lies in: `stores/redis` for a driver, `proxy` for what lies below it. */
function roomOf(path: string): string {
  const [, outer = '', inner = ''] = path.split('/');
  return `${outer}/${inner}` in rooms ? `${outer}/${inner}` : outer;
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

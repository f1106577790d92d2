import { type RecordKey, type RecordKind, recordKinds } from '../key-value/client.ts';

const kinds: Readonly<Record<RecordKind, string>> = {
  frontend: 'frontend',
  down: 'down',
  dead: 'dead',
  options: 'options',
  tls: 'tls',
  'hipache:failed': 'hipache/failed',
  'hipache:accepted': 'hipache/accepted',
  'hipache:note': 'hipache/note',
  'hipache:note-due': 'hipache/note-due',
};
const kindOf = new Map(Object.entries(kinds).map(([kind, node]) => [node, kind as RecordKind]));

/** Characters that a node's name must not have, and the one that escapes them. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: ZooKeeper's own list, of PathUtils.
const unusable = /[\x00-\x1f\x7f-\x9f\ufff0-\uffff%/]|[\ud800-\udbff][\udc00-\udfff]|[\ue000-\uf8ff]/g;

/** The paths of the nodes of one store, `<root>/frontend/<pattern>`. */
export class ZooKeeperKeys {
  private readonly root: string;

  /** @param root begins with a slash, or is empty. */
  constructor(root: string) {
    this.root = root;
  }

  of(key: RecordKey): string {
    const { kind, pattern } = split(key);
    return `${this.above(kind)}/${encodeName(pattern)}`;
  }

  /** The node above all records of a kind. */
  above(kind: RecordKind): string {
    return `${this.root}/${kinds[kind]}`;
  }

  /** The node that every write of Hipache's sets: its transaction is the revision of the store. */
  get revision(): string {
    return `${this.root}/hipache/revision`;
  }

  get instances(): string {
    return `${this.root}/hipache/instance`;
  }

  /** The nodes above a path, from the top. */
  parentsOf(path: string): string[] {
    const names = path.split('/').slice(1, -1);
    return names.map((_, i) => `/${names.slice(0, i + 1).join('/')}`);
  }

  /** The kind and the pattern of a path that `of` makes; null for any other. */
  parse(path: string): { readonly kind: RecordKind; readonly pattern: string } | null {
    if (!path.startsWith(`${this.root}/`)) return null;
    const slash = path.lastIndexOf('/');
    const kind = kindOf.get(path.slice(this.root.length + 1, slash));
    return kind === undefined ? null : { kind, pattern: decodeName(path.slice(slash + 1)) };
  }
}

/** The name of the node for a pattern. Names of hosts stay as they are. */
export function encodeName(pattern: string): string {
  const name = pattern.replace(unusable, (character) => encodeURIComponent(character.isWellFormed() ? character : '?'));
  return name === '.' || name === '..' ? name.replaceAll('.', '%2E') : name;
}

export function decodeName(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    // A node that another program made.
    return name;
  }
}

function split(key: RecordKey): { kind: RecordKind; pattern: string } {
  const kind = recordKinds.find((known) => key.startsWith(`${known}:`)) ?? 'frontend';
  return { kind, pattern: key.slice(kind.length + 1) };
}

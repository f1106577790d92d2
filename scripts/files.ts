import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

/** The root of the checkout. */
export const root = dirname(import.meta.dirname);

/** Folders with our TypeScript. */
export const sourceFolders = ['src', 'dashboard', 'scripts', 'test', 'bench', 'conformance'] as const;

/** A file of ours. */
export interface SourceFile {
  /** Relative to the root, with slashes. */
  readonly path: string;
  readonly text: string;
}

/** Every file below the folders whose name ends in `ending`, in the order of their paths. */
export function readFiles(folders: readonly string[], ending: string): readonly SourceFile[] {
  return folders
    .flatMap((folder) => filesBelow(join(root, folder)))
    .filter((path) => path.endsWith(ending))
    .sort()
    .map((path) => ({ path: relative(root, path).replaceAll('\\', '/'), text: readFileSync(path, 'utf8') }));
}

function filesBelow(folder: string): string[] {
  let entries: ReturnType<typeof entriesOf>;
  try {
    entries = entriesOf(folder);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
  return entries.flatMap((entry) => {
    if (entry.name === 'node_modules') return [];
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesBelow(path) : [path];
  });
}

function entriesOf(folder: string) {
  return readdirSync(folder, { withFileTypes: true });
}

/** A file that is made of others. */
export interface BuiltFile {
  /** From the directory that it is written to. */
  readonly path: string;
  readonly text: string;
}

/** Writes `files` to `directory`, from nothing. */
export function writeFiles(directory: string, files: readonly BuiltFile[]): void {
  rmSync(directory, { recursive: true, force: true });
  for (const { path, text } of files) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
}

/** Whether `directory` has `files`, and no others. */
export function areUpToDate(directory: string, files: readonly BuiltFile[]): boolean {
  if (!existsSync(directory)) return false;
  const present = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  if (present.length !== files.length) return false;
  return files.every(({ path, text }) => {
    const file = join(directory, path);
    return existsSync(file) && readFileSync(file, 'utf8') === text;
  });
}

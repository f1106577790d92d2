import { fileURLToPath } from 'node:url';

/* Where the files of this package are: the sources of a checkout, or what was built from them. */

/** Modules that are programs or threads of their own, by their paths in src/ and in dist/, without extension. */
export const entryPoints = [
  'main',
  'admin/main',
  'worker/main',
  'passwords/bcrypt-thread',
  'stores/file/parse-thread',
  'stores/sqlite/thread',
] as const;

/** This file is two directories below the root, in src/base/ as in dist/shared/: scripts/build.ts sees to that. */
const root = new URL('../..', import.meta.url);
const code = new URL('..', import.meta.url);
const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';

/** The path of a file or directory of the package, which `name` gives from its root. */
export function packageFile(name: string): string {
  return fileURLToPath(new URL(name, root));
}

/** The directory of the dashboard, which has to be built. */
export function dashboardDirectory(): string {
  return packageFile('dist/dashboard');
}

/** The directory of the documentation as pages, which has to be built. */
export function siteDirectory(): string {
  return packageFile('dist/site');
}

/** The path of a program or thread. */
export function entryPoint(name: (typeof entryPoints)[number]): string {
  return fileURLToPath(new URL(`${name}.${extension}`, code));
}

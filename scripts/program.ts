import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { entryPoints } from '../src/base/package-files.ts';
import { bundle } from './bundle.ts';
import { dashboardFiles } from './dashboard.ts';
import { areUpToDate, type BuiltFile, root, writeFiles } from './files.ts';
import { siteFiles } from './site.ts';

/**
 * Writes the program as packages have it, from src/, dashboard/ and docs/ to `directory`, from nothing: few files, with which a
 * start takes three quarters of the CPU time that it takes with the sources. The dependencies stay packages of their own.
 */
export async function buildProgram(directory: string): Promise<void> {
  writeFiles(directory, await programFiles());
}

/**
 * Installs the program in `directory`, below the root, whose node_modules it uses. Files that are up to date stay as they
 * are: programs may be running from them.
 * @returns the path of its `hipache`.
 */
export async function installProgram(directory: string): Promise<string> {
  const files = await programFiles();
  const dist = join(directory, 'dist');
  if (!areUpToDate(dist, files)) writeFiles(dist, files);
  for (const name of ['bin', 'pages', 'package.json'])
    cpSync(join(root, name), join(directory, name), { recursive: true });
  return join(directory, 'bin', 'hipache');
}

async function programFiles(): Promise<readonly BuiltFile[]> {
  const [program, dashboard, site] = await Promise.all([codeFiles(), dashboardFiles(), siteFiles()]);
  return [...program, ...below('dashboard', dashboard), ...below('site', site)];
}

function below(directory: string, files: readonly BuiltFile[]): readonly BuiltFile[] {
  return files.map(({ path, text }) => ({ path: join(directory, path), text }));
}

async function codeFiles(): Promise<readonly BuiltFile[]> {
  const output = await bundle(
    {
      input: Object.fromEntries(entryPoints.map((name) => [name, join(root, 'src', `${name}.ts`)])),
      platform: 'node',
      external: /^[^./]/,
    },
    {
      format: 'esm',
      entryFileNames: '[name].js',
      // As deep as src/base/package-files.ts, which finds the package from where it is.
      chunkFileNames: 'shared/[name]-[hash].js',
    },
  );
  return output.map((file) => {
    if (file.type !== 'chunk') throw new Error(`${file.fileName}: src/ has code only.`);
    return { path: file.fileName, text: file.code };
  });
}

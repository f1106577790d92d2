import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type RolldownOutput, rolldown } from 'rolldown';
import { entryPoints } from '../src/base/package-files.ts';
import { root } from './files.ts';

/**
 * Writes the program as packages have it, from src/ to `directory`, from nothing: few files, with which a start takes three
 * quarters of the CPU time that it takes with the sources. The dependencies stay packages of their own.
 */
export async function buildProgram(directory: string): Promise<void> {
  write(await bundle(), directory);
}

/**
 * Installs the program in `directory`, below the root, whose node_modules it uses. Files that are up to date stay as they
 * are: programs may be running from them.
 * @returns the path of its `hipache`.
 */
export async function installProgram(directory: string): Promise<string> {
  const output = await bundle();
  if (!isUpToDate(output, join(directory, 'dist'))) write(output, join(directory, 'dist'));
  for (const name of ['bin', 'pages', 'package.json'])
    cpSync(join(root, name), join(directory, name), { recursive: true });
  return join(directory, 'bin', 'hipache');
}

async function bundle(): Promise<RolldownOutput> {
  const build = await rolldown({
    input: Object.fromEntries(entryPoints.map((name) => [name, join(root, 'src', `${name}.ts`)])),
    platform: 'node',
    external: /^[^./]/,
    cwd: root,
  });
  try {
    return await build.generate({
      format: 'esm',
      entryFileNames: '[name].js',
      // As deep as src/base/package-files.ts, which finds the package from where it is.
      chunkFileNames: 'shared/[name]-[hash].js',
    });
  } finally {
    await build.close();
  }
}

function write({ output }: RolldownOutput, directory: string): void {
  rmSync(directory, { recursive: true, force: true });
  for (const file of output) {
    const path = join(directory, file.fileName);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, textOf(file));
  }
}

function isUpToDate({ output }: RolldownOutput, directory: string): boolean {
  if (!existsSync(directory)) return false;
  const present = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.js'));
  if (present.length !== output.length) return false;
  return output.every((file) => {
    const path = join(directory, file.fileName);
    return existsSync(path) && readFileSync(path, 'utf8') === textOf(file);
  });
}

function textOf(file: RolldownOutput['output'][number]): string {
  if (file.type !== 'chunk') throw new Error(`${file.fileName}: src/ has code only.`);
  return file.code;
}

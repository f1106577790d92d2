import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { root } from '../../scripts/files.ts';

const run = promisify(execFile);

/** Time that the hook of a test needs which installs an application. */
export const installMs = 300_000;

/**
 * Installs an application of the tests with its packages, which Hipache itself does not depend on, and builds it. It
 * stays in build/recipes/ until it changes.
 * @param name of a folder in applications/. @param blocks further files, by their paths: those of docs/recipes.md.
 * @returns its folder.
 */
export async function install(name: string, blocks: Readonly<Record<string, string>>): Promise<string> {
  const source = join(import.meta.dirname, 'applications', name);
  const cache = join(root, 'build', 'recipes', name);
  const folder = join(cache, digest(source, blocks));
  const done = join(folder, '.installed');
  if (existsSync(done)) return folder;
  rmSync(cache, { recursive: true, force: true });
  cpSync(source, folder, { recursive: true });
  cpSync(join(root, '.npmrc'), join(folder, '.npmrc'));
  for (const [path, text] of Object.entries(blocks)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  const env = { ...process.env, NEXT_TELEMETRY_DISABLED: '1', NODE_ENV: 'production' };
  await run('npm', ['ci'], { cwd: folder, env });
  await run('npm', ['run', '--if-present', 'build'], { cwd: folder, env });
  writeFileSync(done, '');
  return folder;
}

/** Of all files of the application. */
function digest(source: string, blocks: Readonly<Record<string, string>>): string {
  const hash = createHash('sha256').update(JSON.stringify(blocks));
  for (const path of globSync('**/*.{js,json}', { cwd: source }).sort()) {
    hash
      .update(path)
      .update('\0')
      .update(readFileSync(join(source, path)))
      .update('\0');
  }
  return hash.digest('hex').slice(0, 16);
}

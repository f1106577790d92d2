import { resolve } from 'node:path';
import { readRegularFileSync } from '../base/regular-file.ts';
import { isPlain, type Plain } from './shape.ts';

/** Keys whose text may come from elsewhere. */
const names: ReadonlySet<string> = new Set(['passphrase', 'hmacKey', 'password', 'driver']);
const fileBytesMax = 64 * 1024;

/**
 * Replaces the objects `{ "file": PATH }` and `{ "env": NAME }` that stand for a secret by the content of the file, without a line
 * break at its end, or by the variable of the environment.
 * @param directory that paths are relative to. @returns the problems, one line each, which show no secret.
 */
export function insertSecrets(known: Plain, env: NodeJS.ProcessEnv, directory: string): string[] {
  const problems: string[] = [];
  const replaced = (value: unknown, path: string, isSecret: boolean): unknown => {
    if (Array.isArray(value)) return value.map((one, i) => replaced(one, `${path}[${i}]`, isSecret));
    if (!isPlain(value)) return value;
    if (isSecret && isReference(value)) {
      const found =
        'env' in value ? ofEnvironment(String(value['env']), env) : ofFile(String(value['file']), directory);
      if (typeof found === 'string') return found;
      problems.push(`${path}: ${found.problem}`);
      return '';
    }
    for (const [name, inner] of Object.entries(value)) {
      value[name] = replaced(inner, path === '' ? name : `${path}.${name}`, names.has(name));
    }
    return value;
  };
  replaced(known, '', false);
  return problems;
}

function isReference(value: Plain): boolean {
  const [name, ...others] = Object.keys(value);
  return others.length === 0 && (name === 'env' || name === 'file') && typeof value[name] === 'string';
}

function ofEnvironment(name: string, env: NodeJS.ProcessEnv): string | { readonly problem: string } {
  return env[name] ?? { problem: `found the variable ${JSON.stringify(name)}, which the environment does not have` };
}

function ofFile(path: string, directory: string): string | { readonly problem: string } {
  try {
    return readRegularFileSync(resolve(directory, path), fileBytesMax)
      .toString('utf8')
      .replace(/\r?\n$/, '');
  } catch (error) {
    return { problem: `the file ${path} cannot be read: ${(error as Error).message}` };
  }
}

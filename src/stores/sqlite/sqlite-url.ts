import { resolve } from 'node:path';
import { defaultStorePath } from '../../base/store-path.ts';
import type { DriverContext } from '../driver.ts';
import { invalidDriverUrl, splitDriverUrl } from '../driver-url.ts';

/**
 * Parses `sqlite:PATH`.
 * @returns the absolute path of the file.
 * @throws HipacheError COMMAND_INVALID.
 */
export function parseSqliteUrl(value: string, context: DriverContext = {}): string {
  const { rest } = splitDriverUrl(value);
  if (rest === '' || rest === '//') {
    return defaultStorePath(context.environment ?? process.env, (context.userId ?? process.getuid?.()) === 0);
  }
  if (rest === ':memory:' || rest.includes('\0')) {
    throw invalidDriverUrl(value, 'the store is a file that every process can open');
  }
  if (rest.startsWith('//') && !rest.startsWith('///')) {
    throw invalidDriverUrl(value, 'a file has no host; write sqlite:PATH');
  }
  return resolve(context.directory ?? process.cwd(), rest.startsWith('///') ? rest.slice(2) : rest);
}

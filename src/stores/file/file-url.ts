import { createHash } from 'node:crypto';
import { dirname, extname, join, resolve } from 'node:path';
import { HipacheError } from '../../base/errors.ts';
import { defaultStorePath } from '../../base/store-path.ts';
import type { DriverContext } from '../driver.ts';
import { invalidDriverUrl, splitDriverUrl } from '../driver-url.ts';
import type { FileFormat } from './content.ts';

export interface FilePlace {
  /** Absolute. */
  readonly path: string;
  readonly format: FileFormat;
  /** The file with the dead marks, in the state directory; null if there is no such directory. */
  readonly marksPath: string | null;
}

const formats: Readonly<Record<string, FileFormat>> = { '.yaml': 'yaml', '.yml': 'yaml', '.json': 'json' };
const example = 'file:/etc/hipache/routes.yaml';

/**
 * Parses `file:PATH`.
 * @throws HipacheError COMMAND_INVALID.
 */
export function parseFileUrl(value: string, context: DriverContext = {}): FilePlace {
  const { rest } = splitDriverUrl(value);
  if (rest === '' || rest === '//') throw invalidDriverUrl(value, 'it has no path', example);
  if (rest.includes('\0')) throw invalidDriverUrl(value, 'no path has a NUL', example);
  if (rest.startsWith('//') && !rest.startsWith('///')) {
    throw invalidDriverUrl(value, 'a file has no host; write file:PATH', example);
  }
  const path = resolve(context.directory ?? process.cwd(), rest.startsWith('///') ? rest.slice(2) : rest);
  const format = formats[extname(path).toLowerCase()];
  if (format === undefined) throw invalidDriverUrl(value, 'its name must end in .yaml, .yml or .json', example);
  return { path, format, marksPath: marksPathOf(path, context) };
}

/** Processes with the same routes file have the same marks, whatever user they run as since their start. */
function marksPathOf(
  path: string,
  { environment = process.env, userId = process.getuid?.() }: DriverContext,
): string | null {
  const isRoot = userId === 0 || environment['HIPACHE_STARTED_AS_ROOT'] === '1';
  try {
    const name = createHash('sha256').update(path).digest('hex').slice(0, 16);
    return join(dirname(defaultStorePath(environment, isRoot)), `marks-${name}.sqlite`);
  } catch (error) {
    if (error instanceof HipacheError) return null;
    throw error;
  }
}
